"""When a store's `run.json` appears and goes: on a virtual clock."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engagement.ids import TillName
from provisioning.ports import Health
from provisioning.services.chain_secrets import BranchSecrets, CashierSecret, ChainSecrets
from provisioning.services.opening import Opening, StoreHere
from provisioning.services.seeding import CASHIER, HomeSecrets
from provisioning.services.store_address import StoreAddress
from tests.fakes.estates import branch
from tests.fakes.virtual_loop import run_virtually

PIER = branch("PIER", "a")
KNOWN = ChainSecrets(
    branches={
        PIER.code: BranchSecrets(
            till_tokens={TillName("till 1"): "token"}, cashiers={CASHIER: CashierSecret(pin="1", salt="2")}
        )
    }
)
WELL = Health("ok", "recording:fake", ())


@dataclass
class Store:
    """``facts``: what stands in run.json; None while there is none."""

    facts: dict[str, Any] | None = None
    health: dict[str, Health | None] = field(default_factory=lambda: {"agent": WELL, "cloud": WELL})
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.opening = Opening(
            store=StoreHere(PIER, StoreAddress(8600), Path("ca.pem"), HomeSecrets(hq_password="p"), KNOWN),
            programs=("agent", "cloud"),
            ask=self.ask,
            run_file=self,
            settled=self.settled,
            greeting=lambda facts: f"open with {facts['radio']}",
            tell=self.told.append,
        )

    async def ask(self, program: str) -> Health | None:
        return self.health[program]

    def write_run_facts(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    def remove_run_facts(self) -> None:
        self.facts = None

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def test_it_opens_once_both_serve_and_the_agent_works_from_what_hq_wants() -> None:
    async def story() -> None:
        store = Store()
        opening = asyncio.create_task(store.opening.open())
        store.opening.serving("cloud", 7, Health("degraded", "", ("not certified",)))
        await store.passes(100)
        store.opening.serving("agent", 8, WELL)
        await store.passes(1)
        assert store.facts is None
        store.settled.set()
        await opening
        assert store.facts is not None
        assert store.facts["pids"] == {"agent": 8, "cloud": 7}
        assert store.facts["till_token"] == "token"
        # What was over by then is not told.
        assert store.told == ["open with recording:fake"]

    run_virtually(story())


def test_a_broken_line_does_not_keep_it_closed() -> None:
    async def story() -> None:
        store = Store(health={"agent": Health("degraded", "none", ("no line",)), "cloud": None})
        opening = asyncio.create_task(store.opening.open())
        store.opening.serving("cloud", 7, WELL)
        store.opening.serving("agent", 8, WELL)
        await store.passes(9)
        assert store.facts is None
        await opening
        assert store.facts is not None
        assert store.told == ["open with none", "  note: no line"]

    run_virtually(story())


def test_a_program_that_is_gone_takes_the_facts_with_it_until_it_is_back() -> None:
    async def story() -> None:
        store = Store()
        store.settled.set()
        opening = asyncio.create_task(store.opening.open())
        store.opening.serving("cloud", 7, WELL)
        store.opening.serving("agent", 8, WELL)
        await opening
        store.opening.gone("agent")
        assert store.facts is None
        store.opening.serving("agent", 9, WELL)
        assert store.facts is not None
        assert store.facts["pids"] == {"agent": 9, "cloud": 7}
        assert store.told[-1] == "agent is healthy again as process 9."

    run_virtually(story())


def test_one_that_is_gone_before_the_agent_settled_is_waited_for() -> None:
    async def story() -> None:
        store = Store()
        opening = asyncio.create_task(store.opening.open())
        store.opening.serving("cloud", 7, WELL)
        store.opening.serving("agent", 8, WELL)
        await store.passes(1)
        store.opening.gone("cloud")
        store.settled.set()
        await store.passes(60)
        assert store.facts is None
        store.opening.serving("cloud", 10, WELL)
        await opening
        assert store.facts is not None

    run_virtually(story())
