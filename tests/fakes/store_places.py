"""A place where a store lives across openings: a file's path, or what a power cut leaves of a store in memory."""

from asyncio import TaskGroup
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from edge_agent.adapters.memory_store import MemoryStore, new_disk
from edge_agent.adapters.sqlite_store import SqliteStore, StoreOptions, open_sqlite_store
from edge_agent.ports import Store
from tests.fakes.ledger import HandClock, SeededEntropy


class RunStore(Store, Protocol):
    async def run(self) -> None:
        """Take decisions until closed."""

    async def close(self) -> None:
        """End run()."""


S_co = TypeVar("S_co", bound=RunStore, covariant=True)


class StorePlace(Protocol, Generic[S_co]):
    def idle(self) -> AbstractAsyncContextManager[S_co]:
        """The store without its writer running; the same again after it was closed."""


@asynccontextmanager
async def running(place: StorePlace[S_co]) -> AsyncIterator[S_co]:
    """The store of a place, taking decisions."""
    async with place.idle() as store, TaskGroup() as tasks:
        tasks.create_task(store.run())
        try:
            yield store
        finally:
            await store.close()


class MemoryPlace:
    def __init__(self, *, commit_batch_max: int = 512, waiting_max: int = 4096) -> None:
        self._disk = new_disk(SeededEntropy())
        self._commit_batch_max = commit_batch_max
        self._waiting_max = waiting_max

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore(
            self._disk, commit_batch_max=self._commit_batch_max, waiting_max=self._waiting_max
        )
        try:
            yield store
        finally:
            await store.close()


class SqlitePlace:
    def __init__(
        self,
        folder: Path,
        *,
        options: StoreOptions | None = None,
        clock: HandClock | None = None,
        entropy: SeededEntropy | None = None,
    ) -> None:
        self.path = folder / "ledger.db"
        self._clock = clock or HandClock()
        self._entropy = entropy or SeededEntropy()
        self._options = options

    def idle(self) -> AbstractAsyncContextManager[SqliteStore]:
        return open_sqlite_store(self.path, clock=self._clock, entropy=self._entropy, options=self._options)
