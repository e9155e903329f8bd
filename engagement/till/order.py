"""An order at a till: its basket, and the coupons taken off it. Rules of stacking live here."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from engagement.campaign.model import Stacking
from engagement.clock.moment import Moment
from engagement.ids import CampaignId, CashierName, CouponId, OrderId, RedemptionId, TillName
from engagement.journal.event import OrderRecorded
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.values import Value


class Applied(Value):
    """A coupon that was taken off an order."""

    redemption: RedemptionId
    coupon: CouponId
    campaign: CampaignId
    stacking: Stacking
    discount_minor: int


class OrderRecord(Record):
    """Keyed by till and order id. ``closed_ms`` is set once the till has reported the order as paid."""

    kind: ClassVar[str] = "order"
    order: OrderId
    till: TillName
    cashier: CashierName
    currency: str
    basket_minor: int
    opened_ms: int
    applied: tuple[Applied, ...] = ()
    closed_ms: int | None = None

    @property
    def discount_minor(self) -> int:
        return sum(applied.discount_minor for applied in self.applied)


def order_key(till: TillName, order: OrderId) -> Key[OrderRecord]:
    return Key(OrderRecord, f"{till}|{order}")


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What a till says of an order that was paid."""

    order: OrderId
    till: TillName
    cashier: CashierName
    currency: str
    basket_minor: int
    now: Moment


def close_order_rule(report: OrderReport) -> Rule[OrderRecord | Refusal]:
    """Close an order; the same report again is answered the same, another basket for a closed order is refused."""
    key = order_key(report.till, report.order)

    def rule(rows: Rows) -> Ruling[OrderRecord | Refusal]:
        before = rows.get(key)
        if before is not None and before.closed_ms is not None:
            if (before.basket_minor, before.currency) == (report.basket_minor, report.currency):
                return Ruling(before)
            return Ruling(closed_refusal(before))
        closed = OrderRecord(
            id=key.id,
            order=report.order,
            till=report.till,
            cashier=report.cashier,
            currency=report.currency,
            basket_minor=report.basket_minor,
            opened_ms=before.opened_ms if before is not None else report.now.wall_ms,
            applied=before.applied if before is not None else (),
            closed_ms=report.now.wall_ms,
        )
        event = OrderRecorded(
            moment=report.now,
            order=report.order,
            till=report.till,
            cashier=report.cashier,
            basket_minor=report.basket_minor,
            discount_minor=closed.discount_minor,
            currency=report.currency,
        )
        return Ruling(closed, writes=(closed,), events=(event,))

    return rule


def closed_refusal(order: OrderRecord) -> Refusal:
    """Why a closed order takes nothing more."""
    return Refusal(Reason.ORDER_CLOSED, amounts_minor={"basket": order.basket_minor}, currency=order.currency)


def judge_stacking(stacking: Stacking, others: Iterable[Stacking]) -> Refusal | None:
    """Whether a coupon may join those already on an order: exclusive ones stand alone, groups have a size."""
    others = tuple(others)
    alone = stacking.exclusive or any(other.exclusive for other in others)
    if others and alone:
        return Refusal(Reason.NOT_WITH_OTHERS)
    in_group = [other for other in others if other.group == stacking.group]
    room = min([stacking.max_in_group, *(other.max_in_group for other in in_group)])
    if len(in_group) >= room:
        return Refusal(Reason.NOT_WITH_OTHERS)
    return None
