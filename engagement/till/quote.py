"""What coupons would take off a basket, without taking it: the till's preview, and the plan that an order follows."""

from collections.abc import Sequence
from dataclasses import dataclass

from engagement.campaign.state import StopRecord
from engagement.clock.moment import Moment
from engagement.coupon.coupon import CouponRecord
from engagement.coupon.redemption import Circumstances, decide_redemption
from engagement.ids import CampaignId, RedemptionId, SubjectId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.order import Applied


@dataclass(frozen=True, slots=True)
class Candidate:
    """A coupon that the till wants to use, with the rows that its judgement needs."""

    coupon: CouponRecord
    stop: StopRecord | None
    redeemed_by_subject: int


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """``outcome``: the discount in minor units, or why not."""

    coupon: CouponRecord
    outcome: int | Refusal


def quote(
    candidates: Sequence[Candidate],
    *,
    now: Moment,
    basket_minor: int,
    currency: str,
    already_applied: tuple[Applied, ...] = (),
) -> list[QuoteLine]:
    """Judge the coupons together, by priority (higher first), then by worth (higher first), then by what ends first.

    In what order they were given makes no difference.
    Shape: one line per candidate, in the order in which they are applied; a coupon given twice is refused the
    second time.
    """
    applied = list(already_applied)
    used: dict[tuple[CampaignId, SubjectId], int] = {}
    seen: set[str] = set()
    lines: list[QuoteLine] = []
    for candidate in sorted(candidates, key=lambda given: _precedence(given.coupon, basket_minor)):
        coupon = candidate.coupon
        if coupon.id in seen:
            lines.append(QuoteLine(coupon, Refusal(Reason.NOT_WITH_OTHERS)))
            continue
        seen.add(coupon.id)
        whose = (coupon.campaign, coupon.subject)
        outcome = decide_redemption(
            coupon,
            Circumstances(
                now=now,
                basket_minor=basket_minor,
                currency=currency,
                applied=tuple(applied),
                stop=candidate.stop,
                redeemed_by_subject=candidate.redeemed_by_subject + used.get(whose, 0),
            ),
        )
        lines.append(QuoteLine(coupon, outcome))
        if not isinstance(outcome, Refusal):
            used[whose] = used.get(whose, 0) + 1
            applied.append(_as_applied(coupon, outcome))
    return lines


def _precedence(coupon: CouponRecord, basket_minor: int) -> tuple[int, int, int, int]:
    worth_minor = coupon.offer.discount_minor(basket_minor)
    return (-coupon.stacking.priority, -worth_minor, coupon.not_after_ms, coupon.serial)


def _as_applied(coupon: CouponRecord, discount_minor: int) -> Applied:
    return Applied(
        redemption=RedemptionId(""),
        coupon=coupon.coupon,
        campaign=coupon.campaign,
        stacking=coupon.stacking,
        discount_minor=discount_minor,
    )
