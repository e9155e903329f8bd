"""A place where a store lives across openings: a file's path, or what a power cut leaves of a store in memory."""

from asyncio import TaskGroup
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from edge_agent.adapters.memory_store import MemoryStore, new_disk
from edge_agent.adapters.sqlite_store import SqliteStore, StoreOptions, open_sqlite_store
from edge_agent.ports import Store
from tests.fakes.ledger import HandClock, SeededEntropy


class StorePlace(Protocol):
    def open(self) -> AbstractAsyncContextManager[Store]:
        """The store with its writer running; the same again after it was closed."""


class MemoryPlace:
    def __init__(self, *, commit_batch_max: int = 512) -> None:
        self._disk = new_disk(SeededEntropy())
        self._commit_batch_max = commit_batch_max

    @asynccontextmanager
    async def open(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore(self._disk, commit_batch_max=self._commit_batch_max)
        async with TaskGroup() as tasks:
            tasks.create_task(store.run())
            try:
                yield store
            finally:
                await store.close()


class SqlitePlace:
    def __init__(self, folder: Path, *, options: StoreOptions | None = None, seed: int = 1) -> None:
        self.path = folder / "ledger.db"
        self.clock = HandClock()
        self._entropy = SeededEntropy(seed)
        self._options = options

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SqliteStore]:
        async with (
            open_sqlite_store(
                self.path, clock=self.clock, entropy=self._entropy, options=self._options
            ) as store,
            TaskGroup() as tasks,
        ):
            tasks.create_task(store.run())
            try:
                yield store
            finally:
                await store.close()
