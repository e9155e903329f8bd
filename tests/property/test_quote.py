"""Whatever coupons a till throws at a basket: never more than the basket, each once, the same in any order."""

from hypothesis import given
from hypothesis import strategies as st

from engagement.coupon.coupon import CouponRecord
from engagement.refusal.refusal import Refusal
from engagement.till.order import judge_stacking
from engagement.till.quote import Candidate, quote
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import issued, moment

OFFERS = st.builds(
    lambda minor, spend: {"kind": "cash", "value_minor": minor, "min_spend_minor": spend},
    st.integers(1, 9_000),
    st.integers(0, 12_000),
) | st.builds(
    lambda bps, cap, spend: {"kind": "percent", "off_bps": bps, "cap_minor": cap, "min_spend_minor": spend},
    st.integers(1, 10_000),
    st.integers(1, 9_000),
    st.integers(0, 12_000),
)
STACKINGS = st.fixed_dictionaries(
    {
        "group": st.sampled_from(["food", "toys"]),
        "exclusive": st.sampled_from([False, False, False, True]),
        "priority": st.sampled_from([0, 100, 100, 200]),
        "max_in_group": st.integers(1, 4),
    }
)


@st.composite
def coupons(draw: st.DrawFn) -> list[CouponRecord]:
    """Up to eight coupons of up to four campaigns, some of one person."""
    made: list[CouponRecord] = []
    ledger = DictLedger()
    for number in range(1, draw(st.integers(2, 5))):
        campaign = shop.campaign(
            id=f"c-{number}",
            number=number,
            offer=draw(OFFERS),
            stacking=draw(STACKINGS),
            limits={"issue": 2, "issue_per_day": 2, "redeem": draw(st.integers(1, 2))},
        )
        people = draw(st.lists(st.sampled_from([shop.ANNA, shop.BERT]), min_size=1, max_size=2))
        made += [issued(shop.give(ledger, person, of=campaign)) for person in people]
    return made


BASKETS = st.integers(0, 20_000)


def taken(given_coupons: list[CouponRecord], basket_minor: int) -> dict[str, int]:
    lines = quote(
        [Candidate(coupon, None, 0) for coupon in given_coupons],
        now=moment(),
        basket_minor=basket_minor,
        currency="CNY",
    )
    assert len(lines) == len(given_coupons)
    accepted = [line for line in lines if not isinstance(line.outcome, Refusal)]
    assert len({line.coupon.id for line in accepted}) == len(accepted), "each once"
    return {line.coupon.id: line.outcome for line in accepted if isinstance(line.outcome, int)}


@given(coupons(), BASKETS)
def test_together_they_take_off_at_most_the_basket_and_each_at_least_something(
    given_coupons: list[CouponRecord], basket_minor: int
) -> None:
    discounts = taken(given_coupons, basket_minor)
    assert sum(discounts.values()) <= basket_minor
    for coupon in given_coupons:
        if coupon.id in discounts:
            assert 1 <= discounts[coupon.id] <= coupon.offer.liability_minor
            assert basket_minor >= coupon.offer.min_spend_minor


@given(coupons(), BASKETS, st.randoms(use_true_random=False), st.integers(0, 3))
def test_order_and_repetition_of_the_codes_make_no_difference(
    given_coupons: list[CouponRecord], basket_minor: int, dice: object, repeated: int
) -> None:
    shuffled = [*given_coupons, *given_coupons[:repeated]]
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert taken(shuffled, basket_minor) == taken(given_coupons, basket_minor)


@given(coupons(), BASKETS)
def test_what_is_taken_together_may_stand_together(
    given_coupons: list[CouponRecord], basket_minor: int
) -> None:
    discounts = taken(given_coupons, basket_minor)
    on_order = [coupon for coupon in given_coupons if coupon.id in discounts]
    for coupon in on_order:
        others = [other.stacking for other in on_order if other.id != coupon.id]
        assert judge_stacking(coupon.stacking, others) is None
    for campaign in {coupon.campaign for coupon in on_order}:
        for person in (shop.ANNA, shop.BERT):
            whose = [c for c in on_order if (c.campaign, c.subject) == (campaign, person)]
            assert len(whose) <= min((c.redeem_limit for c in whose), default=0)
