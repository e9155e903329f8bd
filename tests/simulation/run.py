"""One run: a store's three days with everybody in it, from one seed; then everything heals and every promise is called in."""

import asyncio
from collections.abc import Coroutine
from random import Random
from traceback import extract_tb
from typing import Any

from engagement.campaign.model import Campaign
from engagement.ids import OrderId, RequestId, TillName
from engagement.till.attempt import Accepted
from tests.fakes import shop
from tests.fakes.virtual_loop import run_virtually
from tests.simulation.box import Box, Build
from tests.simulation.outcome import Outcome
from tests.simulation.people import Shopper, Street, Till, run_operator
from tests.simulation.weather import Weather
from tests.simulation.witness import Witness

DAYS = 3
SHOPPERS = 14
WELCOME = shop.campaign(
    id="welcome",
    budget={"units": 10, "spend_minor": 20_000, "units_per_day": 7},
    window=shop.campaign_file()["window"] | {"use_days": 1},
    stacking={"group": "welcome"},
)
WELCOME_TOO = shop.campaign(id="welcome-too", number=5, stacking={"group": "too", "max_in_group": 2})
SHAKE = shop.shake_campaign(
    win_bps=6000,
    budget={"units": 16, "spend_minor": 32_000},
    limits={"issue": 3, "issue_per_day": 2, "plays_per_day": 4},
    offer={"kind": "percent", "off_bps": 1500, "cap_minor": 2000},
    stacking={"group": "shake", "max_in_group": 2},
)
CAMPAIGNS: tuple[Campaign, ...] = (WELCOME, WELCOME_TOO, SHAKE)


def simulate(seed: int, build: Build | None = None) -> Outcome:
    """Run one seed to its end; the same seed gives the same outcome in every process."""
    return run_virtually(_simulate(seed, build or Build()))


async def _simulate(seed: int, build: Build) -> Outcome:
    dice = Random(seed)
    witness = Witness(CAMPAIGNS)
    box = Box(dice, CAMPAIGNS, build)
    street = Street(box, witness, dice, CAMPAIGNS)
    weather = Weather(box, witness, dice)
    tills = [Till(street, TillName(f"till {number}"), asyncio.Queue()) for number in (1, 2)]
    box.start()
    await _for_days(
        witness,
        *(Shopper(street, f"127.0.1.{number}").live([till.queue for till in tills]) for number in range(SHOPPERS)),
        *(till.serve() for till in tills),
        run_operator(street),
        weather.crashes(),
        weather.clocks(),
        weather.disks(),
        weather.network(),
    )  # fmt: skip
    await _heal(box, weather)
    await _watched(witness, _call_promises_in(street))
    await witness.audit(box.at_rest(), box.day_of)
    await box.die(power_cut=False)
    return Outcome(seed, tuple(witness.violations), witness.trace_hash, witness.seen)


async def _for_days(witness: Witness, *lives: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.get_running_loop().create_task(_watched(witness, life)) for life in lives]
    await asyncio.wait(tasks, timeout=DAYS * 24 * 3600)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _watched(witness: Witness, life: Coroutine[Any, Any, None]) -> None:
    """An answer that is an error is as wrong as any other; whoever got it stays away from then on."""
    try:
        await life
    except Exception as error:
        place = extract_tb(error.__traceback__)[-1]
        witness.demand(False, f"{type(error).__name__} from {place.name}: {error}")


async def _heal(box: Box, weather: Weather) -> None:
    """Nothing is lost or slow any more, and the box has just restarted."""
    box.loss = 0.0
    weather.calm_disk()
    box.clock.off_ms = box.clock.error_ms = 0
    await box.die(power_cut=True)
    box.start()


async def _call_promises_in(street: Street) -> None:
    """Every accepted request once more, then every shown coupon at a till that has done nothing before."""
    witness = street.witness
    known = {TillName(f"till {number}") for number in (1, 2)}
    auditor = Till(street, TillName("auditor"), asyncio.Queue())
    for told in sorted(witness.told.values(), key=lambda told: told.coupon.serial):
        coupon = told.coupon
        for request, accepted in sorted(told.accepted.items()):
            made = accepted.coupon.redemption
            assert made is not None
            assert made.till in known
            await Till(street, made.till, asyncio.Queue()).redeem(
                coupon.code, coupon, made.order, RequestId(request)
            )
        answer = await auditor.redeem(
            coupon.code, coupon, OrderId(f"audit-{coupon.serial}"), RequestId(f"audit-{coupon.serial}")
        )
        if isinstance(answer, Accepted):
            await auditor.redeem(
                coupon.code, coupon, OrderId(f"again-{coupon.serial}"), RequestId(f"again-{coupon.serial}")
            )
