"""The storages that the contract suites of HQ's run against, and batches to keep in them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from cloud_api.adapters.sqlite.storage import SqliteStorage, open_sqlite_storage
from cloud_api.ports.storage import Intake, LaneKey, Storage
from cloud_api.services.bookkeeping import book
from engagement.ids import AgentName, LocalDay
from engagement.journal.event import Lane
from engagement.journal.tip import LaneTip
from tests.fakes import shop
from tests.fakes.happenings import money
from tests.fakes.hq import AGENT, BRANCHES, CHAIN, Journal
from tests.fakes.memory_storage import MemoryStorage

# Opens the same storage each time it is called.
Open = Callable[[], AbstractAsyncContextManager[Storage]]
KINDS = ("memory", "sqlite")
ZONES = {branch.code: branch.zone_info for branch in CHAIN.branches}
TODAY = LocalDay("2026-11-21")


def opener(kind: str, folder: Path) -> Open:
    memory = MemoryStorage()

    @asynccontextmanager
    async def open_memory() -> AsyncIterator[Storage]:
        yield memory

    return open_memory if kind == "memory" else lambda: running_sqlite(folder / "hq.db")


@asynccontextmanager
async def running_sqlite(path: Path) -> AsyncIterator[SqliteStorage]:
    async with open_sqlite_storage(path, now_ms=shop.NOON_MS) as storage, asyncio.TaskGroup() as group:
        group.create_task(storage.run())
        try:
            yield storage
        finally:
            await storage.close()


def intake(journal: Journal, first: int = 1, last: int | None = None, *, lane: Lane = Lane.MONEY) -> Intake:
    batch = journal.batch(first, last, lane=lane)
    branch = BRANCHES[journal.agent]
    booked = book(batch.entries, ZONES[branch])
    return Intake(
        key=LaneKey(journal.agent, lane, journal.epoch),
        branch=branch,
        before=LaneTip(first - 1, batch.previous_head),
        after=LaneTip(batch.entries[-1].seq, batch.last_head),
        segment=b"%d-%d" % (first, batch.entries[-1].seq),
        money=booked.money,
        letters=booked.letters,
        counts=booked.counts,
        received_ms=shop.NOON_MS + batch.entries[-1].seq,
    )


def journal_of(count: int, agent: AgentName = AGENT) -> Journal:
    journal = Journal(agent)
    journal.add(*money(count))
    return journal
