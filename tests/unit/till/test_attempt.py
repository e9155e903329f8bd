"""Redeeming and undoing as a till lives it: lost answers, repeats, second thoughts."""

import pytest

from engagement.clock.moment import Moment
from engagement.coupon.coupon import CouponRecord, coupon_key
from engagement.coupon.lifecycle import CouponState
from engagement.ids import RedemptionId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import (
    UNDO_WINDOW_MS,
    Accepted,
    Undone,
    redemption_id,
    serial_of_redemption,
)
from engagement.till.order import order_key
from engagement.till.sheet import sheet_key
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import DAY_MS, MINUTE_MS, NOON_MS, TODAY, accepted, issued, moment, redeem, undo


@pytest.fixture
def ledger() -> DictLedger:
    return DictLedger()


def reason(answer: object) -> Reason:
    assert isinstance(answer, Refusal), answer
    return answer.reason


def stored(ledger: DictLedger, coupon: CouponRecord) -> CouponRecord:
    row = ledger.get(coupon_key(coupon.serial))
    assert row is not None
    return row


def test_an_accepted_request_is_answered_the_same_whatever_came_after(ledger: DictLedger) -> None:
    coupon = issued(shop.give(ledger))
    first = accepted(redeem(ledger, coupon, request="1"))
    much_later = moment(NOON_MS + 300 * DAY_MS)
    again = accepted(redeem(ledger, coupon, request="1", order="other", basket_minor=1, now=much_later))
    assert (again.redemption, again.discount_minor) == (first.redemption, first.discount_minor)
    assert [event.what for event in ledger.events].count("coupon_redeemed") == 1


def test_another_request_for_a_redeemed_coupon_is_refused_from_any_till(ledger: DictLedger) -> None:
    coupon = issued(shop.give(ledger))
    accepted(redeem(ledger, coupon, request="1"))
    assert reason(redeem(ledger, coupon, request="2")) is Reason.ALREADY_REDEEMED
    assert reason(redeem(ledger, coupon, request="1", till=shop.OTHER_TILL)) is Reason.ALREADY_REDEEMED


def test_a_request_id_names_one_coupon_only(ledger: DictLedger) -> None:
    mine, other = issued(shop.give(ledger)), issued(shop.give(ledger, shop.BERT))
    accepted(redeem(ledger, mine, request="1"))
    assert reason(redeem(ledger, other, request="1", order="order-2")) is Reason.REQUEST_REUSED
    assert stored(ledger, other).state is CouponState.ACTIVE


def test_a_refused_request_is_judged_again(ledger: DictLedger) -> None:
    coupon = issued(shop.give(ledger))
    assert reason(redeem(ledger, coupon, request="1", basket_minor=9_999)) is Reason.BELOW_MIN_SPEND
    accepted(redeem(ledger, coupon, request="1", basket_minor=10_000))


def test_after_an_undo_the_request_is_answered_undone_and_a_new_one_is_accepted(ledger: DictLedger) -> None:
    coupon = issued(shop.give(ledger))
    first = accepted(redeem(ledger, coupon, request="1"))
    undone = undo(ledger, first)
    assert isinstance(undone, Undone)
    assert undone.coupon.state is CouponState.ACTIVE
    assert redeem(ledger, coupon, request="1") == Undone(first.redemption, undone.coupon)
    second = accepted(redeem(ledger, coupon, request="2"))
    assert second.redemption != first.redemption
    assert redeem(ledger, coupon, request="1") == Undone(first.redemption, second.coupon)


def test_an_undo_asked_again_is_answered_the_same_and_done_once(ledger: DictLedger) -> None:
    coupon = issued(shop.give(ledger))
    first = accepted(redeem(ledger, coupon, request="1"))
    undone = undo(ledger, first)
    assert undo(ledger, first, now=moment(NOON_MS + DAY_MS)) == undone
    again = accepted(redeem(ledger, coupon, request="2"))
    late = undo(ledger, first)
    assert isinstance(late, Undone)
    assert late.redemption == first.redemption
    assert stored(ledger, coupon).redemption == again.coupon.redemption, "the second redemption stands"
    assert [event.what for event in ledger.events].count("redemption_undone") == 1


AFTER_REBOOT = "boot-2"


