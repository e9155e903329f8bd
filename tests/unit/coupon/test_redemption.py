"""The one decision, as a table: each reason in the order in which it is said, and what passes."""

from dataclasses import replace

import pytest

from engagement.campaign.model import Campaign, Offer, Stacking
from engagement.campaign.state import StopRecord
from engagement.coupon.coupon import CouponRecord, Redemption
from engagement.coupon.lifecycle import CouponState
from engagement.coupon.redemption import Circumstances, decide_redemption
from engagement.ids import CouponId, OrderId, RedemptionId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.order import Applied
from tests.fakes import shop
from tests.fakes.shop import DAY_MS, MINUTE_MS, NOON_MS, moment

# 20.00 off from 100.00 on, usable in an hour's time for 7 days, one use per person, alone in its group.
LATER = shop.campaign(window=shop.campaign_file()["window"] | {"use_after_minutes": 60}, limits={"redeem": 1})
COUPON = shop.coupon(of=LATER)
USABLE_MS = NOON_MS + 60 * MINUTE_MS
LAST_MS = USABLE_MS + 7 * DAY_MS + MINUTE_MS - 1

GOOD = Circumstances(
    now=moment(USABLE_MS), basket_minor=10_000, currency="CNY", applied=(), stop=None, redeemed_by_subject=0
)
STOP = StopRecord(id=COUPON.campaign, stopped_ms=NOON_MS, by="boss", honour_issued=False)
REDEMPTION = Redemption(
    id=RedemptionId("r000001-x"), order=OrderId("7"), till=shop.TILL, cashier=shop.CASHIER,
    moment=moment(NOON_MS), discount_minor=2000,
)  # fmt: skip


def applied(*, stacking: Stacking | None = None, discount_minor: int = 0) -> Applied:
    return Applied(
        redemption=RedemptionId("r"), coupon=CouponId("c"), campaign=COUPON.campaign,
        stacking=stacking or Stacking(group="other"), discount_minor=discount_minor,
    )  # fmt: skip


def state(state: CouponState, redemption: Redemption | None = None) -> CouponRecord:
    return COUPON.model_copy(update={"state": state, "redemption": redemption})


# Each row is refused for its own reason although everything wrong in the rows below it is wrong with it too.
WORSE_FIRST = [
    Reason.VOIDED,
    Reason.ALREADY_REDEEMED,
    Reason.EXPIRED,
    Reason.CAMPAIGN_STOPPED,
    Reason.NOT_YET_VALID,
    Reason.WRONG_CURRENCY,
    Reason.LIMIT_REACHED,
    Reason.BELOW_MIN_SPEND,
    Reason.NOT_WITH_OTHERS,
]


@pytest.mark.parametrize("first", WORSE_FIRST)
def test_the_first_reason_in_the_order_is_the_one_that_is_said(first: Reason) -> None:
    wrong = set(WORSE_FIRST[WORSE_FIRST.index(first) :])
    coupon, at = COUPON, GOOD
    if Reason.NOT_WITH_OTHERS in wrong:
        at = replace(at, applied=(applied(stacking=COUPON.stacking),))
    if Reason.BELOW_MIN_SPEND in wrong:
        at = replace(at, basket_minor=9_999)
    if Reason.LIMIT_REACHED in wrong:
        at = replace(at, redeemed_by_subject=1)
    if Reason.WRONG_CURRENCY in wrong:
        at = replace(at, currency="EUR")
    if Reason.NOT_YET_VALID in wrong:
        at = replace(at, now=moment(USABLE_MS - 1))
    if Reason.CAMPAIGN_STOPPED in wrong:
        at = replace(at, stop=STOP)
    if Reason.EXPIRED in wrong:
        at = replace(at, now=moment(LAST_MS + 1))
    if Reason.ALREADY_REDEEMED in wrong:
        coupon = state(CouponState.REDEEMED, REDEMPTION)
    if Reason.VOIDED in wrong:
        coupon = state(CouponState.VOIDED)
    refusal = decide_redemption(coupon, at)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is first


