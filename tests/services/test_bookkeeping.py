"""What is kept of each money event as a line; and that it does not matter how the entries were read."""

from zoneinfo import ZoneInfo

import pytest

from cloud_api.ports.storage import MoneyLine, money_lines
from cloud_api.services.bookkeeping import Booked, book
from engagement.ids import CampaignId, CashierName, LocalDay, OrderId, TillName
from engagement.journal.batch import decode_batch, encode_batch
from engagement.journal.event import AnyEvent, CampaignStopped, Event, Lane, OrderRecorded
from tests.fakes import shop
from tests.fakes.happenings import came, consented, issued, redeemed, shaken, undone
from tests.fakes.hq import Journal

ZONE = ZoneInfo("Asia/Shanghai")
DAY = LocalDay("2026-11-21")
NOON = shop.moment()
AT_MS = NOON.wall_ms
STOPPED = CampaignStopped(moment=NOON, campaign=CampaignId("welcome"), by="Till 1", honour_issued=True)
ORDER = OrderRecorded(
    moment=NOON,
    order=OrderId("o1"),
    till=TillName("till-1"),
    cashier=CashierName("Li"),
    basket_minor=12_345,
    discount_minor=2000,
    currency="CNY",
)
NONE: tuple[None, ...] = (None,) * 6


def booked(lane: Lane, *events: Event, by_columns: bool = True) -> Booked:
    journal = Journal()
    journal.add(*events)
    batch = decode_batch(encode_batch(journal.batch(lane=lane)), entries_max=100)
    return book(batch.entries, ZONE, written=batch.written if by_columns else ())


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            issued(1),
            (
                *("coupon_issued", AT_MS, DAY, "welcome", "000001-s", 2000, 0, "CNY", 1),
                *(AT_MS + 7 * shop.DAY_MS, None, None, None, None),
            ),
        ),
        (
            redeemed(1),
            (
                *("coupon_redeemed", AT_MS, DAY, "welcome", "000001-s", 2000, 12_345, "CNY", None, None),
                *("o1", "r1", "till-1", "Li"),
            ),
        ),
        (
            undone(1),
            (
                *("redemption_undone", AT_MS, DAY, "welcome", "000001-s", 2000, 0, "CNY", None, None),
                *(None, "r1", "till-1", "Li"),
            ),
        ),
        (
            ORDER,
            (
                *("order_recorded", AT_MS, DAY, None, None, 2000, 12_345, "CNY", None, None),
                *("o1", None, "till-1", "Li"),
            ),
        ),
        (STOPPED, ("campaign_stopped", AT_MS, DAY, "welcome", None, 0, 0, *NONE, "Till 1")),
    ],
    ids=lambda value: value.what if isinstance(value, Event) else "",
)
@pytest.mark.parametrize("by_columns", [True, False])
def test_every_money_event_has_its_line(event: AnyEvent, line: tuple[object, ...], by_columns: bool) -> None:
    (found,) = money_lines(booked(Lane.MONEY, event, by_columns=by_columns).money)
    assert found == MoneyLine(1, *line)  # type: ignore[arg-type]  # spelt out above as it is kept


def test_lines_are_in_the_order_of_their_seqs() -> None:
    events = (issued(1), redeemed(1), ORDER, issued(2), undone(1), STOPPED, issued(3))
    assert [line.seq for line in money_lines(booked(Lane.MONEY, *events).money)] == [1, 2, 3, 4, 5, 6, 7]


def test_it_does_not_matter_how_the_entries_were_read() -> None:
    """Also where a cashier's name has a quote, so that redemptions are read one by one and the rest by columns."""
    odd = redeemed(2).model_copy(update={"cashier": CashierName('Li "Na"')})
    money = (issued(1), redeemed(1), ORDER, odd, undone(1), STOPPED, issued(3))
    found, expected = (booked(Lane.MONEY, *money, by_columns=by_columns) for by_columns in (True, False))
    assert money_lines(found.money) == money_lines(expected.money)
    assert (found.letters, found.counts) == (expected.letters, expected.counts)
    seen = (consented(), shaken(1, won=True), came("lin"), shaken(2), came("lin"), came('l"n', stays=True))
    assert booked(Lane.ENGAGEMENT, *seen) == booked(Lane.ENGAGEMENT, *seen, by_columns=False)
