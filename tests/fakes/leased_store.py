"""One store under lease: the real services over a store in memory, on virtual time, and a line to HQ's rights."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from edge_agent.adapters.memory_store import Disk, MemoryStore, new_disk
from edge_agent.ports import LineDown, StoreClosed, Treasury
from edge_agent.services.issuing import Issuing
from edge_agent.services.leasing import Leasing
from edge_agent.services.line import Line
from edge_agent.services.premises import Premises
from edge_agent.services.rights import Rights
from engagement.campaign.model import Campaign
from engagement.campaign.tally import campaign_tally_key
from engagement.coupon.coupon import CouponRecord
from engagement.ids import AgentName, SubjectId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.rights.lease import LEASE_DESK_KEY, LeaseAccount, lease_key
from engagement.rights.messages import LeaseAnswer
from tests.fakes.ledger import SeededEntropy
from tests.fakes.premises import harbour_bundle, premises_over
from tests.fakes.shop import campaign
from tests.fakes.treasury import CalmTreasury, LeaseHq
from tests.fakes.virtual_loop import run_virtually

AGENT = harbour_bundle().agent
OTHERS = [AgentName(f"other-{number}") for number in range(1, 10)]
_STRANGERS = count()
HOUR_S, DAY_S = 3600, 86_400
YEARS = {"opens_at": "2025-01-01T00:00:00Z", "ends_at": "2036-01-01T00:00:00Z", "use_days": 7}


def pool(units: int, **changes: object) -> Campaign:
    """A welcome campaign of which the whole chain may give out so many."""
    budget = {"units": units, "spend_minor": units * 2000}
    return campaign(**({"budget": budget, "window": YEARS} | changes))


@dataclass
class Box:
    premises: Premises
    store: MemoryStore
    issuing: Issuing
    rights: Rights
    line: Line
    root_pem: str | None
    answers: list[CouponRecord | Refusal] = field(default_factory=list)

    async def give(self, of: Campaign | None = None) -> CouponRecord | Refusal:
        """A coupon for somebody who never had one."""
        (first, *_) = self.premises.bundle.campaigns
        subject = SubjectId(f"v:{next(_STRANGERS)}")
        answer = await self.issuing.give(of or first, subject)
        self.answers.append(answer)
        return answer

    async def crowd(self, size: int) -> int:
        """So many at the same time: how many got one."""
        answers = await asyncio.gather(*(self.give() for _ in range(size)))
        return sum(isinstance(answer, CouponRecord) for answer in answers)

    async def account(self, of: Campaign | None = None) -> LeaseAccount | None:
        key = lease_key((of or self.premises.bundle.campaigns[0]).id)
        return (await self.store.fetch([key])).get(key)

    async def left(self) -> int:
        campaign = self.premises.bundle.campaigns[0]
        keys = (lease_key(campaign.id), campaign_tally_key(campaign.id))
        rows = await self.store.fetch(keys)
        account, tally = rows.get(keys[0]), rows.get(keys[1])
        if account is None:
            return 0
        return account.left(tally).units if tally is not None else account.granted.units

    async def number(self) -> int:
        desk = (await self.store.fetch([LEASE_DESK_KEY])).get(LEASE_DESK_KEY)
        return 0 if desk is None else desk.number

    def work_from(self, *campaigns: Campaign) -> None:
        bundle = harbour_bundle(campaigns)
        self.premises.renew(
            bundle.model_copy(update={"sequence": self.premises.bundle.sequence + 1, "is_leased": True})
        )

    def trouble_codes(self) -> set[str]:
        return {trouble.code for trouble in self.rights.troubles()}


@asynccontextmanager
async def boxed(
    treasury: Treasury,
    campaigns: Iterable[Campaign],
    root_pem: str | None,
    disk: Disk | None = None,
    *,
    is_leased: bool = True,
) -> AsyncIterator[Box]:
    store = MemoryStore(disk or new_disk(SeededEntropy()), commit_s=lambda: 0.002)
    premises = premises_over(store, campaigns)
    premises.renew(premises.bundle.model_copy(update={"is_leased": is_leased}))
    line, rights = Line(premises.clock.now()), Rights(premises.clock)
    line.enrolled.set()
    box = Box(premises, store, Issuing(premises, rights), rights, line, root_pem)
    leasing = Leasing(premises, treasury=treasury, line=line, rights=rights, root_pem=lambda: box.root_pem)
    writer = asyncio.ensure_future(store.run())
    working = asyncio.ensure_future(leasing.run())
    try:
        yield box
    finally:
        working.cancel()
        (ended,) = await asyncio.gather(working, return_exceptions=True)
        await store.close()
        await writer
    if isinstance(ended, Exception) and not isinstance(ended, StoreClosed):
        raise ended


@asynccontextmanager
async def leased(
    units: int = 1000,
    *,
    others: int = 0,
    disk: Disk | None = None,
    takes_s: float = 0.05,
    of: Campaign | None = None,
) -> AsyncIterator[tuple[Box, LeaseHq, CalmTreasury]]:
    """One box, and HQ with a pool of so many coupons for it and ``others`` more agents."""
    welcome = of or pool(units)
    hq = LeaseHq([welcome], [AGENT, *OTHERS[:others]])
    treasury = CalmTreasury(hq, AGENT, takes_s=takes_s)
    async with boxed(treasury, [welcome], hq.sealing.root_pem, disk) as box:
        yield box, hq, treasury


def on_virtual_time(story: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        run_virtually(story())

    test.__name__ = story.__name__
    return test


def is_sold_out(answer: CouponRecord | Refusal) -> bool:
    return isinstance(answer, Refusal) and answer.reason is Reason.SOLD_OUT


def lose_answer(answer: LeaseAnswer) -> LeaseAnswer:
    """HQ took the request, and the agent never hears of it."""
    raise LineDown("the answer was lost")
