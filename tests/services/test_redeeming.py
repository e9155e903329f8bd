"""Redeeming over the store in memory: orders, repeats, undo, a till's last redemptions, the pause for wrong codes."""

import asyncio
from dataclasses import replace

import pytest

from edge_agent.services.redeeming import Basket
from engagement.coupon.coupon import CouponRecord
from engagement.coupon.lifecycle import CouponState
from engagement.coupon.short_code import parse_short_code
from engagement.ids import CampaignId, CashierName, OrderId, RedemptionId, RequestId
from engagement.journal.event import Lane
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import UNDO_WINDOW_MS, Accepted, Undone
from engagement.till.tries import TRIES_MAX
from tests.fakes import shop
from tests.fakes.counter import OTHER_TILL, TILL, Counter, open_counter

LI = CashierName("Li")


def basket(order: str = "o1", amount_minor: int = 10_000) -> Basket:
    return Basket(OrderId(order), amount_minor, "CNY")


async def redeem(counter: Counter, code: str, request: str = "r1", order: str = "o1") -> object:
    return await counter.redeeming.redeem(
        code, basket(order), request=RequestId(request), till=TILL, cashier=LI
    )


async def redeemed(
    counter: Counter, coupon: CouponRecord, request: str = "r1", order: str = "o1"
) -> Accepted:
    answer = await redeem(counter, coupon.code, request, order)
    assert isinstance(answer, Accepted), answer
    return answer


def reason(answer: object) -> Reason:
    assert isinstance(answer, Refusal), answer
    return answer.reason


def wrong_digits(short_code: str, slips: int) -> str:
    """Another short code of this agent whose check digit is right."""
    for check in range(slips, 10**7):
        body = f"{short_code[:12]}{check:07d}"
        for last in "0123456789":
            if body + last != short_code and parse_short_code(body + last):
                return body + last
    raise AssertionError


@pytest.mark.parametrize("form", ["code", "short_code"])
async def test_either_form_of_a_code_redeems_once(form: str) -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        assert isinstance(await redeem(counter, getattr(coupon, form)), Accepted)
        assert reason(await redeem(counter, coupon.code, "r2", "o2")) is Reason.ALREADY_REDEEMED
        assert reason(await redeem(counter, coupon.short_code, "r3", "o3")) is Reason.ALREADY_REDEEMED


async def test_twenty_tills_at_once_redeem_a_coupon_once() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        answers = await asyncio.gather(*(redeem(counter, coupon.code, f"r{n}", f"o{n}") for n in range(20)))
        assert sum(isinstance(answer, Accepted) for answer in answers) == 1


async def test_repeated_request_gets_the_accepted_answer_and_undone_after_undo() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        first = await redeemed(counter, coupon)
        again = await redeemed(counter, coupon)
        assert (again.redemption, again.discount_minor) == (first.redemption, 2000)
        assert isinstance(await counter.redeeming.undo(first.redemption, till=TILL, cashier=LI), Undone)
        assert isinstance(await redeem(counter, coupon.code), Undone)
        assert isinstance(await redeem(counter, coupon.code, "r2", "o2"), Accepted)


async def test_accepted_answer_is_repeated_while_the_till_pauses_for_wrong_codes() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        await redeemed(counter, coupon)
        for slip in range(TRIES_MAX):
            wrong = wrong_digits(coupon.short_code, slip * 1000)
            assert reason(await redeem(counter, wrong, f"w{slip}")) is Reason.UNKNOWN_CODE
        assert reason(await redeem(counter, coupon.short_code, "new")) is Reason.TOO_MANY_TRIES
        assert isinstance(await redeem(counter, coupon.short_code, "r1"), Accepted)


async def test_guesses_sent_all_at_once_are_counted_like_guesses_one_by_one() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        guesses = [wrong_digits(coupon.short_code, slip * 1000) for slip in range(4 * TRIES_MAX)]
        answers = await asyncio.gather(*(redeem(counter, code, f"w{n}") for n, code in enumerate(guesses)))
        unknown = [answer for answer in answers if reason(answer) is Reason.UNKNOWN_CODE]
        assert len(unknown) == TRIES_MAX


async def test_other_tills_do_not_pause() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        for slip in range(TRIES_MAX):
            await redeem(counter, wrong_digits(coupon.short_code, slip * 1000), f"w{slip}")
        answer = await counter.redeeming.redeem(
            coupon.short_code, basket(), request=RequestId("x"), till=OTHER_TILL, cashier=LI
        )
        assert isinstance(answer, Accepted)


