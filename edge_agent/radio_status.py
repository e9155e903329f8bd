"""What a radio says about itself for health: whether it hears, and when not, why and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class ReceiverState(StrEnum):
    """Each state but the first three has another cure, so each has its own name."""

    STARTING = "starting"
    HEARING = "hearing"
    SILENT = "silent"
    NO_BUS = "no_bus"
    NO_BLUEZ = "no_bluez"
    ABSENT = "absent"
    OFF = "off"
    BUSY = "busy"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    STOPPED = "stopped"


# A silent scan is one that runs: an empty shop at night is no fault.
LISTENING = frozenset({ReceiverState.STARTING, ReceiverState.HEARING, ReceiverState.SILENT})


@dataclass(frozen=True, slots=True)
class ReceiverStatus:
    """``heard``: advertisements since the start; ``last_heard_ago_s``: None when none was heard yet;
    ``cause``: None while hearing, otherwise what is wrong and what a person can do."""

    adapter: str
    state: ReceiverState
    heard: int
    last_heard_ago_s: float | None
    restarts: int
    cause: str | None


@dataclass(frozen=True, slots=True)
class RadioStatus:
    """``broken_lines`` are the lines of a recording that could not be read; the first one is told in full."""

    name: str
    receivers: tuple[ReceiverStatus, ...]
    broken_lines: int = 0
    first_broken_line: str | None = None

    @property
    def is_listening(self) -> bool:
        return any(receiver.state in LISTENING for receiver in self.receivers)

    @property
    def cause(self) -> str | None:
        """Why a receiver does not hear; the first of them when several do not."""
        return next((receiver.cause for receiver in self.receivers if receiver.cause), None)
