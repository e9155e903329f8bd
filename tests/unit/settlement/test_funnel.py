"""The funnel's formulas, by example; days are the branch's own."""

from zoneinfo import ZoneInfo

from engagement.ids import BeaconName, LocalDay
from engagement.journal.event import AnyEvent
from engagement.journal.event_columns import as_columns
from engagement.settlement.funnel import CountKey, Counts, Days, Measure, TagSeen, count, funnel, merge, total
from tests.fakes import shop
from tests.fakes.happenings import came, consented, issued, redeemed, shaken, undone

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
LIN = BeaconName("lin")
DAY, NEXT = LocalDay("2026-11-21"), LocalDay("2026-11-22")
WELCOME, SHAKE = shop.campaign(), shop.shake_campaign()
BACK = shop.campaign(id="back", number=5, trigger={"on": "welcome_back"})
# 18:00 UTC: already the next day in Shanghai, not yet in Berlin.
EVENING = shop.moment(shop.NOON_MS + 6 * shop.HOUR_MS)


def counted(*events: AnyEvent, zone: ZoneInfo = SHANGHAI) -> Counts:
    return count(as_columns(enumerate(events)), Days(zone))


def test_an_event_belongs_to_the_branchs_own_day() -> None:
    assert [*counted(consented(EVENING)).sums] == [CountKey(NEXT, None, Measure.CONSENTED)]
    assert [*counted(consented(EVENING), zone=BERLIN).sums] == [CountKey(DAY, None, Measure.CONSENTED)]


def test_midnight_is_exact_where_zones_are_off_by_quarters() -> None:
    days = Days(ZoneInfo("Asia/Kathmandu"))  # UTC+5:45
    midnight_ms = shop.NOON_MS + 6 * shop.HOUR_MS + 15 * shop.MINUTE_MS
    assert [days.of(midnight_ms - 1), days.of(midnight_ms), days.of(midnight_ms - 1)] == [DAY, NEXT, DAY]


def test_money_is_net_of_what_was_undone() -> None:
    counts = counted(issued(1), issued(2), redeemed(1), redeemed(2), undone(1))
    assert counts.sums == {
        CountKey(DAY, WELCOME.id, Measure.CLAIMED): 2,
        CountKey(DAY, WELCOME.id, Measure.CLAIMED_MINOR): 4000,
        CountKey(DAY, WELCOME.id, Measure.REDEEMED): 1,
        CountKey(DAY, WELCOME.id, Measure.REDEEMED_MINOR): 2000,
    }
    assert counted(redeemed(1), undone(1)) == Counts()


def test_a_tag_counts_once_a_day_and_stage() -> None:
    counts = counted(came("lin"), came("lin"), came("lin", stays=True), came("lin", now=EVENING))
    assert counts.tags == {
        TagSeen(DAY, "enter", LIN),
        TagSeen(DAY, "dwell", LIN),
        TagSeen(NEXT, "enter", LIN),
    }


def test_each_trigger_has_its_own_detected_and_shown() -> None:
    here = counted(
        consented(), consented(), shaken(1), shaken(2, won=True), came("lin"), came("lin", stays=True)
    )
    there = counted(consented(), came("lin"), issued(1), redeemed(1))
    welcome, shake, back = funnel((WELCOME, SHAKE, BACK), total((here, there)))
    assert (welcome.detected, welcome.shown, welcome.claimed, welcome.redeemed) == (3, 3, 1, 1)
    assert (shake.detected, shake.shown, shake.won, shake.claimed) == (3, 2, 1, 0)
    assert (back.detected, back.shown) == (2, 1)


def test_nothing_is_nothing() -> None:
    assert merge(Counts(), counted()) == Counts()
    (line,) = funnel((WELCOME,), total(()))
    assert (line.detected, line.shown, line.claimed, line.redeemed, line.redeemed_minor) == (0, 0, 0, 0, 0)
