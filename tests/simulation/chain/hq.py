"""HQ in the simulation: what its disk keeps, what a crash loses, backups, and what a restore brings back."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from cloud_api.adapters.packing import ZstdPacking
from cloud_api.services.bundling import Bundling
from cloud_api.services.changing import Changing
from cloud_api.services.estate_view import EstateView
from cloud_api.services.ingesting import Ingesting
from cloud_api.services.lending import Lending
from cloud_api.services.news import News
from cloud_api.services.registry import Registry
from cloud_api.services.reporting import Reporting
from edge_agent.ports import LineDown
from tests.fakes.hq_authority import HandSealing
from tests.fakes.ledger import SeededEntropy
from tests.fakes.memory_estate import MemoryEstate, MemoryReports
from tests.fakes.memory_rights import MemoryRights
from tests.fakes.memory_storage import MemoryStorage
from tests.simulation.box import true_ms

T = TypeVar("T")


class HqClock:
    def now_ms(self) -> int:
        return true_ms()

    def mono_s(self) -> float:
        return asyncio.get_running_loop().time()


class Bumpy:
    """Storage that takes its time before and after each call, so that everything happens between any two."""

    def __init__(self, inner: Any, dice: Random) -> None:
        self._inner = inner
        self._dice = dice

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def bumped(*args: Any, **options: Any) -> Any:
            await self._bump()
            answer = await found(*args, **options)
            await self._bump()
            return answer

        return bumped

    async def _bump(self) -> None:
        if self._dice.random() < 0.5:
            await asyncio.sleep(self._dice.random() * 0.05)


@dataclass
class HqDisk:
    """The durable half of HQ. ``copy()`` is a backup."""

    storage: MemoryStorage = field(default_factory=MemoryStorage)
    estate: MemoryEstate = field(default_factory=MemoryEstate)
    reports: MemoryReports = field(default_factory=MemoryReports)
    rights: MemoryRights = field(default_factory=MemoryRights)

    def copy(self) -> "HqDisk":
        return deepcopy(self)


@dataclass(frozen=True)
class HqBuild:
    """How HQ is put together; a planted fault replaces one part."""

    on_storage: Callable[[Any], Any] = lambda storage: storage
    on_rights: Callable[[Any], Any] = lambda rights: rights
    on_restore: Callable[[HqDisk, str], None] = lambda disk, incarnation: setattr(
        disk.rights, "file", disk.rights.file.restored(incarnation)
    )


@dataclass
class HqProcess:
    """HQ's program while it runs: everything in here dies with it."""

    ingesting: Ingesting
    lending: Lending
    reporting: Reporting
    bundling: Bundling
    changing: Changing
    at_work: dict[asyncio.Task[Any], None] = field(default_factory=dict)


class SimHq:
    """``disk``: what the present or the next process runs over; ``strays``: copies of requests that are still about."""

    def __init__(self, dice: Random, sealing: HandSealing, build: HqBuild) -> None:
        self._dice = dice
        self._sealing = sealing
        self._build = build
        self._entropy = SeededEntropy(dice.getrandbits(32))
        self._running: HqProcess | None = None
        self._backup: HqDisk | None = None
        self.disk = HqDisk()
        self.strays: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> HqProcess | None:
        return self._running

    @property
    def root_pem(self) -> str:
        return self._sealing.root_pem

    async def start(self) -> None:
        assert self._running is None
        clock, news, view = HqClock(), News(), EstateView()
        storage = Bumpy(self._build.on_storage(self.disk.storage), self._dice)
        estate, reports = Bumpy(self.disk.estate, self._dice), Bumpy(self.disk.reports, self._dice)
        rights = Bumpy(self._build.on_rights(self.disk.rights), self._dice)
        registry = Registry(storage)
        await registry.load()
        await view.load(estate)
        changing = Changing(store=estate, estate=view, registry=registry, clock=clock, news=news)
        bundling = Bundling(store=estate, estate=view, sealer=self._sealing)
        reporting = Reporting(
            store=reports,
            estate=view,
            bundling=bundling,
            changing=changing,
            registry=registry,
            clock=clock,
            news=news,
        )
        await reporting.load()
        self._running = HqProcess(
            ingesting=Ingesting(
                storage=storage, registry=registry, estate=view, clock=clock, packing=ZstdPacking()
            ),
            lending=Lending(
                store=rights,
                estate=view,
                registry=registry,
                sealer=self._sealing,
                clock=clock,
                entropy=self._entropy,
            ),
            reporting=reporting,
            bundling=bundling,
            changing=changing,
        )

    async def ask(self, work: Callable[[HqProcess], Awaitable[T]]) -> T:
        """Have the program do something. Errors: LineDown when it is not there, or dies over it; the work's own."""
        process = self._running
        if process is None:
            raise LineDown("connection refused")

        async def doing() -> T:
            return await work(process)

        task = asyncio.get_running_loop().create_task(doing())
        process.at_work[task] = None
        task.add_done_callback(lambda done: process.at_work.pop(done, None))
        await asyncio.wait([task])
        if task.cancelled():
            raise LineDown("connection reset")
        return task.result()

    async def die(self) -> None:
        """End the program at this very instant, whatever it is doing."""
        process, self._running = self._running, None
        if process is not None and process.at_work:
            tasks = list(process.at_work)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def back_up(self) -> None:
        self._backup = self.disk.copy()

    async def restore(self) -> bool:
        """Put the last backup in the place of what there is; False when there is none."""
        if self._backup is None:
            return False
        await self.die()
        self.disk = self._backup.copy()
        self._build.on_restore(self.disk, self._entropy.token(16).hex())
        await self.start()
        return True
