"""The file of the visit keys: outside the ledger, so that no backup of it brings destroyed keys back."""

import logging
from pathlib import Path

from edge_agent.adapters.kept_twice import KeptDamaged, copies, keep_twice, read_kept
from edge_agent.services.visit_keys import KeyFile, KeyRing

_LOG = logging.getLogger(__name__)


class VisitKeyFile(KeyFile):
    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> KeyRing | None:
        """None as well when no copy can be read: then phones are strangers once, and the store works on."""
        try:
            return read_kept(self._path, _ring_of)
        except KeptDamaged:
            _LOG.error("the visit keys were damaged; new ones are made")
            for each in copies(self._path):
                each.unlink(missing_ok=True)  # what can still be read in there must not outlive its day
            return None

    def save(self, ring: KeyRing) -> None:
        keep_twice(self._path, ring.model_dump_json().encode())


def _ring_of(content: bytes) -> KeyRing:
    """Errors: ValueError when it is none."""
    ring = KeyRing.model_validate_json(content)
    for key_hex in (ring.cookie_key_hex, ring.today_hex, ring.yesterday_hex or ""):
        bytes.fromhex(key_hex)
    return ring
