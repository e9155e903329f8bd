"""One store's mini-PC in the simulation: what its disk keeps, what a crash loses, and the network in front of it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from edge_agent.adapters.memory_store import Disk, MemoryStore, new_disk
from edge_agent.ports import Store, StoreClosed
from edge_agent.services.hosting import Hosting
from edge_agent.services.issuing import Issuing
from edge_agent.services.premises import Premises
from edge_agent.services.redeeming import Redeeming
from edge_agent.services.visit_keys import KeyRing, VisitKeys
from engagement.campaign.model import Campaign
from engagement.clock.moment import Moment
from engagement.ids import LocalDay
from engagement.ledger.record import Key, Record, Rows, Rule
from tests.fakes.ledger import SeededEntropy
from tests.fakes.premises import harbour_bundle
from tests.fakes.shop import MINT, NOON_MS, verify

T = TypeVar("T")
R = TypeVar("R", bound=Record)
ZONE = ZoneInfo("Asia/Shanghai")


class NoAnswer(Exception):
    """The request or its answer was lost, or the box was down or died over it: nobody knows what came of it."""


def true_ms() -> int:
    """What only the simulation knows: the real time."""
    return NOON_MS + round(asyncio.get_running_loop().time() * 1000)


@dataclass
class BoxClock:
    """A wall clock that is off by at most what it says."""

    off_ms: int = 0
    error_ms: int = 0
    boot: int = 1
    booted_ms: int = NOON_MS - 3_600_000

    def now(self) -> Moment:
        return Moment(
            wall_ms=true_ms() + self.off_ms,
            error_ms=self.error_ms,
            boot_id=f"boot-{self.boot}",
            boottime_ms=true_ms() - self.booted_ms,
        )

    def mono_s(self) -> float:
        return asyncio.get_running_loop().time()

    def reboot(self) -> None:
        self.boot += 1
        self.booted_ms = true_ms()


@dataclass
class KeysOnDisk:
    """The key file: survives every crash."""

    ring: KeyRing | None = None

    def load(self) -> KeyRing | None:
        return self.ring

    def save(self, ring: KeyRing) -> None:
        self.ring = ring


class AddressIsPhone:
    """As on loopback: the address itself stands for the phone."""

    def handset(self, address: str) -> bytes:
        return address.encode()


class BumpyStore:
    """A store that takes its time before each look and decision, so that everything happens between any two."""

    def __init__(self, inner: Store, dice: Random) -> None:
        self._inner = inner
        self._dice = dice

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        await self._bump()
        return await self._inner.decide(keys, rule, essential=essential)

    async def fetch(self, keys: Iterable[Key[Any]]) -> Rows:
        await self._bump()
        return await self._inner.fetch(keys)

    async def scan(self, of: type[R], *, after_id: str, limit: int) -> list[R]:
        await self._bump()
        return await self._inner.scan(of, after_id=after_id, limit=limit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def _bump(self) -> None:
        if self._dice.random() < 0.5:
            await asyncio.sleep(self._dice.random() * 0.02)


@dataclass(frozen=True)
class Build:
    """How a box is put together; a planted fault replaces one part."""

    on_store: Callable[[Store], Store] = lambda store: store
    on_start: Callable[[Disk, KeysOnDisk], None] = lambda disk, keys: None
    on_moment: Callable[[Moment], Moment] = lambda moment: moment


async def answer(at_work: dict[asyncio.Task[Any], None], work: Coroutine[Any, Any, T]) -> T:
    """Do a process's work, which may die over it; it stands in ``at_work`` meanwhile. Errors: NoAnswer."""
    task = asyncio.get_running_loop().create_task(work)
    at_work[task] = None
    task.add_done_callback(lambda done: at_work.pop(done, None))
    await asyncio.wait([task])
    if task.cancelled():
        raise NoAnswer
    try:
        return task.result()
    except StoreClosed:
        raise NoAnswer from None


