"""From entries that arrived to what is kept of them: money as lines, bad ones apart, and the sums of all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from cloud_api.ports.storage import DeadLetter, MoneyLine
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
    money: list[MoneyLine]
    letters: list[DeadLetter]
    counts: Counts


def book(entries: Sequence[Entry], zone: ZoneInfo, *, written: Iterable[Written] = ()) -> Booked:
    """``zone``: the branch's own, whose calendar the sums go by; ``written``: the same entries as they arrived."""
    days = Days(zone)
    judged = judge_entries(entries, written)
    letters = [DeadLetter(entry.seq, fault.value, entry.body) for entry, fault in judged.apart]
    money = chain.from_iterable(_lines(each, days) for each in judged.columns if each.kind.lane is Lane.MONEY)
    return Booked(sorted(money, key=itemgetter(0)), letters, count(judged.columns, days))


class _Fields(NamedTuple):
    """The fields of an event that fill the columns of its line; where none is named, nothing does."""

    campaign: str | None = None
    coupon: str | None = None
    amount_minor: str | None = None
    basket_minor: str | None = None
    currency: str | None = None
    edition: str | None = None
    not_after_ms: str | None = None
    order_id: str | None = None
    redemption: str | None = None
    till: str | None = None
    by_whom: str | None = None


_FIELDS: Final[Mapping[type[Event], _Fields]] = {
    CouponIssued: _Fields(
        campaign="campaign",
        coupon="coupon",
        amount_minor="liability_minor",
        currency="currency",
        edition="edition",
        not_after_ms="not_after_ms",
    ),
    CouponRedeemed: _Fields(
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
    RedemptionUndone: _Fields(
        campaign="campaign",
        coupon="coupon",
        amount_minor="discount_minor",
        currency="currency",
        redemption="redemption",
        till="till",
        by_whom="cashier",
    ),
    OrderRecorded: _Fields(
        amount_minor="discount_minor",
        basket_minor="basket_minor",
        currency="currency",
        order_id="order",
        till="till",
        by_whom="cashier",
    ),
    CampaignStopped: _Fields(campaign="campaign", by_whom="by"),
}
# Amounts add up, so where an event has none there stands a number.
_AMOUNTS: Final = ("amount_minor", "basket_minor")


def _lines(each: EventColumns, days: Days) -> Iterator[MoneyLine]:
    own = _FIELDS.get(each.kind, _Fields())
    filled: list[Iterable[Any]] = []
    for column, field in own._asdict().items():
        nothing = 0 if column in _AMOUNTS else None
        filled.append(repeat(nothing) if field is None else each.fields[field])
    what = each.kind.model_fields["what"].default
    return map(MoneyLine, each.seqs, repeat(what), each.wall_ms, days.of_all(each.wall_ms), *filled)
