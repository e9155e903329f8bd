"""From entries that arrived to what is kept of them: money as lines, bad ones apart, and the sums of all."""

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from cloud_api.ports import DeadLetter, MoneyLine
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
    line = MoneyLine(seq, event.what, event.moment.wall_ms, day, *_NOTHING)
    match event:
        case CouponIssued():
            return line._replace(
                campaign=event.campaign,
                coupon=event.coupon,
                amount_minor=event.liability_minor,
                currency=event.currency,
                edition=event.edition,
                not_after_ms=event.not_after_ms,
            )
        case CouponRedeemed():
            return line._replace(
                campaign=event.campaign,
                coupon=event.coupon,
                amount_minor=event.discount_minor,
                basket_minor=event.basket_minor,
                currency=event.currency,
                order_id=event.order,
                redemption=event.redemption,
                till=event.till,
                by_whom=event.cashier,
            )
        case RedemptionUndone():
            return line._replace(
                campaign=event.campaign,
                coupon=event.coupon,
                amount_minor=event.discount_minor,
                currency=event.currency,
                redemption=event.redemption,
                till=event.till,
                by_whom=event.cashier,
            )
        case OrderRecorded():
            return line._replace(
                amount_minor=event.discount_minor,
                basket_minor=event.basket_minor,
                currency=event.currency,
                order_id=event.order,
                till=event.till,
                by_whom=event.cashier,
            )
        case CampaignStopped():
            return line._replace(campaign=event.campaign, by_whom=event.by)
        case _:
            return line


# campaign, coupon, amounts, and everything that only some money events have.
_NOTHING = (None, None, 0, 0, None, None, None, None, None, None, None)
