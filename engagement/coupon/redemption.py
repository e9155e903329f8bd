"""The one decision whether a coupon is redeemed: a list of refusals, read from top to bottom.

No transport, no storage and no clock is here, so the same decision serves the till page, the API and the quote.
"""

from dataclasses import dataclass

from engagement.campaign.state import StopRecord
from engagement.clock.moment import Moment
from engagement.coupon.coupon import CouponRecord, Standing, standing
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.order import Applied, judge_stacking


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a redemption rests on besides the coupon. ``applied``: coupons already on the order;
    ``redeemed_by_subject``: how many coupons of the campaign this subject has redeemed."""

    now: Moment
    basket_minor: int
    currency: str
    applied: tuple[Applied, ...]
    stop: StopRecord | None
    redeemed_by_subject: int


def decide_redemption(coupon: CouponRecord, at: Circumstances) -> int | Refusal:
    """The discount in minor units, at least 1, or the first reason against it. First what no till can cure."""
    stands = standing(coupon, at.now)
    if stands is Standing.VOIDED:
        return Refusal(Reason.VOIDED)
    if coupon.redemption is not None:
        return Refusal(
            Reason.ALREADY_REDEEMED,
            words={"till": coupon.redemption.till, "order": coupon.redemption.order},
            instants_ms={"redeemed_at": coupon.redemption.redeemed_ms},
        )
    if stands is Standing.EXPIRED:
        return Refusal(Reason.EXPIRED, instants_ms={"expired_at": coupon.not_after_ms})
    if at.stop is not None and not at.stop.honour_issued:
        return Refusal(Reason.CAMPAIGN_STOPPED)
    if stands is Standing.NOT_YET_VALID:
        return Refusal(Reason.NOT_YET_VALID, instants_ms={"valid_from": coupon.not_before_ms})
    offer = coupon.offer
    if at.currency != offer.currency:
        return Refusal(
            Reason.WRONG_CURRENCY,
            words={"coupon_currency": offer.currency, "basket_currency": at.currency},
        )
    if at.redeemed_by_subject >= coupon.redeem_limit:
        return Refusal(Reason.LIMIT_REACHED)
    if at.basket_minor < offer.basket_minor_min:
        return Refusal(
            Reason.BELOW_MIN_SPEND,
            amounts_minor={
                "min_spend": offer.basket_minor_min,
                "short_by": offer.basket_minor_min - at.basket_minor,
            },
            currency=offer.currency,
        )
    refusal = judge_stacking(coupon.stacking, (applied.stacking for applied in at.applied))
    if refusal is not None:
        return refusal
    left_minor = at.basket_minor - sum(applied.discount_minor for applied in at.applied)
    if left_minor <= 0:
        # The others have paid for everything: this coupon would be used up for nothing.
        return Refusal(Reason.NOT_WITH_OTHERS)
    return min(offer.discount_minor(at.basket_minor), left_minor)
