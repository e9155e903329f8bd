"""The journal: numbers without gaps in each lane, stamps that never go back, a chain that shows every change."""

import pytest
from pydantic import ValidationError

from engagement.clock.moment import Moment
from engagement.ids import CampaignId, VisitorId
from engagement.journal.entry import Entry
from engagement.journal.event import CampaignStopped, Event, Lane, MemberLinked
from engagement.journal.tip import EMPTY, LaneTip, Tip, extend, first_break, unconfirmed
from tests.fakes.shop import MINUTE_MS, NOON_MS, moment


def money(number: int, now: Moment | None = None) -> Event:
    return CampaignStopped(
        moment=now or moment(), campaign=CampaignId(f"c-{number}"), by="boss", honour_issued=True
    )


def engagement(number: int) -> Event:
    return MemberLinked(moment=moment(), visitor=VisitorId(f"v-{number}"))


def lane(entries: tuple[Entry, ...], wanted: Lane = Lane.MONEY) -> list[Entry]:
    return [entry for entry in entries if entry.lane is wanted]


def journal(*events: Event) -> tuple[Tip, tuple[Entry, ...]]:
    return extend(EMPTY, events)


def test_each_lane_counts_by_itself() -> None:
    tip, entries = journal(money(1), engagement(1), money(2), engagement(2), money(3))
    assert [entry.seq for entry in lane(entries)] == [1, 2, 3]
    assert [entry.seq for entry in lane(entries, Lane.ENGAGEMENT)] == [1, 2]
    assert unconfirmed(tip, {Lane.MONEY: 1}) == {Lane.MONEY: 2, Lane.ENGAGEMENT: 2, Lane.TELEMETRY: 0}


def test_it_makes_no_difference_how_events_are_grouped() -> None:
    events = [money(number) for number in range(5)]
    tip = EMPTY
    entries: list[Entry] = []
    for event in events:
        tip, more = extend(tip, [event])
        entries += more
    assert (tip, tuple(entries)) == journal(*events)


def test_an_event_comes_back_as_it_was() -> None:
    event = money(1)
    (entry,) = journal(event)[1]
    assert entry.event == event
    with pytest.raises(ValidationError):
        print(entry._replace(body=b'{"what":"unheard_of"}').event)


def test_stamps_rise_over_all_lanes_also_when_the_clock_goes_back() -> None:
    back = moment(NOON_MS - MINUTE_MS)
    stamps = [entry.stamp for entry in journal(money(1), engagement(2), money(3, back), money(4))[1]]
    assert stamps == sorted(set(stamps))
    assert stamps[2].wall_ms == NOON_MS


def test_a_whole_lane_has_no_break_from_anywhere() -> None:
    entries = lane(journal(*(money(number) for number in range(6)))[1])
    assert first_break(entries, LaneTip()) is None
    for at, entry in enumerate(entries, start=1):
        assert first_break(entries[at:], LaneTip(entry.seq, entry.head)) is None


def test_a_dropped_swapped_repeated_or_altered_entry_is_found_where_it_is() -> None:
    entries = lane(journal(*(money(number) for number in range(6)))[1])
    altered = entries[3]._replace(body=entries[3].body.replace(b"boss", b"mole"))
    renumbered = entries[4]._replace(seq=4)
    cases = {
        "dropped": ([*entries[:3], *entries[4:]], entries[4]),
        "dropped and renumbered": ([*entries[:3], renumbered, *entries[5:]], renumbered),
        "swapped": ([*entries[:3], entries[4], entries[3], entries[5]], entries[4]),
        "repeated": ([*entries[:4], entries[3], *entries[4:]], entries[3]),
        "altered": ([*entries[:3], altered, *entries[4:]], altered),
        "from another lane's start": (entries[1:], entries[1]),
    }
    for what, (lines, found) in cases.items():
        assert first_break(lines, LaneTip()) == found, what
