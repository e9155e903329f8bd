"""HQ's Storage on SQLite: writes go through the one writer, reads over a connection of their own."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from cloud_api.adapters.sqlite import intake as intakes
from cloud_api.adapters.sqlite import letters as dead_letters
from cloud_api.adapters.sqlite.estate import SqliteEstate
from cloud_api.adapters.sqlite.file import READER_PRAGMAS, WRITER_PRAGMAS, held_for_this_process, prepare
from cloud_api.adapters.sqlite.people import AGENTS, CLAIM, SESSION, USER, enrol, put_claim, revoke, set_users
from cloud_api.adapters.sqlite.reading import Reader
from cloud_api.adapters.sqlite.reports import SqliteReports
from cloud_api.adapters.sqlite.rights import SqliteRights
from cloud_api.adapters.sqlite.writer import GroupConnection, Writer
from cloud_api.ports.storage import (
    Intake,
    KeptLetter,
    KnownAgent,
    KnownClaim,
    LaneKey,
    LaneState,
    LetterPlace,
    MoneyLine,
    Rejudged,
    Session,
    User,
)
from engagement.coupon.coupon import serial_id
from engagement.ids import AgentName, BranchCode, LocalDay
from engagement.journal.event import Lane
from engagement.journal.tip import Epoch, LaneTip
from engagement.line.claim import Claim
from engagement.settlement.funnel import Totals

# A serial comes round again once its coupon is settled; more lines than these are years of one serial.
_COUPON_LINES_MAX = 500
_SEGMENT = (
    "SELECT segments.body FROM segments JOIN lanes ON lanes.id = segments.lane_id JOIN agents ON agents.id = lanes.agent_id"
    " WHERE agents.name = ? AND lanes.lane = ? AND lanes.epoch = ? AND first_seq <= ? AND last_seq >= ?"
)
_LANES = (
    "SELECT agents.name, lanes.lane, lanes.epoch, lanes.seq, lanes.received_ms,"
    " (SELECT COUNT(*) FROM dead_letters WHERE dead_letters.lane_id = lanes.id)"
    " FROM lanes JOIN agents ON agents.id = lanes.agent_id{of} ORDER BY agents.name, lanes.lane, lanes.id"
)
_ALL_LANES, _LANES_OF = _LANES.format(of=""), _LANES.format(of=" WHERE agents.name = ?")


class SqliteStorage:
    """A Storage; made by open_sqlite_storage(). ``run()`` is its writer, and that of ``estate``, ``reports`` and
    ``rights``."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self.estate = SqliteEstate(writer, reader)
        self.reports = SqliteReports(writer, reader)
        self.rights = SqliteRights(writer, reader)

    async def run(self) -> None:
        """Write until close(). Errors: StorageFailed."""
        await self._writer.run()

    async def close(self) -> None:
        """Finish what waits and take no more."""
        await self._writer.close()

    async def keep(self, intake: Intake) -> None:
        await self._writer.write(lambda connection: intakes.keep(connection, intake))

    async def mark(self, key: LaneKey) -> LaneTip:
        row = await self._reader.one(intakes.LANE, key.lane, key.epoch, key.agent)
        return LaneTip() if row is None or row[0] is None else LaneTip(row[1], row[2])

    async def segment(self, key: LaneKey, seq: int) -> bytes | None:
        row = await self._reader.one(_SEGMENT, key.agent, key.lane, key.epoch, seq, seq)
        return row[0] if row else None

    async def lanes(self, *, agent: AgentName | None = None) -> Sequence[LaneState]:
        rows = self._reader.all(_ALL_LANES) if agent is None else self._reader.all(_LANES_OF, agent)
        return [
            LaneState(LaneKey(AgentName(name), Lane(lane), Epoch(epoch)), seq, received_ms, letters)
            for name, lane, epoch, seq, received_ms, letters in await rows
        ]

    async def letters(
        self, *, agent: AgentName | None, after: LetterPlace, limit: int
    ) -> Sequence[KeptLetter]:
        sql, values = dead_letters.page_query(agent, after, limit)
        return dead_letters.letters_of(await self._reader.all(sql, *values))

    async def rejudge(self, rulings: Sequence[Rejudged]) -> None:
        await self._writer.write(lambda connection: dead_letters.rejudge(connection, rulings))

    async def agents(self) -> Sequence[KnownAgent]:
        return [KnownAgent(*row) for row in await self._reader.all(AGENTS)]

    async def put_claim(self, agent: KnownAgent, claim: KnownClaim) -> None:
        await self._writer.write(lambda connection: put_claim(connection, agent, claim))

    async def claim(self, claim_id: str) -> KnownClaim | None:
        row = await self._reader.one(CLAIM, claim_id)
        if row is None:
            return None
        mac_key, agent, expires_ms, public_key = row
        return KnownClaim(Claim(claim_id, mac_key), AgentName(agent), expires_ms, public_key)

    async def enrol(self, claim_id: str, *, public_key: bytes, at_ms: int) -> bool:
        return await self._writer.write(lambda connection: enrol(connection, claim_id, public_key, at_ms))

    async def revoke(self, agent: AgentName) -> None:
        await self._writer.write(lambda connection: revoke(connection, agent))

    async def totals(self, first: LocalDay, last: LocalDay, *, branch: BranchCode | None) -> Totals:
        sums, stages = intakes.totals_queries(branch)
        values = (first, last) if branch is None else (first, last, branch)
        return intakes.totals_of(
            await self._reader.all(sums, *values), await self._reader.all(stages, *values)
        )

    async def coupon_lines(self, agent_number: int, serial: int) -> Sequence[MoneyLine]:
        """Coupon ids are ``<serial>-<secret>``: those of a serial lie between ``-`` and the octet behind it."""
        of = serial_id(serial)
        rows = await self._reader.all(
            intakes.COUPON_LINES, agent_number, f"{of}-", f"{of}.", _COUPON_LINES_MAX
        )
        return [MoneyLine(*row) for row in rows]

    async def set_users(self, users: Sequence[User]) -> None:
        await self._writer.write(lambda connection: set_users(connection, users))

    async def user(self, name: str) -> User | None:
        row = await self._reader.one(USER, name)
        return User(*row) if row else None

    async def put_session(self, session: Session, *, now_ms: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM sessions WHERE expires_ms <= ?", (now_ms,))
            connection.execute(
                "INSERT INTO sessions (token_sha256, user_name, expires_ms) VALUES (?, ?, ?)", session
            )

        await self._writer.write(work)

    async def session(self, token_sha256: bytes) -> Session | None:
        row = await self._reader.one(SESSION, token_sha256)
        return Session(*row) if row else None

    async def drop_session(self, token_sha256: bytes) -> None:
        await self._execute("DELETE FROM sessions WHERE token_sha256 = ?", token_sha256)

    async def _execute(self, sql: str, *values: object) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(sql, values)

        await self._writer.write(work)


@asynccontextmanager
async def open_sqlite_storage(path: Path, *, now_ms: int) -> AsyncIterator[SqliteStorage]:
    """Check, update or make the file, and hold it until the block ends. Errors: DatabaseRefused.

    Somebody must run ``storage.run()`` for writes to be taken.
    """
    with held_for_this_process(path):
        await asyncio.to_thread(prepare, path, now_ms=now_ms)
        made: list[GroupConnection] = []

        def connect(*args: object, **options: object) -> GroupConnection:
            made.append(GroupConnection(*args, **options))
            return made[-1]

        async with (
            aiosqlite.connect(path, isolation_level=None, timeout=5, factory=connect) as writing,
            aiosqlite.connect(path, isolation_level=None, timeout=5) as reading,
        ):
            for pragma in WRITER_PRAGMAS:
                await writing.execute(pragma)
            for pragma in READER_PRAGMAS:
                await reading.execute(pragma)
            yield SqliteStorage(Writer(writing, made[0]), Reader(reading))
