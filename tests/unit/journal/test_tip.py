"""Numbering, stamping and chaining of the journal."""

from engagement.clock.hybrid import HybridTime
from engagement.clock.moment import Moment
from engagement.ids import VisitorId
from engagement.journal.entry import CHAIN_START, Entry, chain
from engagement.journal.event import Event, HealthChanged, Lane, MemberLinked
from engagement.journal.tip import EMPTY, LaneTip, Tip, extend, first_break, unconfirmed


def linked(wall_ms: int) -> Event:
    return MemberLinked(moment=_moment(wall_ms), visitor=VisitorId(f"v{wall_ms}"))


def healthy(wall_ms: int) -> Event:
    return HealthChanged(moment=_moment(wall_ms), status="ok", issues=())


def _moment(wall_ms: int) -> Moment:
    return Moment(wall_ms=wall_ms, error_ms=0, boot_id="b", boottime_ms=0)


def grown(count: int) -> tuple[Tip, tuple[Entry, ...]]:
    return extend(EMPTY, [linked(wall_ms) for wall_ms in range(1, count + 1)])


def test_each_lane_counts_and_chains_for_itself() -> None:
    tip, entries = extend(EMPTY, [linked(1), healthy(2), linked(3)])
    assert [(entry.lane, entry.seq) for entry in entries] == [
        (Lane.ENGAGEMENT, 1),
        (Lane.TELEMETRY, 1),
        (Lane.ENGAGEMENT, 2),
    ]
    assert entries[0].head == chain(CHAIN_START, entries[0].body)
    assert entries[2].head == chain(entries[0].head, entries[2].body)
    assert tip.lanes[Lane.ENGAGEMENT] == LaneTip(2, entries[2].head)
    assert tip.lanes[Lane.MONEY] == LaneTip()


def test_stamps_rise_over_all_lanes_when_the_clock_goes_back() -> None:
    tip, entries = extend(EMPTY, [linked(100), healthy(50), linked(100), linked(101)])
    assert [entry.stamp for entry in entries] == [(100, 0), (100, 1), (100, 2), (101, 0)]
    assert tip.stamp == HybridTime(101, 0)


def test_extending_in_two_steps_is_extending_once() -> None:
    events = [linked(1), healthy(9), linked(3), linked(10)]
    half, first = extend(EMPTY, events[:2])
    whole, rest = extend(half, events[2:])
    assert (whole, first + rest) == extend(EMPTY, events)


def test_a_chain_is_whole_from_its_start_and_from_any_entry() -> None:
    _, entries = grown(5)
    assert first_break(entries, LaneTip()) is None
    assert first_break(entries[3:], LaneTip(entries[2].seq, entries[2].head)) is None


def test_a_changed_dropped_or_swapped_entry_breaks_the_chain_there() -> None:
    _, entries = grown(5)
    changed = entries[2]._replace(body=entries[2].body + b" ")
    assert first_break([*entries[:2], changed, *entries[3:]], LaneTip()) == changed
    assert first_break([*entries[:2], *entries[3:]], LaneTip()) == entries[3]
    assert first_break([entries[1], entries[0]], LaneTip()) == entries[1]


def test_unconfirmed_counts_behind_the_confirmed_entry() -> None:
    tip, _ = grown(5)
    assert unconfirmed(tip, {Lane.ENGAGEMENT: 2}) == {Lane.MONEY: 0, Lane.ENGAGEMENT: 3, Lane.TELEMETRY: 0}
