"""What the services need from outside, as Protocols: clock, entropy, store, uplink, radio, LAN, gatekeeper.

Adapters implement them; the simulation and the tests bring their own. A service never knows which it has.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from edge_agent.radio_status import RadioStatus
from engagement.advertisement.packet import Advertisement
from engagement.clock.moment import Moment
from engagement.journal.batch import Batch
from engagement.journal.entry import Entry
from engagement.journal.event import Lane
from engagement.journal.tip import Epoch
from engagement.ledger.record import Key, Record, Rows, Rule
from engagement.line.answers import (
    AgentReport,
    BatchAnswer,
    EnrolmentAnswer,
    EnrolmentRequest,
    ReportAnswer,
)
from engagement.rights.messages import LeaseAnswer, LeaseRequest

T = TypeVar("T")
R = TypeVar("R", bound=Record)


class StoreFull(Exception):
    """The disk took no more: nothing of this decision was kept. ``essential`` decisions still pass."""


class StoreClosed(Exception):
    """The store is shutting down or has failed; nothing of this decision was kept."""


class StoreFailed(StoreClosed):
    """The disk failed while this decision was being committed: whether it was kept, only asking again tells."""


class Clock(Protocol):
    def now(self) -> Moment:
        """All clocks at once; wall time with its error, boottime with its boot."""

    def mono_s(self) -> float:
        """Seconds from any origin, never going back; the time base of presence and deadlines."""


class Entropy(Protocol):
    def token(self, n_bytes: int) -> bytes:
        """Unpredictable bytes."""


class Store(Protocol):
    """The agent's ledger: records under keys, and the journal. One writer; many decisions share one commit."""

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        """Load the rows that the keys name, rule on them, write rows and events, and answer once that is durable.

        The rows are as after every decision before this one, in one total order. Nothing of a rule that raises
        is kept, and nothing of the others in its transaction is lost. ``essential`` decisions may use the space
        that is held back for them when the disk is full.
        A row may be written or deleted without being named; to read one, name it.
        Errors: whatever the rule raises; RecordUnreadable; StoreFull; StoreClosed; StoreFailed.
        """

    async def fetch(self, keys: Iterable[Key[Any]]) -> Rows:
        """The rows as of now, for showing; a decision must not rest on them unless its rule checks again."""

    async def scan(self, of: type[R], *, after_id: str, limit: int) -> list[R]:
        """Up to ``limit`` rows of a kind in order of id, from the first id greater than ``after_id``; for upkeep.

        A row that cannot be read is counted and passed over, so that it does not hide those behind it.
        """

    async def entries(self, lane: Lane, *, after_seq: int, limit: int) -> list[Entry]:
        """Journal entries of a lane in order, from the first whose seq is greater than ``after_seq``."""

    async def grown(self, lane: Lane, *, after_seq: int) -> None:
        """Return as soon as the lane has an entry behind this one; at once when it has."""

    async def confirm(self, lane: Lane, *, up_to_seq: int) -> None:
        """HQ has every entry of the lane up to this one: never goes back, and is durable when this returns.

        Errors: ValueError when the lane ends before; StoreFull, after which the next commit takes it along.
        """

    async def prune(self, lane: Lane, *, up_to_seq: int) -> None:
        """Delete entries up to this one, of those that HQ has confirmed; the last confirmed one always stays.

        All in one commit: the caller bounds how many. Errors: as confirm().
        """

    @property
    def confirmed(self) -> Mapping[Lane, int]:
        """The last entry of each lane that HQ has; 0 for none."""

    def backlog(self) -> Mapping[Lane, int]:
        """Entries of each lane that HQ has not confirmed."""

    @property
    def epoch(self) -> Epoch:
        """Drawn when the file was created; with lane and seq it names one journal entry for ever."""

    @property
    def lease_number(self) -> int:
        """1..2**24-1, drawn when the file was created; with a serial it names one coupon for ever."""

    @property
    def is_full(self) -> bool:
        """Whether only essential decisions are taken at the moment."""

    @property
    def set_aside(self) -> str | None:
        """Name of the damaged file that was set aside when this one was created; None when none was."""

    @property
    def unreadable_rows(self) -> int:
        """Rows that a scan passed over because they cannot be read."""

    @property
    def is_log_too_long(self) -> bool:
        """Whether the write-ahead log grows because something else holds the file open for reading."""


