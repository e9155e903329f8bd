"""What a shop closes its day with, what it reveals then, and what stays true when the clock or the disk is bad."""

from dataclasses import replace

from edge_agent.services.issuing import Issuing
from edge_agent.services.redeeming import ORDER_CODES_MAX, Basket, Redeeming
from engagement.campaign.play import PlayAnswer, verify_day
from engagement.clock.moment import Moment
from engagement.ids import CampaignId, CashierName, LocalDay, OrderId, RequestId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import Accepted
from engagement.till.tries import TRIES_MAX
from tests.fakes import shop
from tests.fakes.counter import TILL, Counter, SetClock, bundle, open_counter
from tests.fakes.shop import DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS

LI = CashierName("Li")
# Midnight of Shanghai, at the end of the day in which NOON lies.
MIDNIGHT_MS = NOON_MS + 4 * HOUR_MS
TODAY, TOMORROW = LocalDay("2026-11-21"), LocalDay("2026-11-22")


class DoubtfulClock(SetClock):
    """A clock that says how far it may be off."""

    def __init__(self, wall_ms: int, error_ms: int) -> None:
        super().__init__(wall_ms)
        self.error_ms = error_ms

    def now(self) -> Moment:
        return super().now().model_copy(update={"error_ms": self.error_ms})


async def redeem(counter: Counter, code: str, request: str = "r1") -> object:
    return await counter.redeeming.redeem(
        code, Basket(OrderId(request), 10_000, "CNY"), request=RequestId(request), till=TILL, cashier=LI
    )


def reason(answer: object) -> Reason:
    assert isinstance(answer, Refusal), answer
    return answer.reason


async def test_the_sheet_shows_a_campaign_that_is_no_longer_in_the_bundle() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        later = replace(counter.premises, bundle=bundle(shop.campaign(id="new", number=8)))
        redeeming = Redeeming(later, shop.verify)
        basket = Basket(OrderId("o1"), 10_000, "CNY")
        answer = await redeeming.redeem(coupon.code, basket, request=RequestId("r1"), till=TILL, cashier=LI)
        assert isinstance(answer, Accepted)
        day, lines = await redeeming.sheet()
        assert day == TODAY
        assert {line.campaign: line.redeemed for line in lines} == {"new": 0, "welcome": 1}
        assert [line.campaign for line in (await redeeming.sheet(TOMORROW))[1]] == ["new"]


async def test_codes_beyond_an_orders_limit_are_refused_not_dropped() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        goods = [f"69012345678{number:02d}" for number in range(ORDER_CODES_MAX)]
        basket = Basket(OrderId("o1"), 10_000, "CNY")
        outcome = await counter.redeeming.take_order(basket, [*goods, coupon.code], till=TILL, cashier=LI)
        assert len(outcome.codes) == ORDER_CODES_MAX + 1
        assert reason(outcome.codes[-1].outcome) is Reason.NOT_WITH_OTHERS
        assert isinstance(await redeem(counter, coupon.code, "r2"), Accepted)


async def test_wrong_codes_are_counted_also_on_a_full_disk() -> None:
    async with open_counter() as counter:
        coupon = await counter.coupon()
        # Another serial of this agent, with a right check digit: what somebody would send who guesses.
        guesses = [
            code
            for digit in "0123456789"
            for code in [coupon.short_code[:6] + "999999" + "0000000" + digit]
            if await _is_well_formed(counter, code)
        ]
        counter.store.fill_disk()
        answers = [reason(await redeem(counter, guesses[0], f"r{n}")) for n in range(TRIES_MAX + 1)]
        assert answers == [Reason.UNKNOWN_CODE] * TRIES_MAX + [Reason.TOO_MANY_TRIES]


async def _is_well_formed(counter: Counter, code: str) -> bool:
    counter.clock.pass_s(61)
    return reason(await redeem(counter, code, "probe")) is Reason.UNKNOWN_CODE


async def test_a_days_draw_is_revealed_only_when_the_day_is_certainly_over() -> None:
    shake = shop.shake_campaign()
    clock = DoubtfulClock(NOON_MS, error_ms=5 * MINUTE_MS)
    async with open_counter(shake, clock=clock) as counter:
        issuing: Issuing = counter.issuing
        assert isinstance(await issuing.play(CampaignId("shake"), shop.ANNA, bytes(16)), PlayAnswer)
        for after_s, is_revealed in (
            ((MIDNIGHT_MS - NOON_MS) / 1000 - 1, False),
            (60, False),  # a minute past midnight, by a clock that may be five minutes ahead
            (5 * 60, True),
            (DAY_MS / 1000, True),
        ):
            clock.pass_s(after_s)
            revealed = await issuing.revealed_draw(CampaignId("shake"), TODAY)
            assert (revealed is not None) == is_revealed, after_s


async def test_receipts_can_be_checked_after_the_edition_rose_or_the_campaign_left() -> None:
    clock, first = SetClock(NOON_MS), shop.shake_campaign()
    second = first.model_copy(update={"edition": 2})
    async with open_counter(first, clock=clock) as counter:
        issuing, premises = counter.issuing, counter.premises
        bundle = premises.bundle
        played = []
        for campaign, who in ((first, shop.ANNA), (second, shop.BERT)):
            premises.renew(bundle.model_copy(update={"campaigns": (campaign,)}))
            played.append(await issuing.play(first.id, who, bytes(16)))
        clock.pass_s(DAY_MS / 1000)
        for campaigns in ((second,), ()):
            premises.renew(bundle.model_copy(update={"campaigns": campaigns}))
            for edition, answer in enumerate(played, start=1):
                assert isinstance(answer, PlayAnswer)
                receipt = answer.record.receipt
                draw = await issuing.revealed_draw(first.id, TODAY, commitment=receipt.commitment)
                assert draw is not None
                assert draw.edition == edition
                assert verify_day(draw, first.draw.win_bps, [receipt]) is None
            newest = await issuing.revealed_draw(first.id, TODAY)
            assert newest is not None
            assert newest.edition == 2
        assert await issuing.revealed_draw(first.id, TODAY, commitment="ab" * 32) is None


async def test_nobody_plays_on_a_draw_that_was_revealed_even_if_the_clock_goes_back() -> None:
    clock = SetClock(NOON_MS)
    async with open_counter(shop.shake_campaign(), clock=clock) as counter:
        issuing = counter.issuing
        assert isinstance(await issuing.play(CampaignId("shake"), shop.ANNA, bytes(16)), PlayAnswer)
        clock.pass_s(DAY_MS / 1000)
        assert await issuing.revealed_draw(CampaignId("shake"), TODAY) is not None
        clock.pass_s(-DAY_MS / 1000)
        assert reason(await issuing.play(CampaignId("shake"), shop.BERT, bytes(16))) is Reason.NOT_RUNNING
        assert isinstance(await issuing.play(CampaignId("shake"), shop.ANNA, bytes(16)), PlayAnswer)
