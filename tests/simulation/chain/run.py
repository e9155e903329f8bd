"""One run: a chain's hours with shoppers, an operator, bad lines, crashes and restores, from one seed; then it heals."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from random import Random
from traceback import extract_tb
from typing import Any

from cloud_api.ports.storage import KnownAgent, KnownClaim
from edge_agent.ports import LineDown
from edge_agent.services.redeeming import Basket
from engagement.campaign.model import Campaign
from engagement.coupon.coupon import CouponRecord
from engagement.estate.estate import Change, PublishCampaign, PutBranch, Step
from engagement.ids import AgentName, BranchCode, OrderId, RequestId, SubjectId, VisitorId, visitor_subject
from engagement.line.claim import ENTROPY_BYTES, make_claim
from engagement.till.attempt import Accepted
from tests.fakes import estates, shop
from tests.fakes.hq import public_key
from tests.fakes.hq_authority import HandSealing, make_sealing
from tests.fakes.virtual_loop import run_virtually
from tests.simulation.box import NoAnswer
from tests.simulation.chain.god import God
from tests.simulation.chain.hq import HqBuild, HqProcess, SimHq
from tests.simulation.chain.store import SimStore, StoreBuild, StoreProcess
from tests.simulation.chain.wire import Wire
from tests.simulation.outcome import Outcome

# Long enough for a store to be without its line for a day.
LONG_HOURS = 26.0
SHORT_HOURS = 5.0
STORES = 3
SHOPPERS = 40
BY = "hq"
# Tight, so that one right too many shows as a coupon too many.
WELCOME = shop.campaign(id="welcome", budget={"units": 60, "spend_minor": 120_000})
STOPPED = shop.campaign(id="stopped", number=5, budget={"units": 200, "spend_minor": 400_000})
DEARER = shop.campaign(id="dearer", number=6, budget={"units": 40, "spend_minor": 80_000})
CAMPAIGNS: tuple[Campaign, ...] = (WELCOME, STOPPED, DEARER)
# HQ's refusals and a restored HQ's fence are looked at again within a quarter of an hour.
_HEALING_S = 3600.0
# How soon a run that may end early looks whether it should.
_LOOK_S = 300.0


@dataclass(frozen=True)
class ChainBuild:
    """Both sides; a planted fault replaces one part of one of them."""

    hq: HqBuild = field(default_factory=HqBuild)
    store: StoreBuild = field(default_factory=StoreBuild)


def simulate_chain(
    seed: int,
    build: ChainBuild | None = None,
    *,
    hours: float = SHORT_HOURS,
    ends_at_violation: bool = False,
) -> Outcome:
    """Run one seed to its end; the same seed and length give the same outcome in every process.

    As much befalls the chain in few hours as in many. ``ends_at_violation``: soon after the first one nothing more is run.
    """
    return run_virtually(
        _simulate(seed, build or ChainBuild(), make_sealing(), hours, ends_at_violation=ends_at_violation)
    )


async def _simulate(
    seed: int, build: ChainBuild, sealing: HandSealing, hours: float, *, ends_at_violation: bool
) -> Outcome:
    chain = await _open_chain(seed, build, sealing, hours)
    lives = [
        *(_shopper(chain, VisitorId(f"v{number}")) for number in range(SHOPPERS)),
        *(_weather_of(chain, store) for store in chain.stores),
        _weather_at_hq(chain),
        _operator(chain),
        _auditor(chain),
    ]
    god = chain.god
    await _for_hours(chain, lives, ends_at_violation=ends_at_violation)
    if not (ends_at_violation and god.violations):
        await _heal(chain)
        await god.audit_rights(chain.stores, chain.hq.disk)
        await god.audit_equal(chain.stores, chain.hq.disk)
    await _end(chain)
    return Outcome(seed, tuple(god.violations), god.trace_hash, god.seen)


@dataclass
class Chain:
    """``dice``: one for everybody, so that a seed is the whole of a run."""

    dice: Random
    god: God
    hq: SimHq
    stores: list[SimStore]
    hours: float

    async def while_away(self, hours_max: float) -> None:
        """At most so long, in a long run; less in proportion in a short one."""
        await asyncio.sleep(self.dice.random() * hours_max * 3600 * self.hours / LONG_HOURS)


async def _open_chain(seed: int, build: ChainBuild, sealing: HandSealing, hours: float) -> Chain:
    dice = Random(seed)
    hq = SimHq(dice, sealing, build.hq)
    names = [AgentName(f"agent-{number}") for number in range(1, STORES + 1)]
    for place, name in enumerate(names, start=1):
        claim = make_claim(bytes([place]) * ENTROPY_BYTES)
        known = KnownAgent(name, BranchCode(f"B{place}"), place, "claimed")
        await hq.disk.storage.put_claim(known, KnownClaim(claim, name, shop.NOON_MS + shop.DAY_MS))
        await hq.disk.storage.enrol(claim.id, public_key=public_key(name), at_ms=shop.NOON_MS)
    await hq.start()
    steps: list[Step] = [
        *(
            PutBranch(branch=estates.branch(f"B{place}", name), access=estates.access("till 1"))
            for place, name in enumerate(names, start=1)
        ),
        *(PublishCampaign(campaign=campaign) for campaign in CAMPAIGNS),
    ]
    process = hq.running
    assert process is not None
    await process.changing.apply(Change(base=0, steps=tuple(steps)), by=BY)
    stores = []
    for place, name in enumerate(names, start=1):
        wire = Wire(name, hq, dice)
        mint = replace(shop.MINT, agent_number=place)
        stores.append(SimStore(mint, wire, await process.bundling.sealed(name), dice, build.store))
    for store in stores:
        store.start()
    return Chain(dice, God(CAMPAIGNS), hq, stores, hours)


async def _for_hours(
    chain: Chain, lives: list[Coroutine[Any, Any, None]], *, ends_at_violation: bool
) -> None:
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + chain.hours * 3600
    tasks = [loop.create_task(_watched(chain.god, life)) for life in lives]
    look_s = _LOOK_S if ends_at_violation else chain.hours * 3600
    while loop.time() < ends_s and not (ends_at_violation and chain.god.violations):
        await asyncio.wait(tasks, timeout=min(look_s, ends_s - loop.time()))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _watched(god: God, life: Coroutine[Any, Any, None]) -> None:
    """An answer that is an error is as wrong as any other."""
    try:
        await life
    except Exception as error:
        place = extract_tb(error.__traceback__)[-1]
        god.demand(False, f"{type(error).__name__} from {place.name}: {error}")


async def _shopper(chain: Chain, visitor: VisitorId) -> None:
    """Wanders from store to store, takes what is offered, and uses some of it where it was given."""
    dice, subject = chain.dice, visitor_subject(visitor)
    while True:
        await chain.while_away(6)
        store = dice.choice(chain.stores)
        for campaign in CAMPAIGNS:
            coupon = await _take(chain, store, campaign, subject)
            if coupon is not None and dice.random() < 0.6:
                await asyncio.sleep(dice.random() * 600)
                await _use(chain, store, coupon)


async def _take(chain: Chain, store: SimStore, campaign: Campaign, subject: SubjectId) -> CouponRecord | None:
    async def work(process: StoreProcess) -> object:
        present = process.premises.campaigns.get(campaign.id)
        return None if present is None else await process.issuing.give(present, subject)

    try:
        answer = await store.ask(work)
    except NoAnswer:
        return None
    if not isinstance(answer, CouponRecord):
        chain.god.note("not issued", store.agent, campaign.id, getattr(answer, "reason", ""))
        return None
    chain.god.saw_coupon(store.agent, answer)
    return answer


async def _use(chain: Chain, store: SimStore, coupon: CouponRecord) -> None:
    """Until the till has an answer: a lost one is asked for again, under the same id."""
    request = RequestId(f"r-{coupon.coupon}")
    basket = Basket(OrderId(f"o-{coupon.coupon}"), 20_000, "CNY")
    for _ in range(20):
        try:
            answer = await store.ask(
                lambda process: process.redeeming.redeem(
                    coupon.code, basket, request=request, till=shop.TILL, cashier=shop.CASHIER
                )
            )
        except NoAnswer:
            await asyncio.sleep(30)
            continue
        if isinstance(answer, Accepted):
            made = answer.coupon.redemption
            assert made is not None
            chain.god.saw_redemption(coupon.coupon, made.id)
        return


async def _operator(chain: Chain) -> None:
    """Stops one campaign and makes another dearer, some time; asks again until HQ has taken it."""
    await chain.while_away(20)
    dearer = DEARER.model_copy(
        update={
            "edition": 2,
            "offer": DEARER.offer.model_copy(update={"value_minor": DEARER.offer.value_minor + 500}),
        }
    )
    dearer = dearer.model_copy(
        update={
            "budget": dearer.budget.model_copy(
                update={"spend_minor": dearer.budget.units * dearer.offer.liability_minor}
            )
        }
    )
    chain.god.budgets[DEARER.id] += chain.god.budgets[DEARER.id]

    async def stop(process: HqProcess) -> int:
        return await process.changing.stop(STOPPED.id, honour_issued=True, by=BY)

    async def publish(process: HqProcess) -> int:
        return await process.changing.revise(lambda estate: (PublishCampaign(campaign=dearer),), by=BY)

    while True:
        # Again from time to time, for HQ may have been put back to before.
        for work in (stop, publish):
            try:
                await chain.hq.ask(work)
            except LineDown:
                continue
            chain.god.note("operator", work.__name__)
        await chain.while_away(1)


async def _weather_of(chain: Chain, store: SimStore) -> None:
    """The line gets bad, is cut for up to a day, and the box crashes."""
    dice, wire = chain.dice, store.wire
    while True:
        kind = dice.choice(["well", "bad", "cut", "crash", "power cut"])
        chain.god.note(kind, store.agent)
        if kind in ("crash", "power cut"):
            await store.die(power_cut=kind == "power cut")
            await asyncio.sleep(dice.choice([0.2, 5.0, 300.0]))
            store.start()
        wire.badness = 0.25 if kind == "bad" else 0.02
        wire.is_cut = kind == "cut"
        await chain.while_away(dice.choice([0.2, 3.0, 24.0 if wire.is_cut else 1.0]))
        wire.is_cut = False


async def _weather_at_hq(chain: Chain) -> None:
    """HQ is backed up every few hours, crashes often, and is put back to its last backup once or twice."""
    dice, hq = chain.dice, chain.hq
    while True:
        await chain.while_away(2)
        kind = dice.choice(["backup", "backup", "hq crash", "hq crash", "hq crash", "restore"])
        if kind == "backup":
            hq.back_up()
        elif kind == "hq crash":
            await hq.die()
            await asyncio.sleep(dice.choice([1.0, 60.0, 1800.0]))
            await hq.start()
        elif not await hq.restore():
            continue
        chain.god.note(kind)


async def _auditor(chain: Chain) -> None:
    while True:
        await chain.god.audit_rights(chain.stores, chain.hq.disk)
        await chain.while_away(0.5)


async def _heal(chain: Chain) -> None:
    """Everything runs, every line is good, and nothing more happens."""
    for store in chain.stores:
        store.wire.badness, store.wire.is_cut = 0.0, False
        if store.running is None:
            store.start()
    if chain.hq.running is None:
        await chain.hq.start()
    await asyncio.sleep(_HEALING_S)
    for store in chain.stores:
        for fault in store.faults:
            chain.god.demand(False, fault)
        process = store.running
        assert process is not None
        chain.god.demand(
            not any(process.store.backlog().values()), f"{store.agent} still has {process.store.backlog()}"
        )
        wanted = chain.hq.running.bundling.wanted(store.agent) if chain.hq.running else 0
        chain.god.demand(
            process.premises.bundle.sequence == wanted,
            f"{store.agent} works from bundle {process.premises.bundle.sequence}, wanted is {wanted}",
        )


async def _end(chain: Chain) -> None:
    for store in chain.stores:
        await store.die(power_cut=True)
    await chain.hq.die()
    for stray in chain.hq.strays:
        stray.cancel()
    await asyncio.gather(*chain.hq.strays, return_exceptions=True)
