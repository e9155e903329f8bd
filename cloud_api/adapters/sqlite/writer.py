"""The one writer: what waits is written in one transaction, a savepoint each, and answered when that is synced."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import aiosqlite

from cloud_api.ports.storage import StorageBusy, StorageFailed

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# One sync pays for all of them; more would only make the first wait for the last.
_GROUP_MAX = 64
# Who waits beyond is told to come back; the services let far fewer in.
_WAITING_MAX = 4096


class GroupConnection(sqlite3.Connection):
    """Its commit() runs a whole group of works: one hop to the thread, no transaction left open in between."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.works: list[Work[Any]] = []
        self.results: list[Any] = []

    def commit(self) -> None:
        self.results = []
        self.execute("BEGIN IMMEDIATE")
        try:
            self.results = [self._one(work) for work in self.works]
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:  # a full disk may have rolled it back already
                self.execute("ROLLBACK")
            raise

    def _one(self, work: Work[Any]) -> Any:
        """The work's result, or what it raised: then nothing of it is kept, and all of the others."""
        self.execute("SAVEPOINT work")
        try:
            result = work(self)
        except sqlite3.Error:
            raise
        except Exception as refusal:
            self.execute("ROLLBACK TO work")
            result = refusal
        self.execute("RELEASE work")
        return result


class Writer:
    """``run()`` must be running for write() to return."""

    def __init__(self, connection: aiosqlite.Connection, group: GroupConnection) -> None:
        self._connection = connection
        self._group = group
        self._waiting: asyncio.Queue[tuple[Work[Any], asyncio.Future[Any]]] = asyncio.Queue(_WAITING_MAX)
        self._closing = asyncio.Event()
        self._has_stopped = asyncio.Event()
        self._has_stopped.set()

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` inside a transaction, and return once that is durable. Errors: the work's; StorageBusy,
        StorageFailed."""
        if self._closing.is_set():
            raise StorageBusy("the storage is closing")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((work, answer))
        except asyncio.QueueFull:
            raise StorageBusy("too much waits to be written") from None
        return await answer

    async def run(self) -> None:
        """Serve until close(). Errors: StorageFailed when the disk fails; the file must then be opened anew."""
        self._has_stopped.clear()
        group: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        try:
            while (first := await self._next()) is not None:
                group = [first]
                while len(group) < _GROUP_MAX and not self._waiting.empty():
                    group.append(self._waiting.get_nowait())
                await self._serve(group)
                group, first = [], None  # a change of the whole chain must not stay until the next work comes
        finally:
            self._closing.set()
            while not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            _refuse(group, StorageBusy("the storage is closed"))
            self._has_stopped.set()

    async def close(self) -> None:
        """Take no more, and finish what waits."""
        self._closing.set()
        if self._waiting.empty():
            # Wakes the writer, which has nothing to do but to end.
            self._waiting.put_nowait((_nothing, asyncio.get_running_loop().create_future()))
        await self._has_stopped.wait()

    async def _next(self) -> tuple[Work[Any], asyncio.Future[Any]] | None:
        if self._closing.is_set() and self._waiting.empty():
            return None
        return await self._waiting.get()

    async def _serve(self, group: list[tuple[Work[Any], asyncio.Future[Any]]]) -> None:
        self._group.works = [work for work, _ in group]
        try:
            await self._connection.commit()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
                _refuse(group, StorageBusy("the disk is full"))
                return
            _refuse(group, StorageFailed(str(error)))
            raise StorageFailed(str(error)) from error
        results, self._group.works, self._group.results = self._group.results, [], []
        for (_, answer), result in zip(group, results, strict=True):
            if answer.done():
                continue
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)


def _nothing(connection: sqlite3.Connection) -> None:
    """Writes nothing."""


def _refuse(group: list[tuple[Work[Any], asyncio.Future[Any]]], error: Exception) -> None:
    for _, answer in group:
        if not answer.done():
            answer.set_exception(error)
            answer.exception()  # whoever asked may be gone; then nobody else looks at it
