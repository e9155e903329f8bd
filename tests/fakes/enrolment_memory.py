"""The claim file and the enrolment file, in memory."""

from dataclasses import dataclass

from edge_agent.services.enrolling import EnrolmentDamaged, EnrolmentFiles
from edge_agent.services.line import Enrolment


@dataclass
class MemoryEnrolment(EnrolmentFiles):
    """``failure`` is raised by whatever writes. ``is_damaged``: until it is written anew."""

    claim: str | None = None
    enrolment: Enrolment | None = None
    failure: OSError | None = None
    is_damaged: bool = False

    def load(self) -> Enrolment | None:
        if self.is_damaged:
            raise EnrolmentDamaged("it is cut short")
        return self.enrolment

    def save(self, enrolment: Enrolment) -> None:
        self._demand_working()
        self.enrolment, self.is_damaged = enrolment, False

    def claim_text(self) -> str | None:
        return self.claim

    def put_claim(self, text: str) -> None:
        self._demand_working()
        self.claim = text

    def drop_claim(self) -> None:
        self._demand_working()
        self.claim = None

    def _demand_working(self) -> None:
        if self.failure is not None:
            raise self.failure