class Radio(Protocol):
    """Something that hears advertisements: the machine's adapters, or a recording."""

    @property
    def name(self) -> str:
        """``bluez:<address>`` or ``recording:<name>``, as shown to people."""

    @property
    def status(self) -> RadioStatus:
        """Whether it hears, and when not, why."""

    async def listen(self, sink: Callable[[Advertisement], None]) -> None:
        """Hand every advertisement to ``sink`` until cancelled. Errors: RadioLost when it cannot go on."""

    def retune(self, adapters: Sequence[str]) -> None:
        """Hear with these adapters from now on, the machine's default one when there are none; those that stay are
        not interrupted. Means nothing to a recording."""


class RadioLost(Exception):
    """The radio went silent for a cause that listening on does not cure; ``cause`` says which, for people."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class LineDown(Exception):
    """HQ did not answer, or something else did: whether it took what was sent, only asking again tells."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class LineBusy(Exception):
    """HQ took nothing and asks to be left alone for ``slot_ms``. ``is_hqs_word``: False when only something before HQ says so,
    as a proxy does whose HQ is gone."""

    def __init__(self, slot_ms: int, *, is_hqs_word: bool = True) -> None:
        super().__init__(f"HQ asks to come back in {slot_ms} ms")
        self.slot_ms = slot_ms
        self.is_hqs_word = is_hqs_word


class LineRefused(Exception):
    """HQ takes nothing from this agent, or not this claim; ``code`` is HQ's own and stable."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class BatchRefused(Exception):
    """HQ does not take this batch, whoever sends it; other lanes may go on. ``code`` is stable."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class LeaseRefused(Exception):
    """HQ does not take this request for rights. ``code`` is stable: ``rights_went_back`` when HQ has seen later ones of this
    ledger, ``lease_written_off`` when HQ gave this ledger up."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class BatchDiverged(Exception):
    """HQ has other entries under the same numbers, which must never be: a copied disk, or one that went back."""


class LineGap(Exception):
    """HQ lacks entries before this batch; it waits for the one numbered ``expected``."""

    def __init__(self, expected: int) -> None:
        super().__init__(f"HQ waits for entry {expected}")
        self.expected = expected


class HqDoor(NamedTuple):
    """Where a claim code says that HQ is (``host`` or ``host:port``), and the first bytes of SHA-256 over its root."""

    address: str
    root_fingerprint: bytes


class Uplink(Protocol):
    """The line to HQ. Every call ends within a time of its own, and may be repeated without harm."""

    async def ship(self, batch: Batch) -> BatchAnswer:
        """Errors: LineDown, LineBusy, LineRefused, BatchRefused, BatchDiverged, LineGap."""

    async def enrol(self, request: EnrolmentRequest, door: HqDoor | None) -> EnrolmentAnswer:
        """``door``: None when the code says nothing, and HQ is where the settings have it.

        Errors: LineDown, LineBusy, LineRefused.
        """


class Desk(Protocol):
    """The line to HQ for what an agent is and should be. Calls end and repeat as Uplink's."""

    async def report(self, report: AgentReport) -> ReportAnswer:
        """Say how this agent is. Errors: LineDown, LineBusy, LineRefused."""

    async def bundle(self) -> str:
        """The newest bundle, sealed; whoever asks opens the seal. Errors: LineDown, LineBusy, LineRefused."""


class Treasury(Protocol):
    """The line to HQ for rights. Calls end and repeat as Uplink's."""

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        """Ask for rights, and give some back. Errors: LineDown, LineBusy, LineRefused; LeaseRefused."""


class Lan(Protocol):
    """Makes the agent findable on the staff network."""

    async def announce(self) -> None:
        """Announce until cancelled; withdraws the announcement on the way out."""


class Gatekeeper(Protocol):
    """Knows which phone is behind an address; never lets a hardware address out."""

    def handset(self, address: str) -> bytes:
        """Bytes that stand for the phone at this address for as long as it is connected."""