async def test_undo_ends_after_ten_minutes() -> None:
    async with open_counter() as counter:
        made = await redeemed(counter, await counter.coupon())
        counter.clock.pass_s(UNDO_WINDOW_MS / 1000 + 0.001)
        answer = await counter.redeeming.undo(made.redemption, till=TILL, cashier=LI)
        assert reason(answer) is Reason.UNDO_TOO_LATE


@pytest.mark.parametrize("unknown", ["", "r", "r000001", "r999999-xyz", "r00000١-x", "nonsense"])
async def test_undo_of_something_that_never_was(unknown: str) -> None:
    async with open_counter() as counter:
        await redeemed(counter, await counter.coupon())
        answer = await counter.redeeming.undo(RedemptionId(unknown), till=TILL, cashier=LI)
        assert reason(answer) is Reason.UNKNOWN_REDEMPTION


async def test_order_takes_all_its_coupons_once_and_is_answered_the_same_again() -> None:
    stackable = {"stacking": {"max_in_group": 2}}
    async with open_counter(
        shop.campaign(**stackable), shop.campaign(id="second", number=9, **stackable)
    ) as counter:
        codes = [(await counter.coupon()).code, (await counter.coupon("second")).short_code]
        first = await counter.redeeming.take_order(basket(), codes, till=TILL, cashier=LI)
        again = await counter.redeeming.take_order(basket(), codes, till=TILL, cashier=LI)
        assert first.order is not None
        assert first.order.discount_minor == 4000
        assert again.order == first.order
        assert {each.outcome.redemption for each in first.codes if isinstance(each.outcome, Accepted)} == {
            each.outcome.redemption for each in again.codes if isinstance(each.outcome, Accepted)
        }
        sheet = (await counter.redeeming.sheet())[1]
        assert [(line.redeemed, line.redeemed_minor) for line in sheet] == [(1, 2000), (1, 2000)]


async def test_order_cut_off_half_way_is_finished_by_asking_again() -> None:
    stackable = {"stacking": {"max_in_group": 2}}
    async with open_counter(
        shop.campaign(**stackable), shop.campaign(id="second", number=9, **stackable)
    ) as counter:
        coupons = [await counter.coupon(), await counter.coupon("second")]
        # What an order that died after its first coupon leaves behind.
        await redeem(counter, coupons[0].code, f"order:o1:{coupons[0].coupon}")
        outcome = await counter.redeeming.take_order(
            basket(), [each.code for each in coupons], till=TILL, cashier=LI
        )
        assert outcome.order is not None
        assert outcome.order.discount_minor == 4000
        assert all(isinstance(each.outcome, Accepted) for each in outcome.codes)


async def test_both_forms_of_one_coupon_on_an_order_count_once() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        outcome = await counter.redeeming.take_order(
            basket(), [coupon.code, coupon.short_code, coupon.code], till=TILL, cashier=LI
        )
        assert outcome.order is not None
        assert outcome.order.discount_minor == 2000
        assert sum(isinstance(each.outcome, Accepted) for each in outcome.codes) == 1


async def test_refused_code_does_not_stop_the_others() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        outcome = await counter.redeeming.take_order(
            basket(), ["4006381333931", coupon.code], till=TILL, cashier=LI
        )
        assert {each.code: type(each.outcome) for each in outcome.codes} == {
            "4006381333931": Refusal,
            coupon.code: Accepted,
        }


async def test_closed_order_keeps_its_basket() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        await counter.redeeming.take_order(basket(), [], till=TILL, cashier=LI)
        other = await counter.redeeming.take_order(basket(amount_minor=1), [], till=TILL, cashier=LI)
        assert other.refusal is not None
        assert other.refusal.reason is Reason.ORDER_CLOSED
        assert reason(await redeem(counter, coupon.code)) is Reason.ORDER_CLOSED


