"""One branch with everything a service needs of it: on a store in memory and the running loop's own time."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge_agent.ports import Store
from edge_agent.services.premises import Premises
from engagement.campaign.model import Campaign
from engagement.clock.moment import Moment
from engagement.estate.branch import Branch
from engagement.estate.bundle import Bundle
from engagement.ids import AgentName
from tests.fakes.ledger import SeededEntropy
from tests.fakes.shop import MINT, NOON_MS
from tests.fakes.store_places import MemoryPlace, running

HARBOUR = {
    "name": "Harbour Street",
    "code": "HARBOUR",
    "time_zone": "Asia/Shanghai",
    "languages": ["zh-Hans", "en"],
    "currency": "CNY",
    "zones": ["entrance", "cafe"],
    "beacons": [
        {
            "name": "member-tag",
            "role": "tag",
            "member": "m-1001",
            "ibeacon": {"uuid": "0e94b3d2-6c1f-4a57-8f3b-92d1c6a7e504", "major": 7, "minor": 1},
        },
        {
            "name": "guest-tag",
            "role": "tag",
            "ibeacon": {"uuid": "0e94b3d2-6c1f-4a57-8f3b-92d1c6a7e504", "major": 7, "minor": 2},
        },
    ],
    "agents": [
        {
            "name": "harbour-1",
            "number": MINT.agent_number,
            "receivers": [{"adapter": "hci0", "zone": "entrance"}],
        }
    ],
    "tills": ["till 1"],
}


@dataclass
class LoopClock:
    """Wall time and boottime follow the running loop, from ``began_ms`` on."""

    began_ms: int = NOON_MS

    def now(self) -> Moment:
        passed_ms = round(asyncio.get_running_loop().time() * 1000)
        return Moment(wall_ms=self.began_ms + passed_ms, error_ms=0, boot_id="boot", boottime_ms=passed_ms)

    def mono_s(self) -> float:
        return asyncio.get_running_loop().time()


def harbour_bundle(campaigns: Iterable[Campaign] = ()) -> Bundle:
    return Bundle(
        version=1,
        sequence=1,
        agent=AgentName("harbour-1"),
        agent_number=MINT.agent_number,
        branch=Branch.model_validate(HARBOUR),
        campaigns=tuple(campaigns),
    )


def premises_over(store: Store, campaigns: Iterable[Campaign] = ()) -> Premises:
    return Premises(
        bundle=harbour_bundle(campaigns),
        clock=LoopClock(),
        entropy=SeededEntropy(),
        store=store,
        mint=MINT,
    )


@asynccontextmanager
async def open_premises(*campaigns: Campaign) -> AsyncIterator[Premises]:
    """Premises on a store in memory that takes decisions until the block ends."""
    async with running(MemoryPlace()) as store:
        yield premises_over(store, campaigns)