@dataclass
class Process:
    """The agent while it runs: everything in here dies with it. ``at_work``: requests being answered."""

    store: MemoryStore
    hosting: Hosting
    redeeming: Redeeming
    issuing: Issuing
    premises: Premises
    writer: asyncio.Task[None]
    at_work: dict[asyncio.Task[Any], None] = field(default_factory=dict)

    async def answer(self, work: Coroutine[Any, Any, T]) -> T:
        """Errors: NoAnswer when the process dies over it."""
        return await answer(self.at_work, work)


class Box:
    """``commit_s``: how long the disk takes for one commit at the moment."""

    def __init__(self, dice: Random, campaigns: tuple[Campaign, ...], build: Build) -> None:
        self._dice = dice
        self._build = build
        self._bundle = harbour_bundle(campaigns)
        self._entropy = SeededEntropy(dice.getrandbits(32))
        self.disk = new_disk(self._entropy)
        self.keys = KeysOnDisk()
        self.clock = BoxClock()
        self.commit_s_max = 0.02
        self.loss = 0.0
        self._is_full = False
        self._next = MemoryStore(self.disk, commit_s=lambda: dice.random() * self.commit_s_max)
        self._process: Process | None = None
        self._asked = asyncio.Event()

    @property
    def running(self) -> Process | None:
        return self._process

    def start(self) -> None:
        """A new process over what the disk has."""
        assert self._process is None
        self._build.on_start(self.disk, self.keys)
        store = self._next
        self._apply_fullness(store)
        premises = Premises(
            bundle=self._bundle,
            clock=_Through(self.clock, self._build.on_moment),
            entropy=self._entropy,
            store=BumpyStore(self._build.on_store(store), self._dice),
            mint=replace(MINT, lease_number=store.lease_number),
        )
        issuing = Issuing(premises)
        visit_keys = VisitKeys(premises.clock, self._entropy, self.keys)
        self._process = Process(
            store=store,
            hosting=Hosting(premises, issuing, AddressIsPhone(), visit_keys),
            redeeming=Redeeming(premises, verify),
            issuing=issuing,
            premises=premises,
            writer=asyncio.get_running_loop().create_task(store.run()),
        )

    async def die(self, *, power_cut: bool) -> None:
        """End the process at this very instant; a power cut takes the boot with it as well."""
        process, self._process = self._process, None
        if process is None:
            return
        self._next = process.store.power_cut(keeps_unacknowledged=self._dice.random() < 0.5)
        for task in [*process.at_work, process.writer]:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await process.writer
        if power_cut:
            self.clock.reboot()

    def at_rest(self) -> MemoryStore:
        """A store over the disk, for looking into it."""
        return MemoryStore(self.disk)

    def day_of(self, moment: Moment) -> LocalDay:
        return LocalDay(moment.at.astimezone(ZONE).date().isoformat())

    def set_full(self, is_full: bool) -> None:
        self._is_full = is_full
        if self._process is not None:
            self._apply_fullness(self._process.store)

    def _apply_fullness(self, store: MemoryStore) -> None:
        if self._is_full:
            store.fill_disk()
        else:
            store.free_disk()

    async def ask(self, work: Callable[[Process], Coroutine[Any, Any, T]]) -> T:
        """Send a request over the store's network and wait for its answer. Errors: NoAnswer, StoreFull."""
        await self._travel()
        process = self._process
        if process is None:
            raise NoAnswer
        self._asked.set()
        answer = await process.answer(work(process))
        await self._travel()
        return answer

    async def busy(self) -> None:
        """Wait until a request comes in."""
        self._asked.clear()
        await self._asked.wait()

    async def _travel(self) -> None:
        await asyncio.sleep(self._dice.random() * 0.05)
        if self._dice.random() < self.loss:
            raise NoAnswer


@dataclass(frozen=True)
class _Through:
    """A clock seen through a planted fault."""

    clock: BoxClock
    on_moment: Callable[[Moment], Moment]

    def now(self) -> Moment:
        return self.on_moment(self.clock.now())

    def mono_s(self) -> float:
        return self.clock.mono_s()