async def test_quote_is_what_the_order_then_takes() -> None:
    async with open_counter(
        shop.campaign(stacking={"group": "g", "priority": 1}),
        shop.campaign(
            id="percent",
            number=9,
            stacking={"group": "g", "priority": 5},
            offer={"kind": "percent", "off_bps": 2500, "cap_minor": 5000},
        ),
    ) as counter:
        codes = [(await counter.coupon()).code, (await counter.coupon("percent")).code]
        quoted = await counter.redeeming.quote(codes, basket(), till=TILL)
        assert [line.outcome for line in quoted if isinstance(line.outcome, int)] == [2500]
        outcome = await counter.redeeming.take_order(basket(), codes, till=TILL, cashier=LI)
        assert outcome.order is not None
        assert outcome.order.discount_minor == 2500


async def test_tills_last_redemptions_newest_first_with_what_was_undone() -> None:
    async with open_counter(shop.campaign(limits={"issue": 9, "issue_per_day": 9})) as counter:
        made = []
        for n in range(3):
            made.append(await redeemed(counter, await counter.coupon(), f"r{n}", f"o{n}"))
            counter.clock.pass_s(1)
        await counter.redeeming.undo(made[1].redemption, till=OTHER_TILL, cashier=LI)
        recent = await counter.redeeming.recent(TILL)
        assert [each.redemption for each in recent] == [each.redemption for each in reversed(made)]
        assert [each.made is None for each in recent] == [False, True, False]
        assert recent[1].undone_ms == counter.clock.now().wall_ms
        assert recent[0].undo_until_ms - recent[0].redeemed_ms == UNDO_WINDOW_MS
        assert await counter.redeeming.recent(OTHER_TILL) == []


async def test_coupon_that_was_undone_and_used_again_stands_twice_in_the_list() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        first = await redeemed(counter, coupon)
        await counter.redeeming.undo(first.redemption, till=TILL, cashier=LI)
        second = await redeemed(counter, coupon, "r2", "o2")
        recent = await counter.redeeming.recent(TILL)
        assert [(each.redemption, each.made is None) for each in recent] == [
            (second.redemption, False),
            (first.redemption, True),
        ]


@pytest.mark.parametrize(
    ("honour_issued", "expected"), [(True, Accepted), (False, Refusal)], ids=["honoured", "full stop"]
)
async def test_stop_decides_what_becomes_of_issued_coupons(honour_issued: bool, expected: type) -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        await counter.redeeming.stop(CampaignId("welcome"), by="Li", honour_issued=honour_issued)
        assert isinstance(await redeem(counter, coupon.code), expected)
        standing = (await counter.redeeming.campaigns())[0]
        assert standing.state == "stopped"


async def test_a_campaign_that_left_the_bundle_can_still_be_stopped() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        without = counter.premises.bundle.model_copy(update={"campaigns": ()})
        redeeming = type(counter.redeeming)(replace(counter.premises, bundle=without), shop.verify)
        stopped = await redeeming.stop(CampaignId("welcome"), by="Li")
        assert not isinstance(stopped, Refusal)
        assert reason(await redeem(counter, coupon.code)) is Reason.CAMPAIGN_STOPPED
        unknown = await redeeming.stop(CampaignId("welcom"), by="Li")
        assert isinstance(unknown, Refusal)


async def test_till_redeems_when_the_disk_takes_only_what_is_essential() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        counter.store.fill_disk()
        made = await redeemed(counter, coupon)
        assert isinstance(await counter.redeeming.undo(made.redemption, till=TILL, cashier=LI), Undone)


async def test_what_was_answered_survives_a_power_cut() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        made = await redeemed(counter, coupon)
        restarted = counter.store.power_cut(keeps_unacknowledged=False)
        writer = asyncio.create_task(restarted.run())
        redeeming = type(counter.redeeming)(replace(counter.premises, store=restarted), shop.verify)
        try:
            recent = await redeeming.recent(TILL)
            assert [each.redemption for each in recent] == [made.redemption]
            story = await redeeming.story(coupon.code, till=TILL)
            assert not isinstance(story, Refusal)
            assert story.coupon.state is CouponState.REDEEMED
            assert len(await restarted.entries(Lane.MONEY, after_seq=0, limit=9)) == 2
        finally:
            await restarted.close()
            await writer


async def test_story_tells_issue_redemption_and_undo_in_order() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        made = await redeemed(counter, coupon)
        await counter.redeeming.undo(made.redemption, till=TILL, cashier=LI)
        story = await counter.redeeming.story(coupon.short_code, till=TILL)
        assert not isinstance(story, Refusal)
        assert [line.what for line in story.coupon.history] == ["issued", "redeemed", "undone"]
        assert story.standing == "active"
