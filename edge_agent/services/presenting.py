"""From the text that a till was given to the coupon it names; guessing is counted and made slow."""

import asyncio

from edge_agent.ports import StoreFull
from edge_agent.services.premises import Premises
from engagement.clock.moment import Moment
from engagement.coupon.code import SignedCode, read_code
from engagement.coupon.coupon import CouponRecord, coupon_key
from engagement.coupon.presented import Verify, identify, recognise
from engagement.coupon.short_code import ShortCode
from engagement.ids import RequestId, TillName
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import request_key
from engagement.till.tries import judge_tries, tries_key, wrong_code_rule


class Presenting:
    """``verify`` checks seals against the agent's own keys."""

    def __init__(self, premises: Premises, verify: Verify) -> None:
        self._premises = premises
        self._verify = verify
        self._turns: dict[TillName, asyncio.Lock] = {}

    def _turn_of(self, till: TillName) -> asyncio.Lock:
        """Tills are the bundle's, so there are never many."""
        return self._turns.setdefault(till, asyncio.Lock())

    async def present(self, text: str, till: TillName, now: Moment) -> CouponRecord | Refusal:
        """The coupon that a text names, or why none; wrong codes are counted against the till."""
        code = read_code(text)
        if isinstance(code, Refusal):
            return code
        if isinstance(code, ShortCode):
            # One after another: guesses sent all at once would otherwise pass before the first is counted.
            async with self._turn_of(till):
                return await self._present_short(code, till, now)
        return await self._look_up(code, till, now)

    async def _present_short(self, code: ShortCode, till: TillName, now: Moment) -> CouponRecord | Refusal:
        tries = (await self._premises.store.fetch([tries_key(till)])).get(tries_key(till))
        blocked = judge_tries(tries, now)
        return blocked if blocked is not None else await self._look_up(code, till, now)

    async def _look_up(
        self, code: SignedCode | ShortCode, till: TillName, now: Moment
    ) -> CouponRecord | Refusal:
        store, mint = self._premises.store, self._premises.mint
        serial = identify(
            code,
            agent_number=mint.agent_number,
            lease_number=mint.lease_number,
            verify=self._verify,
        )
        if isinstance(serial, Refusal):
            return await self._wrong(till, serial, now)
        row = (await store.fetch([coupon_key(serial)])).get(coupon_key(serial))
        coupon = recognise(code, row, now)
        if isinstance(coupon, Refusal):
            return await self._wrong(till, coupon, now, signed=isinstance(code, SignedCode))
        return coupon

    async def _wrong(self, till: TillName, refusal: Refusal, now: Moment, *, signed: bool = False) -> Refusal:
        """Only what could be guessing is counted: unknown short codes and forged seals."""
        if signed or refusal.reason not in (Reason.UNKNOWN_CODE, Reason.FORGED):
            return refusal
        try:
            # Essential: on a full disk, too, somebody may guess. At most five a minute and till are written.
            return await self._premises.store.decide(
                [tries_key(till)], wrong_code_rule(till, refusal, now), essential=True
            )
        except StoreFull:
            return refusal

    async def accepted_before(self, code: str, till: TillName, request: RequestId) -> CouponRecord | None:
        """The coupon of a request that was accepted, so that its answer stays the same while a till must wait."""
        store, typed = self._premises.store, read_code(code)
        before = (await store.fetch([request_key(till, request)])).get(request_key(till, request))
        if before is None or not isinstance(typed, ShortCode):
            return None
        coupon = (await store.fetch([coupon_key(before.serial)])).get(coupon_key(before.serial))
        return coupon if coupon is not None and coupon.short_code == typed.digits else None
