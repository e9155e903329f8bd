"""Deletes journal entries that HQ has had for long enough.

Not at once: HQ may itself be restored from a backup and then asks for what it lost, so an entry outlives its
confirmation by more than one backup. How long ago that was is known from marks that are set a few times a day.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import ClassVar, Final

from edge_agent.ports import Clock, Store, StoreFull
from engagement.clock.moment import Moment, certainly_elapsed_ms
from engagement.journal.event import Lane
from engagement.ledger.group import RecordUnreadable
from engagement.ledger.record import Key, Record, Ruling
from engagement.values import Value

_LOG = logging.getLogger(__name__)

_HOUR_MS: Final = 3_600_000
_LOOK_S: Final = 3600.0
_MARK_EVERY_MS: Final = 6 * _HOUR_MS
# Money: a week, so that HQ may be without a good backup over a holiday. The rest: yesterday's backup and one that failed.
KEPT_MS: Final = {
    Lane.MONEY: 7 * 24 * _HOUR_MS,
    Lane.ENGAGEMENT: 48 * _HOUR_MS,
    Lane.TELEMETRY: 48 * _HOUR_MS,
}
# Whatever the clock says: 250 MB of confirmed entries a lane are enough.
KEPT_ENTRIES_MAX: Final = 500_000
# Entries per commit: 250 kB of pages, so that no till waits for them.
_PAGE: Final = 500
# HQ's knock needs the last confirmed entry and the head before it.
_ALWAYS_KEPT: Final = 2
# A week of marks and as many again; a clock that nobody vouches for may keep them from growing old.
_MARKS_MAX: Final = 64


class ConfirmedMark(Value):
    """At ``moment`` HQ had every entry up to ``seq``."""

    seq: int
    moment: Moment


class ConfirmedMarks(Record):
    """``id``: the lane; oldest first."""

    kind: ClassVar[str] = "confirmed_marks"
    marks: tuple[ConfirmedMark, ...] = ()


def marks_key(lane: Lane) -> Key[ConfirmedMarks]:
    return Key(ConfirmedMarks, lane.value)


class Pruning:
    def __init__(self, clock: Clock, store: Store) -> None:
        self._clock = clock
        self._store = store

    async def run(self) -> None:
        """Look every hour until cancelled."""
        while True:
            for lane in Lane:
                try:
                    await self.prune(lane)
                except StoreFull:
                    _LOG.debug("not pruned: the disk is full")
            await asyncio.sleep(_LOOK_S)

    async def prune(self, lane: Lane) -> None:
        """Set a mark if one is due, and delete what has been confirmed for long enough."""
        now, confirmed = self._clock.now(), self._store.confirmed[lane]
        before = await self._marks(lane)
        marks = next_marks(before, confirmed, now)
        if marks != before:
            row = ConfirmedMarks(id=lane.value, marks=marks)
            await self._store.decide([], lambda rows: Ruling(None, writes=(row,)), essential=True)
        goal = min(outlived_seq(marks, confirmed, now, KEPT_MS[lane]), confirmed - _ALWAYS_KEPT)
        while oldest := await self._store.entries(lane, after_seq=0, limit=1):
            if oldest[0].seq > goal:
                return
            await self._store.prune(lane, up_to_seq=min(goal, oldest[0].seq + _PAGE - 1))

    async def _marks(self, lane: Lane) -> tuple[ConfirmedMark, ...]:
        """None when they cannot be read: then entries only stay for longer."""
        key = marks_key(lane)
        try:
            row = (await self._store.fetch([key])).get(key)
        except RecordUnreadable:
            return ()
        return row.marks if row is not None else ()


def next_marks(marks: tuple[ConfirmedMark, ...], confirmed: int, now: Moment) -> tuple[ConfirmedMark, ...]:
    """The marks with one more, if something was confirmed and the last mark is old enough."""
    last = marks[-1] if marks else None
    if confirmed == (last.seq if last else 0):
        return marks
    if last is not None and certainly_elapsed_ms(last.moment, now) < _MARK_EVERY_MS:
        return marks
    return (*marks, ConfirmedMark(seq=confirmed, moment=now))[-_MARKS_MAX:]


def outlived_seq(marks: Iterable[ConfirmedMark], confirmed: int, now: Moment, kept_ms: int) -> int:
    """The last entry that may go: certainly confirmed for so long, or one of too many. 0 for none."""
    old = [mark.seq for mark in marks if certainly_elapsed_ms(mark.moment, now) >= kept_ms]
    return max([*old, confirmed - KEPT_ENTRIES_MAX, 0])
