"""From entries that arrived to what is kept of them: money as lines, bad ones apart, and the sums of all."""

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from cloud_api.ports.storage import DeadLetter, MoneyLine
from engagement.ids import LocalDay
from engagement.journal.entry import Entry
from engagement.journal.event import (
    AnyEvent,
    CampaignStopped,
    CouponIssued,
    CouponRedeemed,
    Lane,
    OrderRecorded,
    RedemptionUndone,
)
from engagement.line.judging import Fault, judge
from engagement.settlement.funnel import Counts, Days, count


@dataclass(frozen=True, slots=True)
class Booked:
    money: list[MoneyLine]
    letters: list[DeadLetter]
    counts: Counts


def book(entries: Iterable[Entry], zone: ZoneInfo) -> Booked:
    """``zone``: the branch's own, whose calendar the sums go by."""
    days = Days(zone)
    events: list[AnyEvent] = []
    money: list[MoneyLine] = []
    letters: list[DeadLetter] = []
    for entry in entries:
        event = judge(entry)
        if isinstance(event, Fault):
            letters.append(DeadLetter(entry.seq, event.value, entry.body))
            continue
        events.append(event)
        if entry.lane is Lane.MONEY:
            money.append(_line(entry.seq, event, days.of(event.moment.wall_ms)))
    return Booked(money, letters, count(events, days))


def _line(seq: int, event: AnyEvent, day: LocalDay) -> MoneyLine:
    at_ms = event.moment.wall_ms
    match event:
        case CouponIssued():
            return MoneyLine(
                seq, event.what, at_ms, day, event.campaign, event.coupon, event.liability_minor, 0, event.currency,
                event.edition, event.not_after_ms, None, None, None, None,
            )  # fmt: skip
        case CouponRedeemed():
            return MoneyLine(
                seq, event.what, at_ms, day, event.campaign, event.coupon, event.discount_minor, event.basket_minor,
                event.currency, None, None, event.order, event.redemption, event.till, event.cashier,
            )  # fmt: skip
        case RedemptionUndone():
            return MoneyLine(
                seq, event.what, at_ms, day, event.campaign, event.coupon, event.discount_minor, 0, event.currency,
                None, None, None, event.redemption, event.till, event.cashier,
            )  # fmt: skip
        case OrderRecorded():
            return MoneyLine(
                seq, event.what, at_ms, day, None, None, event.discount_minor, event.basket_minor, event.currency,
                None, None, event.order, None, event.till, event.cashier,
            )  # fmt: skip
        case CampaignStopped():
            return MoneyLine(
                seq, event.what, at_ms, day, event.campaign, None, 0, 0, None, None, None, None, None, None, event.by
            )  # fmt: skip
        case _:
            return MoneyLine(
                seq, event.what, at_ms, day, None, None, 0, 0, None, None, None, None, None, None, None
            )
