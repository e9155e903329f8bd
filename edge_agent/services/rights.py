"""What is known of the leases at hand: written by leasing, asked by issuing, told by health and metrics.

A lease may be short while HQ has plenty. Whoever finds it so waits here for as long as a top-up takes, and is told "sold
out" only when HQ has none, does not answer, or nobody leases.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from edge_agent.ports import Clock
from edge_agent.services.line import Trouble
from engagement.campaign.issue import LeaseShort
from engagement.ids import CampaignId

T = TypeVar("T")

# Over a satellite HQ answers within 2 s; a shopper who sees the page think for longer presses again.
WAIT_S_MAX: Final = 5.0
# HQ that had none may get some back from other stores; the first shopper after so long asks again, then ever later.
_DRY_S_FIRST: Final = 30.0
_DRY_S_MAX: Final = 900.0
_NAMED_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Stock:
    """One campaign's coupons at hand. ``until_low``: how many may go before more should be asked for."""

    left: int
    until_low: int
    is_running: bool


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why HQ gives nothing at the moment; sentences for the person in the store."""

    because: str
    do: str


class Rights:
    """``is_leasing``: somebody asks HQ for more. ``hindrance``: why that brings nothing; ``is_diverged``: for good."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stock: dict[CampaignId, Stock] = {}
        self._gone: Counter[CampaignId] = Counter()
        self._waiting: Counter[CampaignId] = Counter()
        self._dry: dict[CampaignId, tuple[float, float]] = {}
        self._round = asyncio.Event()
        self._asked_s: float | None = None
        self.is_leasing = False
        self.is_diverged = False
        self.hindrance: Hindrance | None = None
        # HQ asked to be left alone until then; shoppers do not wait for longer than they would for an answer.
        self.not_before_s = 0.0
        self.wake = asyncio.Event()

    # For issuing.

    async def draw(self, campaign: CampaignId, attempt: Callable[[], Awaitable[T]]) -> T:
        """The answer of ``attempt``, which is made again as long as the lease is short and more is on its way."""
        deadline_s = self._clock.mono_s() + WAIT_S_MAX
        while True:
            ends = self._round
            answer = await attempt()
            if not isinstance(answer, LeaseShort) or not await self._more(campaign, ends, deadline_s):
                return answer

    def gave(self, campaign: CampaignId) -> None:
        """One coupon was given out; whoever leases is woken when that was the last one above the low-water mark."""
        self._gone[campaign] += 1
        stock = self._stock.get(campaign)
        if stock is not None and self._gone[campaign] == stock.until_low:
            self.wake.set()

    async def _more(self, campaign: CampaignId, ends: asyncio.Event, deadline_s: float) -> bool:
        """Wait for the present round with HQ to end; whether it is worth looking at the lease again."""
        if ends is self._round and not self._may_bring(campaign):
            return False
        left_s = deadline_s - self._clock.mono_s()
        if left_s <= 0:
            return False
        self._waiting[campaign] += 1
        self.wake.set()
        try:
            async with asyncio.timeout(left_s):
                await ends.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting[campaign] -= 1
        return True

    def _may_bring(self, campaign: CampaignId) -> bool:
        now_s = self._clock.mono_s()
        if not self.is_leasing or self.is_diverged or self.hindrance is not None or self.is_dry(campaign):
            return False
        if self.not_before_s - now_s > WAIT_S_MAX:
            return False
        return self._asked_s is None or now_s - self._asked_s < WAIT_S_MAX

    # For leasing.

    @property
    def waiting(self) -> Mapping[CampaignId, int]:
        """Shoppers who wait, by campaign."""
        return +self._waiting

    def look(self, stock: Mapping[CampaignId, Stock]) -> None:
        """What the ledger holds at this moment."""
        self._stock = dict(stock)
        self._gone.clear()

    def asking(self) -> None:
        """A request goes out now."""
        self._asked_s = self._clock.mono_s()

    def answered(self, *, short: frozenset[CampaignId], more: frozenset[CampaignId]) -> None:
        """HQ answered. ``short``: campaigns that more was wanted of; ``more``: those that it gave some of."""
        now_s = self._clock.mono_s()
        for campaign in more:
            self._dry.pop(campaign, None)
        for campaign in short - more:
            _, before_s = self._dry.get(campaign, (0.0, _DRY_S_FIRST / 2))
            lasts_s = min(2 * before_s, _DRY_S_MAX)
            self._dry[campaign] = (now_s + lasts_s, lasts_s)

    def concluded(self) -> None:
        """The round with HQ is over, however it went: whoever waits looks again."""
        self._asked_s = None
        ended, self._round = self._round, asyncio.Event()
        ended.set()

    def is_dry(self, campaign: CampaignId) -> bool:
        """Whether HQ had none of it just now."""
        until_s, _ = self._dry.get(campaign, (0.0, 0.0))
        return self._clock.mono_s() < until_s

    # For health and metrics.

    @property
    def left(self) -> Mapping[CampaignId, int]:
        """Coupons that may still be given out, by campaign; empty where nothing is leased."""
        return {
            campaign: max(0, stock.left - self._gone[campaign]) for campaign, stock in self._stock.items()
        }

    def troubles(self) -> list[Trouble]:
        """What a person should know."""
        if self.is_diverged:
            return [
                Trouble(
                    "rights_diverged",
                    "HQ has seen later requests for rights than this mini-PC remembers: its disk was copied, or went back "
                    "to an older state. No more coupons are given out here; those that were are redeemed as ever.",
                    "Tell HQ, and do not replace or reset the mini-PC before HQ has looked.",
                )
            ]
        left = self.left
        spent = [
            campaign for campaign, stock in self._stock.items() if stock.is_running and left[campaign] < 1
        ]
        if self.hindrance is None or not spent:
            return []
        names = ", ".join(sorted(spent)[:_NAMED_MAX]) + (" and others" if len(spent) > _NAMED_MAX else "")
        return [
            Trouble(
                "rights_missing",
                f"No more coupons of {names} can be given out: all that HQ allowed this mini-PC are given, and "
                f"{self.hindrance.because}.",
                self.hindrance.do,
            )
        ]
