"""What several coupons take off one basket, and in which order."""

from itertools import permutations
from typing import Any

from engagement.coupon.coupon import CouponRecord
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.quote import Candidate, QuoteLine, quote
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import HOUR_MS, NOON_MS, issued, moment

LEDGER = DictLedger()


def coupon(name: str, number: int, *, group: str, minor: int = 1000, **changes: Any) -> CouponRecord:
    stacking = {"group": group} | changes.pop("stacking", {})
    campaign = shop.campaign(
        id=name, number=number, offer={"kind": "cash", "value_minor": minor}, stacking=stacking, **changes
    )
    return issued(shop.give(LEDGER, of=campaign))


FOOD_10 = coupon("food-10", 11, group="food", minor=1000)
FOOD_20 = coupon("food-20", 12, group="food", minor=2000)
TOYS_10 = coupon("toys-10", 13, group="toys", minor=1000)
FIRST = coupon("first", 14, group="first", minor=100, stacking={"priority": 900})
ALONE = coupon("alone", 15, group="alone", minor=9000, stacking={"exclusive": True})


def quoted(*coupons: CouponRecord, basket_minor: int = 10_000) -> list[QuoteLine]:
    candidates = [Candidate(coupon, None, 0) for coupon in coupons]
    return quote(candidates, now=moment(), basket_minor=basket_minor, currency="CNY")


def taken(*coupons: CouponRecord, basket_minor: int = 10_000) -> dict[str, int]:
    """The accepted campaigns with what each takes off, in the order of application."""
    return {
        line.coupon.campaign: line.outcome
        for line in quoted(*coupons, basket_minor=basket_minor)
        if isinstance(line.outcome, int)
    }


def test_priority_goes_before_worth_and_of_a_group_the_best_one_applies() -> None:
    assert list(taken(TOYS_10, FOOD_10, FOOD_20, FIRST).items()) == [
        ("first", 100),
        ("food-20", 2000),
        ("toys-10", 1000),
    ]


def test_an_exclusive_coupon_that_is_worth_most_applies_alone() -> None:
    assert taken(FOOD_20, ALONE) == {"alone": 9000}


def test_coupons_never_take_off_more_than_the_basket() -> None:
    assert taken(FOOD_20, TOYS_10, basket_minor=2500) == {"food-20": 2000, "toys-10": 500}
    assert taken(FOOD_20, TOYS_10, basket_minor=2000) == {"food-20": 2000}


def test_a_coupon_given_twice_counts_once() -> None:
    lines = quoted(FOOD_10, FOOD_10)
    assert [line.outcome for line in lines] == [1000, Refusal(Reason.NOT_WITH_OTHERS)]


def test_of_equal_coupons_the_one_that_ends_first_applies_whatever_the_order_given() -> None:
    twice = shop.campaign(
        id="twice",
        number=20,
        limits={"issue": 3, "issue_per_day": 3},
        offer={"kind": "cash", "value_minor": 1000},
    )
    three = [
        issued(shop.give(LEDGER, of=twice, now=moment(NOON_MS - hours * HOUR_MS))) for hours in (1, 3, 2)
    ]
    for given in permutations(three):
        accepted = [line.coupon for line in quoted(*given) if not isinstance(line.outcome, Refusal)]
        assert accepted == [three[1]]


def test_the_persons_limit_counts_the_coupons_of_this_very_basket() -> None:
    once = shop.campaign(
        id="once",
        number=21,
        limits={"issue": 3, "issue_per_day": 3, "redeem": 1},
        offer={"kind": "cash", "value_minor": 1000},
        stacking={"max_in_group": 3},
    )
    mine = [issued(shop.give(LEDGER, of=once)) for _ in range(2)]
    hers = issued(shop.give(LEDGER, shop.BERT, of=once))
    outcomes = [line.outcome for line in quoted(*mine, hers)]
    assert outcomes == [1000, Refusal(Reason.LIMIT_REACHED), 1000]
