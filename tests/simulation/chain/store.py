"""One store of the chain: its agent with the line's services running, what its disk keeps, and what a crash loses."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeVar

from edge_agent.adapters.memory_store import Disk, MemoryStore, new_disk
from edge_agent.ports import Store, StoreClosed
from edge_agent.radio_status import RadioStatus
from edge_agent.services.issuing import Issuing
from edge_agent.services.leasing import Leasing
from edge_agent.services.line import Line
from edge_agent.services.premises import Premises
from edge_agent.services.redeeming import Redeeming
from edge_agent.services.reporting import Reporting, recall
from edge_agent.services.rights import Rights
from edge_agent.services.status import Counts, HealthReport, Status
from edge_agent.services.syncing import Syncing
from engagement.campaign.issue import Mint
from engagement.ids import AgentName
from tests.fakes.ledger import SeededEntropy
from tests.fakes.shop import verify
from tests.simulation.box import BoxClock, BumpyStore, NoAnswer, answer
from tests.simulation.chain.wire import Wire

T = TypeVar("T")


@dataclass(frozen=True)
class StoreBuild:
    """How an agent is put together; a planted fault replaces one part."""

    on_store: Callable[[Store], Store] = lambda store: store


@dataclass
class BundleOnDisk:
    """HQ's last bundle, still sealed; survives every crash."""

    text: str | None = None

    def load(self, read: Callable[[str], T]) -> T | None:
        return None if self.text is None else read(self.text)

    async def save(self, text: str) -> None:
        self.text = text


class WellHealth:
    """A store that has nothing to complain of but what waits to be shipped."""

    def __init__(self, store: Store, agent: AgentName) -> None:
        self._store = store
        self._agent = agent

    def report(self) -> HealthReport:
        return HealthReport(
            status=Status.OK,
            issues=(),
            backlog=self._store.backlog(),
            last_sync_ms=None,
            radio="none",
            radio_status=RadioStatus("none", ()),
            branch="",
            agent=self._agent,
            version="simulated",
            clock_error_ms=0,
            store_version="memory",
        )

    def counts(self) -> Counts:
        raise NotImplementedError("nobody asks for metrics here")


@dataclass
class StoreProcess:
    """The agent's program while it runs: everything in here dies with it."""

    store: MemoryStore
    premises: Premises
    issuing: Issuing
    redeeming: Redeeming
    reporting: Reporting
    jobs: list[asyncio.Task[None]]
    at_work: dict[asyncio.Task[Any], None] = field(default_factory=dict)


class SimStore:
    """``wire``: its line to HQ; ``disk``: what the present or the next process runs over; ``faults``: what its services
    ended with, which they never should."""

    def __init__(self, mint: Mint, wire: Wire, sealed_bundle: str, dice: Random, build: StoreBuild) -> None:
        self.agent = wire.agent
        self.wire = wire
        self._mint = mint
        self._dice = dice
        self._build = build
        self._entropy = SeededEntropy(dice.getrandbits(32))
        self.clock = BoxClock()
        self.disk: Disk = new_disk(self._entropy)
        self.bundle = BundleOnDisk(sealed_bundle)
        self._next = self._over_disk()
        self._process: StoreProcess | None = None
        self.faults: list[str] = []

    @property
    def running(self) -> StoreProcess | None:
        return self._process

    def start(self) -> None:
        """A new process over what the disk has."""
        assert self._process is None
        memory, root_pem = self._next, self.wire.hq.root_pem
        store = BumpyStore(self._build.on_store(memory), self._dice)
        kept = recall(self.bundle, root_pem=root_pem)
        assert kept is not None
        premises = Premises(
            bundle=kept.bundle,
            clock=self.clock,
            entropy=self._entropy,
            store=store,
            mint=replace(self._mint, lease_number=memory.lease_number),
        )
        line, rights = Line(self.clock.now()), Rights(self.clock)
        line.enrolled.set()
        reporting = Reporting(
            premises,
            desk=self.wire,
            health=WellHealth(memory, self.agent),
            keeping=self.bundle,
            line=line,
            root_pem=lambda: root_pem,
            sealed_by=kept.sealed_by,
        )
        syncing = Syncing(
            agent=self.agent,
            clock=self.clock,
            entropy=self._entropy,
            store=store,
            uplink=self.wire,
            line=line,
        )
        leasing = Leasing(premises, treasury=self.wire, line=line, rights=rights, root_pem=lambda: root_pem)
        self._process = StoreProcess(
            store=memory,
            premises=premises,
            issuing=Issuing(premises, rights),
            redeeming=Redeeming(premises, verify),
            reporting=reporting,
            jobs=[
                asyncio.get_running_loop().create_task(self._until_closed(job))
                for job in (memory.run(), syncing.run(), leasing.run(), reporting.run())
            ],
        )

    async def die(self, *, power_cut: bool) -> None:
        """End the process at this very instant; a power cut takes the boot with it as well."""
        process, self._process = self._process, None
        if process is None:
            return
        self._next = process.store.power_cut(keeps_unacknowledged=self._dice.random() < 0.5)
        tasks = [*process.at_work, *process.jobs]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, StoreClosed):
                await task
        if power_cut:
            self.clock.reboot()

    async def ask(self, work: Callable[[StoreProcess], Coroutine[Any, Any, T]]) -> T:
        """Have the agent do something. Errors: NoAnswer when it is not there, or dies over it."""
        process = self._process
        if process is None:
            raise NoAnswer
        return await answer(process.at_work, work(process))

    def at_rest(self) -> MemoryStore:
        """A store over the disk, for looking into it."""
        return MemoryStore(self.disk)

    async def _until_closed(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except StoreClosed:
            return
        except Exception as error:  # what would take the real agent down
            self.faults.append(f"{self.agent}: {type(error).__name__}: {error}")

    def _over_disk(self) -> MemoryStore:
        return MemoryStore(self.disk, commit_s=lambda: self._dice.random() * 0.02)
