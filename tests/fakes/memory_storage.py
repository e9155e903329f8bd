"""HQ's storage in memory: the same contract as the database's, for tests of services and for the simulation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from cloud_api.ports.storage import (
    Intake,
    KeptLetter,
    KnownAgent,
    KnownClaim,
    LaneKey,
    LaneState,
    LetterPlace,
    LettersMoved,
    MarkMoved,
    MoneyLine,
    NameTaken,
    Rejudged,
    Session,
    User,
    money_lines,
)
from engagement.coupon.coupon import serial_of
from engagement.ids import AgentName, BranchCode, LocalDay
from engagement.journal.event import Lane
from engagement.journal.tip import LaneTip
from engagement.settlement.funnel import Counts, Totals, merge, total


@dataclass
class StoredLane:
    mark: LaneTip
    received_ms: int
    segments: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    money: list[MoneyLine] = field(default_factory=list)
    letters: list[KeptLetter] = field(default_factory=list)


class MemoryStorage:
    """A Storage; nothing in it awaits, so it keeps virtual time."""

    def __init__(self) -> None:
        self.stored: dict[LaneKey, StoredLane] = {}
        self.counts: dict[BranchCode, Counts] = {}
        self._agents: dict[AgentName, KnownAgent] = {}
        self._claims: dict[str, KnownClaim] = {}
        self._users: dict[str, User] = {}
        self._sessions: dict[bytes, Session] = {}

    async def keep(self, intake: Intake) -> None:
        key = intake.key
        if key.agent not in self._agents or await self.mark(key) != intake.before:
            raise MarkMoved("the mark is another")
        lane = self.stored.setdefault(key, StoredLane(intake.before, 0))
        lane.mark, lane.received_ms = intake.after, intake.received_ms
        lane.segments[intake.before.seq + 1] = (intake.after.seq, intake.segment)
        lane.money += money_lines(intake.money)
        lane.letters += self._kept(intake)
        self._add_up(intake.branch, intake.counts)
        self._agents[key.agent] = replace(self._agents[key.agent], last_contact_ms=intake.received_ms)

    async def mark(self, key: LaneKey) -> LaneTip:
        return self.stored[key].mark if key in self.stored else LaneTip()

    async def segment(self, key: LaneKey, seq: int) -> bytes | None:
        segments = self.stored[key].segments.items() if key in self.stored else ()
        return next((body for first, (last, body) in segments if first <= seq <= last), None)

    async def lanes(self, *, agent: AgentName | None = None) -> Sequence[LaneState]:
        of = [key for key in self.stored if agent in (None, key.agent)]
        order = sorted(of, key=lambda key: (key.agent, key.lane))
        return [
            LaneState(key, lane.mark.seq, lane.received_ms, len(lane.letters))
            for key in order
            for lane in (self.stored[key],)
        ]

    async def letters(
        self, *, agent: AgentName | None, after: LetterPlace, limit: int
    ) -> Sequence[KeptLetter]:
        found = (letter for lane in self.stored.values() for letter in lane.letters)
        behind = (letter for letter in found if letter.place > after and agent in (None, letter.key.agent))
        return list(islice(behind, limit))

    async def rejudge(self, rulings: Sequence[Rejudged]) -> None:
        for ruling in rulings:
            kept = {letter.letter.seq for letter in self.stored[ruling.key].letters}
            if not kept.issuperset(ruling.used):
                raise LettersMoved("a letter is no longer there")
        for ruling in rulings:
            lane, codes = self.stored[ruling.key], dict(ruling.codes)
            lane.letters = [
                replace(each, letter=each.letter._replace(code=codes.get(each.letter.seq, each.letter.code)))
                for each in lane.letters
                if each.letter.seq not in ruling.used
            ]
            lane.money = sorted([*lane.money, *money_lines(ruling.money)], key=lambda line: line.seq)
            self._add_up(ruling.branch, ruling.counts)

    def _kept(self, intake: Intake) -> list[KeptLetter]:
        lane_number = list(self.stored).index(intake.key) + 1
        return [
            KeptLetter(
                LetterPlace(lane_number, letter.seq), intake.key, intake.branch, letter, intake.received_ms
            )
            for letter in intake.letters
        ]

    def _add_up(self, branch: BranchCode, counts: Counts) -> None:
        self.counts[branch] = merge(self.counts.get(branch, Counts()), counts)

    async def agents(self) -> Sequence[KnownAgent]:
        return [self._agents[name] for name in sorted(self._agents)]

    async def put_claim(self, agent: KnownAgent, claim: KnownClaim) -> None:
        for other in self._agents.values():
            if other.number == agent.number and other.name != agent.name:
                raise NameTaken(f"number {agent.number} is that of agent {other.name!r}")
        known = self._agents.get(agent.name, agent)
        self._agents[agent.name] = replace(known, branch=agent.branch, number=agent.number)
        self._claims = {
            key: each for key, each in self._claims.items() if each.agent != agent.name or each.public_key
        }
        self._claims[claim.claim.id] = claim

    async def claim(self, claim_id: str) -> KnownClaim | None:
        return self._claims.get(claim_id)

    async def enrol(self, claim_id: str, *, public_key: bytes, at_ms: int) -> bool:
        claim = self._claims.get(claim_id)
        if claim is None or claim.public_key is not None:
            return False
        self._claims[claim_id] = replace(claim, public_key=public_key)
        self._agents[claim.agent] = replace(
            self._agents[claim.agent],
            public_key=public_key,
            enrolled_ms=at_ms,
            last_contact_ms=at_ms,
            state="active",
        )
        return True

    async def revoke(self, agent: AgentName) -> None:
        self._agents[agent] = replace(self._agents[agent], state="revoked", public_key=None)
        self._claims = {
            key: each for key, each in self._claims.items() if each.agent != agent or each.public_key
        }

    async def totals(self, first: LocalDay, last: LocalDay, *, branch: BranchCode | None) -> Totals:
        return total(
            Counts(
                {key: number for key, number in counts.sums.items() if first <= key.day <= last},
                frozenset(tag for tag in counts.tags if first <= tag.day <= last),
            )
            for code, counts in self.counts.items()
            if branch in (None, code)
        )

    async def coupon_lines(self, agent_number: int, serial: int) -> Sequence[MoneyLine]:
        return [
            line
            for key, lane in self.stored.items()
            if key.lane is Lane.MONEY and self._agents[key.agent].number == agent_number
            for line in lane.money
            if line.coupon is not None and serial_of(line.coupon) == serial
        ]

    async def set_users(self, users: Sequence[User]) -> None:
        wanted = {user.name: user for user in users}
        gone = {name for name, user in self._users.items() if wanted.get(name) != user}
        self._users = wanted
        self._sessions = {key: each for key, each in self._sessions.items() if each.user not in gone}

    async def user(self, name: str) -> User | None:
        return self._users.get(name)

    async def put_session(self, session: Session, *, now_ms: int) -> None:
        self._sessions = {key: each for key, each in self._sessions.items() if each.expires_ms > now_ms}
        self._sessions[session.token_sha256] = session

    async def session(self, token_sha256: bytes) -> Session | None:
        return self._sessions.get(token_sha256)

    async def drop_session(self, token_sha256: bytes) -> None:
        self._sessions.pop(token_sha256, None)
