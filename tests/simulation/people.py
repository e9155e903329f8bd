"""Who deals with the store: shoppers with phones, tills with cashiers, an operator with the kill switch."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from edge_agent.ports import StoreFull
from edge_agent.services.hosting import Wallet
from edge_agent.services.redeeming import Basket, OrderOutcome
from engagement.campaign.model import Campaign
from engagement.coupon.coupon import CouponRecord
from engagement.ids import CashierName, OrderId, RequestId, TillName, VisitorId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import Accepted, Undone
from engagement.visitor.visitor import Consent
from tests.simulation.box import Box, NoAnswer, Process, true_ms
from tests.simulation.witness import ERROR_MS_MAX, Witness

T = TypeVar("T")
TRIES_MAX = 8
_GIVES_UP_S = 1.5
# A phone is known again without its cookie for a day after its last consent, less what the clock may waver.
REMEMBERED_MS = 24 * 3600_000 - 2 * ERROR_MS_MAX
_CASHIER = CashierName("Li")


@dataclass
class Street:
    """What everybody shares."""

    box: Box
    witness: Witness
    dice: Random
    campaigns: tuple[Campaign, ...]

    async def ask(self, work: Callable[[Process], Coroutine[Any, Any, T]]) -> T:
        """Send once and wait for a while. Errors: NoAnswer, StoreFull."""
        try:
            async with asyncio.timeout(_GIVES_UP_S):
                return await self.box.ask(work)
        except TimeoutError:
            raise NoAnswer from None

    async def insist(self, work: Callable[[Process], Coroutine[Any, Any, T]]) -> T:
        """Send the very same until there is an answer. Errors: NoAnswer in the end, StoreFull."""
        for _ in range(TRIES_MAX):
            try:
                return await self.ask(work)
            except NoAnswer:
                await asyncio.sleep(self.dice.random() * 4)
        raise NoAnswer

    async def pause(self, seconds_max: float) -> None:
        await asyncio.sleep(self.dice.random() * seconds_max)


@dataclass
class Shopper:
    """One phone. ``visitor`` as last told, ``consented_ms`` when a consent was last answered."""

    street: Street
    address: str
    cookie: str | None = None
    visitor: VisitorId | None = None
    consented_ms: int = -(10**15)
    wallet: Wallet | None = None

    async def live(self, queues: list["asyncio.Queue[list[CouponRecord]]"]) -> None:
        """Come, look, play, pay, go; and come again."""
        dice, street = self.street.dice, self.street
        await street.pause(12 * 3600)
        while True:
            for _ in range(dice.randint(1, 3)):
                await self._step(dice.choice([self.join, self.join, self.shake, self.shake, self.look]))
                await street.pause(60)
            if self.wallet is not None and self.wallet.cards:
                count = min(dice.choice([1, 1, 1, 2, 3]), len(self.wallet.cards))
                coupons = [card.coupon for card in dice.sample(self.wallet.cards, count)]
                # Now and then the same coupons are shown at two tills at once.
                for queue in dice.sample(queues, dice.choice([1, 1, 1, 2])):
                    queue.put_nowait(coupons)
            await street.pause(20 * 3600)

    async def _step(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await step()
        except NoAnswer:
            self.street.witness.note("no answer", self.address)
        except StoreFull:
            self.street.witness.note("full", self.address)

    def _shown_cookie(self) -> str | None:
        """Private windows and cleared storage forget the cookie for a request."""
        return self.cookie if self.street.dice.random() < 0.6 else None

    async def join(self) -> None:
        cookie, consented_ms = self._shown_cookie(), true_ms()
        consent = Consent(
            given_ms=consented_ms, analytics=True, marketing=False, language="en", text_sha256="0" * 64
        )
        self.street.witness.note("join", self.address, cookie is not None)
        wallet = await self.street.insist(
            lambda at: at.hosting.welcome(at.hosting.greet(self.address, cookie), consent)
        )
        # A shopper consents to the same thing every time, and that is never refused.
        assert isinstance(wallet, Wallet)
        self._recognised(wallet, cookie)
        self.consented_ms = consented_ms
        self.street.witness.demand(wallet.consent is not None, f"{self.address}: the consent was not kept")

    async def look(self) -> None:
        cookie = self._shown_cookie()
        wallet = await self.street.insist(
            lambda at: at.hosting.wallet(at.hosting.greet(self.address, cookie))
        )
        if wallet is not None:
            self._recognised(wallet, cookie)
        else:
            self.street.witness.demand(
                cookie is None and not self._must_be_known(), f"{self.address} was forgotten"
            )

    async def shake(self) -> None:
        """Only with the cookie, as the page does; a lost answer is asked for again with the same nonce."""
        if self.cookie is None:
            return
        dice, witness, visitor, cookie = self.street.dice, self.street.witness, self.visitor, self.cookie
        campaign = dice.choice([c for c in self.street.campaigns if c.trigger.on == "shake"]).id
        nonce = dice.randbytes(16)
        for _ in range(dice.choice([1, 1, 2])):
            played = await self.street.insist(
                lambda at: at.hosting.play(at.hosting.greet(self.address, cookie), campaign, nonce)
            )
            assert visitor is not None
            if isinstance(played, Refusal):
                witness.saw_issue_refused(campaign, played)
            else:
                witness.saw_play(visitor, nonce, played)

    def _must_be_known(self) -> bool:
        return true_ms() - self.consented_ms < REMEMBERED_MS

    def _recognised(self, wallet: Wallet, cookie: str | None) -> None:
        witness = self.street.witness
        if cookie is not None or self._must_be_known():
            witness.demand(
                wallet.visitor == self.visitor, f"{self.address} was {self.visitor}, is {wallet.visitor}"
            )
        self.visitor, self.cookie, self.wallet = wallet.visitor, wallet.cookie, wallet
        witness.saw_wallet(wallet)


@dataclass
class Till:
    """Serves its queue; every request that gets no answer is sent again under the same id."""

    street: Street
    name: TillName
    queue: "asyncio.Queue[list[CouponRecord]]"
    orders: int = 0

    async def serve(self) -> None:
        dice = self.street.dice
        while True:
            coupons = await self.queue.get()
            self.orders += 1
            order = OrderId(f"{self.name}-{self.orders}".replace(" ", ""))
            try:
                if len(coupons) > 1 or dice.random() < 0.2:
                    await self.take_order(order, coupons)
                else:
                    await self.redeem_one(order, coupons[0])
                if dice.random() < 0.2:
                    await self.try_wrong_code(order)
            except NoAnswer:
                self.street.witness.note("no answer", self.name)

    async def redeem_one(self, order: OrderId, coupon: CouponRecord) -> None:
        dice = self.street.dice
        code = dice.choice([coupon.code, coupon.code.lower() + "\r\n", coupon.short_code])
        request = RequestId(f"{order}-a")
        first = await self.redeem(code, coupon, order, request)
        if not isinstance(first, Accepted):
            return
        if dice.random() < 0.3:  # the till lost the answer after all
            await self.redeem(code, coupon, order, request)
        if dice.random() < 0.35:
            await self.street.pause(400)
            await self.undo(coupon, first)
            if dice.random() < 0.7:
                await self.redeem(code, coupon, order, RequestId(f"{order}-b"))
            if dice.random() < 0.5:
                await self.redeem(code, coupon, order, request)

    async def redeem(
        self, code: str, coupon: CouponRecord, order: OrderId, request: RequestId
    ) -> Accepted | Undone | Refusal:
        basket = Basket(order, 50_000, "CNY")
        witness = self.street.witness

        async def send(at: Process) -> Accepted | Undone | Refusal:
            return await at.redeeming.redeem(code, basket, request=request, till=self.name, cashier=_CASHIER)

        witness.sends_redemption(coupon, request)
        answer = await self._at_any_cost(send)
        witness.saw_redemption(coupon, request, answer, alone=True)
        return answer

    async def undo(self, coupon: CouponRecord, accepted: Accepted) -> None:
        witness = self.street.witness
        for _ in range(self.street.dice.choice([1, 2])):
            witness.sends_undo(coupon, accepted.redemption)
            answer = await self._at_any_cost(
                lambda at: at.redeeming.undo(accepted.redemption, till=self.name, cashier=_CASHIER)
            )
            witness.saw_undo(coupon, accepted.redemption, answer)

    async def take_order(self, order: OrderId, coupons: list[CouponRecord]) -> None:
        dice, witness = self.street.dice, self.street.witness
        basket = Basket(order, dice.choice([3_000, 10_000, 50_000]), "CNY")
        codes = [dice.choice([coupon.code, coupon.short_code]) for coupon in coupons]
        outcomes: list[OrderOutcome] = []
        for _ in range(dice.choice([1, 2])):
            for coupon in coupons:
                witness.sends_redemption(coupon, RequestId(f"order:{order}:{coupon.coupon}"))
            outcome = await self._at_any_cost(
                lambda at: at.redeeming.take_order(basket, codes, till=self.name, cashier=_CASHIER)
            )
            self._saw_order(basket, outcome)
            outcomes.append(outcome)
        witness.demand(
            all(outcome.order == outcomes[0].order for outcome in outcomes), f"{order} was closed twice"
        )

    def _saw_order(self, basket: Basket, outcome: OrderOutcome) -> None:
        witness, order = self.street.witness, outcome.order
        witness.note("order", basket.order, order.discount_minor if order else outcome.refusal)
        off_minor = 0
        for tried in outcome.codes:
            if tried.coupon is None or tried.coupon.coupon not in witness.told:
                continue
            request = RequestId(f"order:{basket.order}:{tried.coupon.coupon}")
            witness.saw_redemption(tried.coupon, request, tried.outcome, alone=False)
            if isinstance(tried.outcome, Accepted):
                off_minor += tried.outcome.discount_minor
        witness.demand(order is not None, f"{basket.order} could not be closed: {outcome.refusal}")
        witness.demand(off_minor <= basket.amount_minor, f"{basket.order}: {off_minor} off a smaller basket")
        witness.demand(
            order is None or order.discount_minor == off_minor, f"{basket.order}: sums that do not match"
        )

    async def try_wrong_code(self, order: OrderId) -> None:
        """Somebody guesses, or types badly: never accepted."""
        dice, witness = self.street.dice, self.street.witness
        basket = Basket(OrderId(f"{order}-wrong"), 50_000, "CNY")
        for number in range(dice.choice([1, 2, 7])):
            code = dice.choice(["1" + "0" * 19, f"1{77:05d}{dice.randrange(10**14):014d}", "hello"])
            witness.note("wrong code", code)
            request = RequestId(f"{order}-wrong-{number}")
            answer = await self._at_any_cost(
                lambda at, code=code, request=request: at.redeeming.redeem(  # type: ignore[misc]
                    code, basket, request=request, till=self.name, cashier=_CASHIER
                )
            )
            allowed = {Reason.UNKNOWN_CODE, Reason.DAMAGED, Reason.NOT_OURS, Reason.TOO_MANY_TRIES}
            witness.demand(
                isinstance(answer, Refusal) and answer.reason in allowed, f"{code} was answered {answer}"
            )

    async def _at_any_cost(self, work: Callable[[Process], Coroutine[Any, Any, T]]) -> T:
        """A till must be served also when the disk is full."""
        try:
            return await self.street.insist(work)
        except StoreFull:
            self.street.witness.demand(False, f"{self.name} was refused because the disk is full")
            raise NoAnswer from None


async def run_operator(street: Street) -> None:
    """Stops a campaign, late in the second day if at all."""
    dice = street.dice
    await asyncio.sleep((24 + dice.random() * 24) * 3600)
    campaign, honour = dice.choice(street.campaigns).id, dice.random() < 0.5
    while True:
        street.witness.sends_stop(campaign, honour_issued=honour)
        try:
            await street.insist(lambda at: at.redeeming.stop(campaign, by="operator", honour_issued=honour))
        except NoAnswer:
            continue
        return
