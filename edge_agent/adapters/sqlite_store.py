"""The store on disk: one SQLite file, one connection, one writer that commits many decisions at once.

An answer is given when its commit is synced, never before. Which rows a decision may see and what it changes is
ruled in ``engagement.ledger``; here is only how that becomes durable, and what happens when the disk is full.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from edge_agent.adapters.ballast import Space, SpaceLimits
from edge_agent.adapters.sqlite_file import (
    ENTRIES_SQL,
    PRAGMAS,
    LedgerFacts,
    entry_of,
    held_for_this_process,
    prepare,
)
from edge_agent.adapters.sqlite_group import GroupConnection, Outgoing, row_query, statements
from edge_agent.ports import Clock, Entropy, StoreClosed, StoreFailed, StoreFull
from edge_agent.services.confirming import Confirming, Marks
from edge_agent.services.deciding import Decision, Outcome, WaitingLine, judge
from engagement.journal.entry import Entry
from engagement.journal.event import Lane
from engagement.journal.tip import Epoch, unconfirmed
from engagement.ledger.group import Group, RecordUnreadable, Row, read_row, show
from engagement.ledger.record import Address, Key, Record, Rows, Rule, Ruling

T = TypeVar("T")
R = TypeVar("R", bound=Record)

_SCAN = "SELECT id, body FROM record WHERE kind = ? AND id > ? ORDER BY id LIMIT ?"
# Rules between two turns of the loop: a rule that signs takes 0.1 ms, and the radio and the pages wait meanwhile.
_RULES_PER_TURN = 32
# Keys per query; SQLite takes 32,766 values, two per key.
_KEYS_PER_QUERY_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """Limits of the SQLite store."""

    # One sync pays for all of them; more would only make the first wait for the last. 1: a commit per decision.
    commit_batch_max: int = 512
    # Decisions that wait; beyond, callers wait outside, so that a flood costs its callers and not our memory.
    waiting_max: int = 4096
    # Parsed rows kept, about 1 kB each: the campaigns and counters that every decision names.
    cached_rows_max: int = 2048
    # Pages in the log, 4 kB each, that make a checkpoint due. A restart reads them in 0.2 s, and the log's index (32 kB
    # for 4,062 pages) need never grow, which on a full disk it cannot.
    checkpoint_pages: int = 2000
    # A checkpoint costs two syncs and rewrites pages, so a quiet store waits for more to come.
    idle_checkpoint_s: float = 60.0
    # The log never grows this far unless something else holds the file open for reading.
    wal_alarm_bytes: int = 64 * 1024 * 1024
    # What deleting a few hundred journal entries rewrites, so that a long clearing does not let the log grow.
    pages_per_prune: int = 250
    look_every_s: float = 1.0
    space: SpaceLimits = field(default_factory=SpaceLimits)


class _DiskFull(Exception):
    """SQLite found no room; the transaction is rolled back."""


@asynccontextmanager
async def open_sqlite_store(
    path: Path, *, clock: Clock, entropy: Entropy, options: StoreOptions | None = None
) -> "AsyncIterator[SqliteStore]":
    """Check, update or make the file, and hold it until the block ends. Errors: LedgerRefused.

    Somebody must run ``store.run()`` for decisions to be taken.
    """
    options = options or StoreOptions()
    path.parent.mkdir(parents=True, exist_ok=True)
    with held_for_this_process(path):
        space = Space(path, options.space)
        await asyncio.to_thread(space.make_room_to_start)
        facts = await asyncio.to_thread(prepare, path, clock=clock, entropy=entropy)
        await asyncio.to_thread(space.look)
        outgoing = Outgoing()
        async with aiosqlite.connect(
            path, isolation_level=None, timeout=5, factory=partial(GroupConnection, outgoing)
        ) as connection:
            for pragma in PRAGMAS:
                await connection.execute(pragma)
            store = SqliteStore(path, connection, outgoing, facts, space, clock, options)
            try:
                yield store
            finally:
                await store.close()


class SqliteStore:
    """A Store on SQLite; made by open_sqlite_store(). ``run()`` is its writer."""

    def __init__(
        self,
        path: Path,
        connection: aiosqlite.Connection,
        outgoing: Outgoing,
        facts: LedgerFacts,
        space: Space,
        clock: Clock,
        options: StoreOptions,
    ) -> None:
        self._wal = path.with_name(path.name + "-wal")
        self._connection = connection
        self._outgoing = outgoing
        self._facts = facts
        self._tip = facts.tip
        self._confirming = Confirming(facts.confirmed)
        self._has_grown = asyncio.Event()
        self._space = space
        self._clock = clock
        self._options = options
        self._line = WaitingLine(waiting_max=options.waiting_max)
        self._cache: dict[Address, Record | None] = {}
        self._unreadable: set[Address] = set()
        self._pages_to_checkpoint = 0
        self._last_commit_mono_s = self._last_look_mono_s = clock.mono_s()
        self._has_stopped = asyncio.Event()
        self._has_stopped.set()
        self._is_open = True
        self._has_failed = False

    async def run(self) -> None:
        """Serve decisions until close() or cancelled; a group in hand is finished first.

        Errors: StoreFailed when the disk fails; the file must then be opened anew.
        """
        self._has_stopped.clear()
        try:
            while not self._line.is_closed:
                try:
                    async with asyncio.timeout(self._options.look_every_s):
                        decisions = await self._line.group(size_max=self._options.commit_batch_max)
                except TimeoutError:
                    decisions = []
                if decisions:
                    await self._serve(decisions)
                await self._upkeep()
        finally:
            self._line.close()
            self._has_stopped.set()

    async def _serve(self, decisions: list[Decision]) -> None:
        """Judge, commit and answer one group; on a full disk once more with the ballast's room."""
        try:
            if self._space.is_full:
                decisions = _essential(decisions)
            try:
                await self._try(decisions)
            except _DiskFull:
                self._space.ran_out()
                decisions = _essential(decisions)
                if decisions:
                    await asyncio.to_thread(self._space.give_up_ballast)
                    await self._try(decisions)
        except _DiskFull:
            _refuse(decisions, StoreFull)
        finally:
            _refuse(decisions, StoreClosed)  # who has no answer by now, had nothing committed

    async def _try(self, decisions: list[Decision]) -> None:
        try:
            group = Group(
                rows=await self._load(key for each in decisions for key in each.keys), tip=self._tip
            )
            outcomes: list[Outcome] = []
            for first in range(0, len(decisions), _RULES_PER_TURN):
                if first:
                    await asyncio.sleep(0)
                outcomes += judge(group, decisions[first : first + _RULES_PER_TURN])
            marks = self._confirming.marks()
            if group.writes or group.entries or marks:
                await self._commit(group, marks, outcomes)
            self._remember(group)
            _tell(outcomes)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
                raise _DiskFull from error
            _refuse(decisions, StoreFailed)
            self._has_failed = True
            raise StoreFailed(str(error)) from error

    async def _commit(self, group: Group, marks: Marks, outcomes: list[Outcome]) -> None:
        self._outgoing.statements = list(statements(group, marks))
        self._outgoing.is_committed = False
        try:
            await self._connection.commit()
        except asyncio.CancelledError:
            try:
                # The thread goes on, and takes its calls in order: after this one the commit is over.
                await self._connection.execute_fetchall("SELECT 1")
                if self._outgoing.is_committed:
                    _tell(outcomes)
            finally:
                _refuse([each.decision for each in outcomes], StoreFailed)
            raise
        self._tip = group.tip
        self._confirming.made(marks)
        if group.entries:
            self._has_grown.set()
        # A page for each row written at worst, and those of the lanes and of the journal's end.
        self._pages_to_checkpoint += len(group.writes) + 4
        if marks.pruned:
            self._pages_to_checkpoint += self._options.pages_per_prune
        self._last_commit_mono_s = self._clock.mono_s()

    def _remember(self, group: Group) -> None:
        for address, row in group.rows.items():
            if not isinstance(row, str):
                self._cache.pop(address, None)  # so that it goes to the end, where it is forgotten last
                self._cache[address] = row
        while len(self._cache) > self._options.cached_rows_max:
            del self._cache[next(iter(self._cache))]

    async def _load(self, keys: Iterable[Key[Any]]) -> dict[Address, Row]:
        rows: dict[Address, Row] = {}
        missing = []
        for key in keys:
            address = key.address
            if address in rows:
                continue
            rows[address] = self._cache.get(address)
            if address not in self._cache:
                missing.append(address)
        rows.update(await self._select(missing))
        return rows

    async def _select(self, addresses: Sequence[Address]) -> dict[Address, str]:
        found: dict[Address, str] = {}
        for first in range(0, len(addresses), _KEYS_PER_QUERY_MAX):
            sql, values = row_query(addresses[first : first + _KEYS_PER_QUERY_MAX])
            for kind, row_id, body in await self._connection.execute_fetchall(sql, values):
                found[(kind, row_id)] = body
        return found

    async def _upkeep(self) -> None:
        now = self._clock.mono_s()
        if now - self._last_look_mono_s >= self._options.look_every_s:
            self._last_look_mono_s = now
            await asyncio.to_thread(self._space.look)
        if self._pages_to_checkpoint >= self._options.checkpoint_pages:
            await self._checkpoint("PASSIVE")
        elif self._pages_to_checkpoint and now - self._last_commit_mono_s >= self._options.idle_checkpoint_s:
            await self._checkpoint("TRUNCATE")

    async def _checkpoint(self, mode: str) -> None:
        """Move the log's pages into the file; on a full disk they stay in the log, where they are as safe."""
        try:
            await self._connection.execute_fetchall(f"PRAGMA wal_checkpoint({mode})")
            self._pages_to_checkpoint = 0
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_FULL:
                raise StoreFailed(str(error)) from error
            self._space.ran_out()

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        return await self._line.ask(keys, rule, essential=essential, is_full=lambda: self._space.is_full)

    async def fetch(self, keys: Iterable[Key[Any]]) -> Rows:
        self._demand_open()
        asked = tuple(keys)
        found = await self._select([key.address for key in asked])
        return show(asked, {key.address: found.get(key.address) for key in asked})

    async def scan(self, of: type[R], *, after_id: str, limit: int) -> list[R]:
        self._demand_open()
        found: list[R] = []
        while len(found) < limit:
            wanted = limit - len(found)
            page = list(await self._connection.execute_fetchall(_SCAN, (of.kind, after_id, wanted)))
            for row_id, body in page:
                after_id = row_id
                try:
                    found.append(read_row(Key(of, row_id), body))
                except RecordUnreadable:
                    self._unreadable.add((of.kind, row_id))
            if len(page) < wanted:
                break
        return found

    async def entries(self, lane: Lane, *, after_seq: int, limit: int) -> list[Entry]:
        self._demand_open()
        rows = await self._connection.execute_fetchall(ENTRIES_SQL, (lane, after_seq, limit))
        return [entry_of(lane, row) for row in rows]

    async def grown(self, lane: Lane, *, after_seq: int) -> None:
        while self._tip.lanes[lane].seq <= after_seq:
            self._has_grown.clear()
            await self._has_grown.wait()

    async def confirm(self, lane: Lane, *, up_to_seq: int) -> None:
        self._confirming.confirm(lane, up_to_seq, last_seq=self._tip.lanes[lane].seq)
        await self.decide([], lambda rows: Ruling(None), essential=True)

    async def prune(self, lane: Lane, *, up_to_seq: int) -> None:
        self._confirming.prune(lane, up_to_seq)
        await self.decide([], lambda rows: Ruling(None), essential=True)

    @property
    def confirmed(self) -> Mapping[Lane, int]:
        return self._confirming.confirmed

    def backlog(self) -> Mapping[Lane, int]:
        return unconfirmed(self._tip, self._confirming.confirmed)

    @property
    def epoch(self) -> Epoch:
        return self._facts.epoch

    @property
    def lease_number(self) -> int:
        return self._facts.lease_number

    @property
    def is_full(self) -> bool:
        return self._space.is_full

    @property
    def set_aside(self) -> str | None:
        return self._facts.set_aside

    @property
    def unreadable_rows(self) -> int:
        """Rows that a scan passed over because they cannot be read."""
        return len(self._unreadable)

    @property
    def is_log_too_long(self) -> bool:
        """Whether the write-ahead log has grown past its alarm: something holds the file open for reading."""
        try:
            return self._wal.stat().st_size > self._options.wal_alarm_bytes
        except FileNotFoundError:
            return False

    @property
    def newest_ms(self) -> int:
        """Unix ms of the journal's last stamp: an instant that has certainly passed; 0 for an empty journal."""
        return self._tip.stamp.wall_ms

    @property
    def sqlite_version(self) -> str:
        return sqlite3.sqlite_version

    async def close(self) -> None:
        """Take no more, finish the group in hand, and move the log into the file. Repeating it does nothing."""
        self._line.close()
        await self._has_stopped.wait()
        if self._is_open:
            self._is_open = False
            if not self._has_failed:
                await self._checkpoint("TRUNCATE")

    def _demand_open(self) -> None:
        if not self._is_open:
            raise StoreClosed


def _essential(decisions: Iterable[Decision]) -> list[Decision]:
    """Those that still pass on a full disk; the others are told."""
    kept = []
    for decision in decisions:
        if decision.essential:
            kept.append(decision)
        else:
            decision.refuse(StoreFull())
    return kept


def _refuse(decisions: Iterable[Decision], error: type[Exception]) -> None:
    for decision in decisions:
        decision.refuse(error())


def _tell(outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        outcome.tell()