@pytest.mark.parametrize(
    ("later", "may"),
    [
        (moment(NOON_MS + UNDO_WINDOW_MS), True),
        (moment(NOON_MS + UNDO_WINDOW_MS + 1), False),
        # Within a boot the time since then is known exactly, whatever became of the wall clock.
        (moment(NOON_MS + UNDO_WINDOW_MS + 1, error_ms=DAY_MS), False),
        (moment(NOON_MS - DAY_MS, ran_ms=UNDO_WINDOW_MS + 1), False),
        (moment(NOON_MS + DAY_MS, ran_ms=UNDO_WINDOW_MS), True),
        # Across boots the doubt is the cashier's benefit.
        (moment(NOON_MS + UNDO_WINDOW_MS + 5000, error_ms=5000, boot=AFTER_REBOOT), True),
        (moment(NOON_MS + UNDO_WINDOW_MS + 5001, error_ms=5000, boot=AFTER_REBOOT), False),
        (moment(NOON_MS - DAY_MS, boot=AFTER_REBOOT), True),
    ],
)
def test_an_undo_is_possible_for_ten_minutes(ledger: DictLedger, later: Moment, may: bool) -> None:
    first = accepted(redeem(ledger, issued(shop.give(ledger)), request="1"))
    answer = undo(ledger, first, now=later)
    if may:
        assert isinstance(answer, Undone)
    else:
        assert answer == Refusal(Reason.UNDO_TOO_LATE, instants_ms={"redeemed_at": NOON_MS})


def test_an_unknown_redemption_cannot_be_undone(ledger: DictLedger) -> None:
    first = accepted(redeem(ledger, issued(shop.give(ledger)), request="1"))
    guessed = Accepted(redemption_id(1, "guess"), first.discount_minor, first.coupon)
    assert reason(undo(ledger, guessed)) is Reason.UNKNOWN_REDEMPTION


def test_an_undo_takes_the_coupon_off_its_open_order(ledger: DictLedger) -> None:
    mine, other = issued(shop.give(ledger)), issued(shop.give(ledger, shop.BERT))
    first = accepted(redeem(ledger, mine, request="1"))
    assert reason(redeem(ledger, other, request="2")) is Reason.NOT_WITH_OTHERS
    undo(ledger, first)
    accepted(redeem(ledger, other, request="2"))
    order = (
        ledger.get(order_key(shop.TILL, first.coupon.redemption.order)) if first.coupon.redemption else None
    )
    assert order is not None
    assert [applied.coupon for applied in order.applied] == [other.coupon]


def test_an_undone_redemption_does_not_count_towards_the_persons_limit(ledger: DictLedger) -> None:
    once = shop.campaign(limits={"issue": 2, "issue_per_day": 2, "redeem": 1})
    first, second = (issued(shop.give(ledger, of=once)) for _ in range(2))
    used = accepted(redeem(ledger, first, request="1"))
    assert reason(redeem(ledger, second, request="2", order="order-2")) is Reason.LIMIT_REACHED
    undo(ledger, used)
    accepted(redeem(ledger, second, request="2", order="order-2"))


def test_the_sheet_counts_an_undo_on_the_day_it_was_done(ledger: DictLedger) -> None:
    midnight_ms = NOON_MS + DAY_MS // 2
    coupon = issued(shop.give(ledger))
    used = accepted(redeem(ledger, coupon, request="1", now=moment(midnight_ms - MINUTE_MS)))
    undo(ledger, used, now=moment(midnight_ms + MINUTE_MS))
    today = ledger.get(sheet_key(TODAY, coupon.campaign))
    tomorrow = ledger.get(sheet_key(shop.day_of(moment(midnight_ms)), coupon.campaign))
    assert today is not None
    assert tomorrow is not None
    assert (today.issued, today.redeemed, today.redeemed_minor, today.undone) == (1, 1, 2000, 0)
    assert (tomorrow.redeemed, tomorrow.undone, tomorrow.undone_minor) == (0, 1, 2000)
    assert today.net_minor + tomorrow.net_minor == 0


def test_a_coupons_timeline_tells_who_did_what(ledger: DictLedger) -> None:
    coupon = issued(shop.give(ledger))
    undo(ledger, accepted(redeem(ledger, coupon, request="1")))
    lines = stored(ledger, coupon).history
    assert [line.what for line in lines] == ["issued", "redeemed", "undone"]
    assert lines[1].by == "till 1 / Li"


@pytest.mark.parametrize(
    "shape", ["", "r", "r000001", "r000001-", "x000001-abc", "r00001-abc", "r00000²-abc", "000001-abc"]
)
def test_a_redemptions_id_names_its_serial(shape: str) -> None:
    assert serial_of_redemption(redemption_id(42, "abc")) == 42
    assert serial_of_redemption(RedemptionId(shape)) is None