def test_what_fits_takes_off_what_the_offer_says() -> None:
    assert decide_redemption(COUPON, GOOD) == 2000


@pytest.mark.parametrize(
    ("now", "answer"),
    [
        (moment(USABLE_MS - 1), Reason.NOT_YET_VALID),
        (moment(USABLE_MS), 2000),
        (moment(LAST_MS), 2000),
        (moment(LAST_MS + 1), Reason.EXPIRED),
        # Within what the clock may be off, the shopper is right.
        (moment(USABLE_MS - 5000, error_ms=5000), 2000),
        (moment(USABLE_MS - 5001, error_ms=5000), Reason.NOT_YET_VALID),
        (moment(LAST_MS + 5000, error_ms=5000), 2000),
        (moment(LAST_MS + 5001, error_ms=5000), Reason.EXPIRED),
    ],
)
def test_validity_includes_both_ends_and_the_clocks_error(now: object, answer: object) -> None:
    outcome = decide_redemption(COUPON, replace(GOOD, now=now))  # type: ignore[arg-type]
    assert (outcome.reason if isinstance(outcome, Refusal) else outcome) == answer


def test_a_stop_that_honours_issued_coupons_takes_nothing_from_them() -> None:
    honoured = STOP.model_copy(update={"honour_issued": True})
    assert decide_redemption(COUPON, replace(GOOD, stop=honoured)) == 2000


def test_refusals_carry_what_their_sentences_speak_of() -> None:
    assert decide_redemption(state(CouponState.REDEEMED, REDEMPTION), GOOD) == Refusal(
        Reason.ALREADY_REDEEMED, words={"till": "till 1", "order": "7"}, instants_ms={"redeemed_at": NOON_MS}
    )
    assert decide_redemption(COUPON, replace(GOOD, basket_minor=9_900)) == Refusal(
        Reason.BELOW_MIN_SPEND, amounts_minor={"min_spend": 10_000, "short_by": 100}, currency="CNY"
    )


def free(offer: Offer) -> Campaign:
    """A campaign without a minimum, whose coupons go with all others."""
    return shop.campaign(offer=offer.model_dump())


@pytest.mark.parametrize(
    ("offer", "basket_minor", "taken_minor", "discount_minor"),
    [
        (Offer(kind="cash", value_minor=2000), 5000, 1000, 2000),
        (Offer(kind="cash", value_minor=2000), 5000, 4000, 1000),  # what others left
        (Offer(kind="percent", off_bps=1000, cap_minor=900), 5000, 0, 500),
        (Offer(kind="percent", off_bps=1000, cap_minor=900), 50_000, 0, 900),
    ],
)
def test_the_discount_is_never_more_than_what_other_coupons_left(
    offer: Offer, basket_minor: int, taken_minor: int, discount_minor: int
) -> None:
    coupon = shop.coupon(of=free(offer))
    others = (applied(discount_minor=taken_minor),)
    at = replace(GOOD, now=moment(), basket_minor=basket_minor, applied=others)
    assert decide_redemption(coupon, at) == discount_minor


def test_no_coupon_is_used_up_for_nothing() -> None:
    cash = shop.coupon(of=free(Offer(kind="cash", value_minor=2000)))
    percent = shop.coupon(of=free(Offer(kind="percent", off_bps=1500, cap_minor=900)))
    here = replace(GOOD, now=moment())
    paid = replace(here, basket_minor=5000, applied=(applied(discount_minor=5000),))
    assert decide_redemption(cash, paid) == Refusal(Reason.NOT_WITH_OTHERS)
    assert decide_redemption(cash, replace(here, basket_minor=0)) == Refusal(
        Reason.BELOW_MIN_SPEND, amounts_minor={"min_spend": 1, "short_by": 1}, currency="CNY"
    )
    # 15 % of 6 fen is no fen; of 7 fen it is one.
    assert decide_redemption(percent, replace(here, basket_minor=6)) == Refusal(
        Reason.BELOW_MIN_SPEND, amounts_minor={"min_spend": 7, "short_by": 1}, currency="CNY"
    )
    assert decide_redemption(percent, replace(here, basket_minor=7)) == 1
