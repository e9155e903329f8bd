"""The file of the visit keys: outside the ledger, so that no backup of it brings destroyed keys back."""

from pathlib import Path

from edge_agent.adapters.durable_file import replace_file
from edge_agent.services.visit_keys import KeyFile, KeyRing


class VisitKeyFile(KeyFile):
    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> KeyRing | None:
        """None when there is no file yet. Errors: pydantic.ValidationError when it is damaged."""
        if not self._path.exists():
            return None
        return KeyRing.model_validate_json(self._path.read_bytes())

    def save(self, ring: KeyRing) -> None:
        replace_file(self._path, ring.model_dump_json().encode())
