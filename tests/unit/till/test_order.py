"""Which coupons may share an order, and how an order is closed."""

from itertools import permutations

import pytest

from engagement.campaign.model import Stacking
from engagement.ids import OrderId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.order import (
    OrderRecord,
    OrderReport,
    close_order_rule,
    judge_stacking,
    order_key,
)
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import MINUTE_MS, NOON_MS, accepted, moment

FOOD = Stacking(group="food")
FOOD_2 = Stacking(group="food", max_in_group=2)
FOOD_3 = Stacking(group="food", max_in_group=3)
TOYS = Stacking(group="toys")
ALONE = Stacking(group="toys", exclusive=True)


@pytest.mark.parametrize(
    ("joining", "there", "may"),
    [
        (FOOD, [], True),
        (FOOD, [TOYS], True),
        (FOOD, [FOOD], False),
        (FOOD_2, [FOOD_2], True),
        (FOOD_2, [FOOD_2, FOOD_2], False),
        (FOOD_3, [FOOD_3, FOOD_2], False),  # one there allows only two
        (FOOD_3, [FOOD], False),
        (FOOD_3, [FOOD_3, TOYS, FOOD_3], True),
        (ALONE, [], True),
        (ALONE, [FOOD], False),
        (FOOD, [ALONE], False),
    ],
)
def test_groups_have_a_size_and_exclusive_ones_stand_alone(
    joining: Stacking, there: list[Stacking], may: bool
) -> None:
    for order in permutations(there):
        assert judge_stacking(joining, order) == (None if may else Refusal(Reason.NOT_WITH_OTHERS))


def report(*, basket_minor: int = 10_000, at_ms: int = NOON_MS) -> OrderReport:
    return OrderReport(
        order=OrderId("order-1"), till=shop.TILL, cashier=shop.CASHIER, currency="CNY",
        basket_minor=basket_minor, now=moment(at_ms),
    )  # fmt: skip


def close(ledger: DictLedger, told: OrderReport) -> OrderRecord | Refusal:
    return ledger.decide([order_key(told.till, told.order)], close_order_rule(told))


def test_a_closed_order_is_journaled_once_and_the_same_report_is_answered_the_same() -> None:
    ledger = DictLedger()
    accepted(shop.redeem(ledger, shop.issued(shop.give(ledger)), request="1"))
    closed = close(ledger, report())
    assert isinstance(closed, OrderRecord)
    assert (closed.basket_minor, closed.discount_minor, closed.closed_ms) == (10_000, 2000, NOON_MS)
    assert close(ledger, report(at_ms=NOON_MS + MINUTE_MS)) == closed
    assert [event.what for event in ledger.events].count("order_recorded") == 1


def test_another_basket_for_a_closed_order_is_refused_with_the_basket_it_was_closed_at() -> None:
    ledger = DictLedger()
    close(ledger, report())
    assert close(ledger, report(basket_minor=9_000)) == Refusal(
        Reason.ORDER_CLOSED, amounts_minor={"basket": 10_000}, currency="CNY"
    )


def test_a_closed_order_takes_no_coupon_more_and_keeps_its_sums_through_an_undo() -> None:
    ledger = DictLedger()
    first, second = shop.issued(shop.give(ledger)), shop.issued(shop.give(ledger, shop.BERT))
    used = accepted(shop.redeem(ledger, first, request="1"))
    closed = close(ledger, report())
    late = shop.redeem(ledger, second, request="2")
    assert isinstance(late, Refusal)
    assert late.reason is Reason.ORDER_CLOSED
    assert not isinstance(shop.undo(ledger, used), Refusal)
    assert close(ledger, report()) == closed


def test_tills_have_orders_of_their_own() -> None:
    ledger = DictLedger()
    first, second = shop.issued(shop.give(ledger)), shop.issued(shop.give(ledger, shop.BERT))
    accepted(shop.redeem(ledger, first, request="1", till=shop.TILL))
    accepted(shop.redeem(ledger, second, request="1", till=shop.OTHER_TILL))
