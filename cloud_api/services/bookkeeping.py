"""From entries that arrived to what is kept of them: money as lines, bad ones apart, and the sums of all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from cloud_api.ports.storage import DeadLetter, MoneyColumns
from engagement.journal.entry import Entry
from engagement.journal.event import (
    CampaignStopped,
    CouponIssued,
    CouponRedeemed,
    Event,
    Lane,
    OrderRecorded,
    RedemptionUndone,
)
from engagement.journal.event_columns import EventColumns
from engagement.journal.shapes import Written
from engagement.line.judging_columns import judge_entries
from engagement.settlement.funnel import Counts, Days, count


@dataclass(frozen=True, slots=True)
class Booked:
    money: list[MoneyColumns]
    letters: list[DeadLetter]
    counts: Counts


def book(entries: Sequence[Entry], zone: ZoneInfo, *, written: Iterable[Written] = ()) -> Booked:
    """``zone``: the branch's own, whose calendar the sums go by; ``written``: the same entries as they arrived."""
    days = Days(zone)
    judged = judge_entries(entries, written)
    letters = [DeadLetter(entry.seq, fault.value, entry.body) for entry, fault in judged.apart]
    money = [_lines(each, days) for each in judged.columns if each.kind.lane is Lane.MONEY]
    return Booked(money, letters, count(judged.columns, days))


# The fields of an event that fill those of its line, where any do.
_FIELDS: Final[Mapping[type[Event], Mapping[str, str]]] = {
    CouponIssued: dict(
        campaign="campaign",
        coupon="coupon",
        amount_minor="liability_minor",
        currency="currency",
        edition="edition",
        not_after_ms="not_after_ms",
    ),
    CouponRedeemed: dict(
        campaign="campaign",
        coupon="coupon",
        amount_minor="discount_minor",
        basket_minor="basket_minor",
        currency="currency",
        order_id="order",
        redemption="redemption",
        till="till",
        by_whom="cashier",
    ),
    RedemptionUndone: dict(
        campaign="campaign",
        coupon="coupon",
        amount_minor="discount_minor",
        currency="currency",
        redemption="redemption",
        till="till",
        by_whom="cashier",
    ),
    OrderRecorded: dict(
        amount_minor="discount_minor",
        basket_minor="basket_minor",
        currency="currency",
        order_id="order",
        till="till",
        by_whom="cashier",
    ),
    CampaignStopped: dict(campaign="campaign", by_whom="by"),
}


def _lines(each: EventColumns, days: Days) -> MoneyColumns:
    own = {name: each.fields[field] for name, field in _FIELDS.get(each.kind, {}).items()}
    what = each.kind.model_fields["what"].default
    return MoneyColumns(
        what, {"seq": each.seqs, "at_ms": each.wall_ms, "day": days.of_all(each.wall_ms), **own}
    )
