"""What the stores' tests keep in a store, and the hand-set clock and seeded entropy they give it."""

from random import Random
from typing import ClassVar

from engagement.clock.moment import Moment
from engagement.ids import CampaignId, SubjectId, VisitorId
from engagement.journal.event import Event, HealthChanged, MemberLinked, Played
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling


class Counter(Record):
    kind: ClassVar[str] = "counter"
    count: int = 0


class Note(Record):
    kind: ClassVar[str] = "note"
    text: str


class StrictNote(Record):
    """What ``note`` might become in a version that broke its promise to read old files."""

    kind: ClassVar[str] = "note"
    text: int


class SeededEntropy:
    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)

    def token(self, n_bytes: int) -> bytes:
        return self._random.randbytes(n_bytes)


class HandClock:
    """Stands still until told; ``wall_ms`` may be set to anything."""

    def __init__(self, wall_ms: int = 1_790_000_000_000) -> None:
        self.wall_ms = wall_ms
        self.passed_s = 0.0

    def pass_ms(self, passed_ms: int) -> None:
        """Let time pass on both clocks; backwards, only the wall clock follows."""
        self.wall_ms += passed_ms
        self.passed_s += max(passed_ms, 0) / 1000

    def now(self) -> Moment:
        return moment(self.wall_ms)

    def mono_s(self) -> float:
        return self.passed_s


def moment(wall_ms: int = 1_790_000_000_000) -> Moment:
    return Moment(wall_ms=wall_ms, error_ms=0, boot_id="boot", boottime_ms=0)


def played(play: int, wall_ms: int = 1_790_000_000_000) -> Event:
    return Played(
        moment=moment(wall_ms), campaign=CampaignId("shake"), subject=SubjectId("v:1"), play=play, won=False
    )


def linked(visitor: str, wall_ms: int = 1_790_000_000_000) -> Event:
    return MemberLinked(moment=moment(wall_ms), visitor=VisitorId(visitor))


def health_changed(wall_ms: int = 1_790_000_000_000) -> Event:
    return HealthChanged(moment=moment(wall_ms), status="ok", issues=())


def add(key: Key[Counter], step: int = 1, *, events: tuple[Event, ...] = ()) -> Rule[int]:
    """A rule that counts, and answers the new count."""

    def rule(rows: Rows) -> Ruling[int]:
        row = rows.get(key)
        count = (row.count if row else 0) + step
        return Ruling(count, writes=(Counter(id=key.id, count=count),), events=events)

    return rule


def put(*records: Record, events: tuple[Event, ...] = ()) -> Rule[None]:
    return lambda rows: Ruling(None, writes=records, events=events)


def journal(*events: Event) -> Rule[None]:
    return lambda rows: Ruling(None, events=events)
