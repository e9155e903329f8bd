"""HQ's database of journals, agents and people, as a Protocol and the values that pass.

Storage is small on purpose: whatever another database must do stands here and in the contract suite, and nothing needs
more than transactions of a few statements.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, NamedTuple, Protocol

from engagement.ids import AgentName, BranchCode, CampaignId, CouponId, LocalDay
from engagement.journal.event import Lane
from engagement.journal.tip import Epoch, LaneTip
from engagement.line.claim import Claim
from engagement.settlement.funnel import Counts, Totals

AgentState = Literal["claimed", "active", "revoked"]


class StorageBusy(Exception):
    """The disk is full, or the storage is closing: nothing of this was kept; it may be asked again later."""


class StorageFailed(Exception):
    """The disk failed: whether this was kept, only asking again after a restart tells."""


class MarkMoved(Exception):
    """The lane's mark was not the one that this was ruled on; nothing was kept."""


class LettersMoved(Exception):
    """A dead letter that was ruled on is no longer there; nothing was kept."""


class NameTaken(Exception):
    """Another agent has this name or this number."""


class LaneKey(NamedTuple):
    """One lane of one ledger file of one agent."""

    agent: AgentName
    lane: Lane
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class KnownAgent:
    """``public_key``: 32 bytes of Ed25519, None until it enrols; instants are Unix ms of HQ's clock."""

    name: AgentName
    branch: BranchCode
    number: int
    state: AgentState
    public_key: bytes | None = None
    enrolled_ms: int | None = None
    last_contact_ms: int | None = None


@dataclass(frozen=True, slots=True)
class KnownClaim:
    """``public_key``: whose enrolment used the claim; None while it is unused."""

    claim: Claim
    agent: AgentName
    expires_ms: int
    public_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class LaneState:
    """``received_ms``: when the mark last rose; ``letters``: entries kept apart."""

    key: LaneKey
    seq: int
    received_ms: int
    letters: int


class MoneyLine(NamedTuple):
    """A money event as reports need it. ``amount_minor``: liability of an issue, discount of all others."""

    seq: int
    what: str
    at_ms: int
    day: LocalDay
    campaign: CampaignId | None = None
    coupon: CouponId | None = None
    amount_minor: int = 0
    basket_minor: int = 0
    currency: str | None = None
    edition: int | None = None
    not_after_ms: int | None = None
    order_id: str | None = None
    redemption: str | None = None
    till: str | None = None
    by_whom: str | None = None


@dataclass(frozen=True, slots=True)
class MoneyColumns:
    """Money events of one kind, which fill the same fields: the lines' fields by name, each with a value for every line.

    Fields that are not named have their default in all of them. At least seq, at_ms and day are named; what is not.
    """

    what: str
    fields: Mapping[str, Sequence[Any]]


def money_lines(money: Iterable[MoneyColumns]) -> list[MoneyLine]:
    """In the order of their seqs."""
    lines = (
        MoneyLine(what=each.what, **dict(zip(each.fields, line, strict=True)))
        for each in money
        for line in zip(*each.fields.values(), strict=True)
    )
    return sorted(lines, key=attrgetter("seq"))


class DeadLetter(NamedTuple):
    """An entry that cannot be used; ``code`` says why."""

    seq: int
    code: str
    body: bytes


class LetterPlace(NamedTuple):
    """Where a dead letter stands in the order of all; ``lane`` is the storage's own number of its lane."""

    lane: int
    seq: int


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """``branch``: where it came from, whatever its agent's branch is now; ``received_ms``: when it arrived."""

    place: LetterPlace
    key: LaneKey
    branch: BranchCode
    letter: DeadLetter
    received_ms: int


@dataclass(frozen=True, slots=True)
class Rejudged:
    """Dead letters of one lane and branch, judged again.

    ``used``: seqs of those that go, because ``money`` and ``counts`` now hold what they said; ``codes``: the seq and the
    new code of those that stay for another reason than before.
    """

    key: LaneKey
    branch: BranchCode
    used: Sequence[int]
    codes: Sequence[tuple[int, str]]
    money: Sequence[MoneyColumns]
    counts: Counts


@dataclass(frozen=True, slots=True)
class Intake:
    """The new entries of one batch, ready to be kept; all of it or nothing.

    ``before`` and ``after``: the lane's mark; ``segment``: the entries packed as a batch; ``counts`` are the branch's.
    """

    key: LaneKey
    branch: BranchCode
    before: LaneTip
    after: LaneTip
    segment: bytes
    money: Sequence[MoneyColumns]
    letters: Sequence[DeadLetter]
    counts: Counts
    received_ms: int


class User(NamedTuple):
    """``password_scrypt``: of the password with ``salt``, as adapters/password_scrypt.py makes it."""

    name: str
    salt: bytes
    password_scrypt: bytes


class Session(NamedTuple):
    """``token_sha256``: the token itself is only with whoever signed in."""

    token_sha256: bytes
    user: str
    expires_ms: int


class Storage(Protocol):
    """HQ's database. What a method wrote is durable when it returns.

    Errors of every method: StorageBusy, StorageFailed.
    """

    async def keep(self, intake: Intake) -> None:
        """Take a batch's new entries. Errors: MarkMoved when the lane's mark is not ``intake.before``."""

    async def mark(self, key: LaneKey) -> LaneTip:
        """LaneTip() where nothing was ever taken."""

    async def segment(self, key: LaneKey, seq: int) -> bytes | None:
        """The packed batch that holds this seq."""

    async def lanes(self, *, agent: AgentName | None = None) -> Sequence[LaneState]:
        """Of all agents where none is named; in order of agent, lane and first arrival."""

    async def letters(
        self, *, agent: AgentName | None, after: LetterPlace, limit: int
    ) -> Sequence[KeptLetter]:
        """The next dead letters behind ``after``, of all agents where none is named; LetterPlace(0, 0) is before all."""

    async def rejudge(self, rulings: Sequence[Rejudged]) -> None:
        """Keep all of it or nothing. Errors: LettersMoved when one of the letters used is no longer there."""

    async def agents(self) -> Sequence[KnownAgent]:
        """In order of their names."""

    async def put_claim(self, agent: KnownAgent, claim: KnownClaim) -> None:
        """Keep a new claim, and the agent where it is not known; unused claims of the same agent are dropped.

        What is known of the agent already (key, state) stays, but branch and number become these.
        Errors: NameTaken when another agent has the number.
        """

    async def claim(self, claim_id: str) -> KnownClaim | None: ...

    async def enrol(self, claim_id: str, *, public_key: bytes, at_ms: int) -> bool:
        """Use a claim up: the agent is active with this key, and any key before it is nobody's.

        False when the claim is unknown or was used.
        """

    async def revoke(self, agent: AgentName) -> None:
        """Its key opens nothing any more, until it enrols by a claim that is made after this; unused ones are dropped."""

    async def totals(self, first: LocalDay, last: LocalDay, *, branch: BranchCode | None) -> Totals:
        """The counts of these days, both inclusive; of all branches where none is named."""

    async def coupon_lines(self, agent_number: int, serial: int) -> Sequence[MoneyLine]:
        """All money events of the agent's coupons with this serial, in the order they were decided."""

    async def set_users(self, users: Sequence[User]) -> None:
        """These, and no others; sessions of users that are gone, or have another password, end."""

    async def user(self, name: str) -> User | None: ...

    async def put_session(self, session: Session, *, now_ms: int) -> None:
        """Keep a session; those that are over by now go."""

    async def session(self, token_sha256: bytes) -> Session | None: ...

    async def drop_session(self, token_sha256: bytes) -> None: ...
