"""The claim file, where a person puts the code, and the enrolment file beside the keys."""

from pathlib import Path

from edge_agent.adapters.durable_file import replace_file
from edge_agent.adapters.kept_twice import KeptDamaged, keep_twice, read_kept
from edge_agent.services.enrolling import EnrolmentDamaged, EnrolmentFiles
from edge_agent.services.line import Enrolment

# A code has some 320 letters at most; whoever put something else there is told so without reading all of it.
_CLAIM_BYTES_MAX = 4096


class FolderEnrolmentFiles(EnrolmentFiles):
    """``claim``: where people and the desk put a code."""

    def __init__(self, *, enrolment: Path, claim: Path) -> None:
        self._enrolment = enrolment
        self._claim = claim

    def load(self) -> Enrolment | None:
        try:
            return read_kept(self._enrolment, Enrolment.model_validate_json)
        except KeptDamaged as damaged:
            raise EnrolmentDamaged(str(damaged)) from damaged

    def save(self, enrolment: Enrolment) -> None:
        keep_twice(self._enrolment, enrolment.model_dump_json().encode())

    def claim_text(self) -> str | None:
        try:
            with self._claim.open("rb") as file:
                text = file.read(_CLAIM_BYTES_MAX).decode()
        except FileNotFoundError:
            return None
        return text.strip() or None

    def put_claim(self, text: str) -> None:
        replace_file(self._claim, text.encode())

    def drop_claim(self) -> None:
        self._claim.unlink(missing_ok=True)
