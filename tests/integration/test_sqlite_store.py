"""What only the store on disk promises: kills, damaged files, versions, one process, the log."""

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from edge_agent.adapters.sqlite_file import LedgerRefused, shipped_migrations
from edge_agent.adapters.sqlite_store import SqliteStore, StoreOptions
from edge_agent.ports import StoreClosed, StoreFailed
from engagement.journal.event import Lane
from engagement.journal.tip import LaneTip, first_break
from engagement.ledger.record import Key
from tests.eventually import eventually
from tests.fakes.ledger import Counter, HandClock, Note, SeededEntropy, add, journal, played, put
from tests.fakes.store_child import CALLERS
from tests.fakes.store_places import SqlitePlace, running

HITS = Key(Counter, "hits")
KILLS = 30
SEED = 20261121


async def test_no_kill_loses_an_acknowledged_decision(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    random = Random(SEED)
    acknowledged = [0] * CALLERS
    for kill in range(KILLS):
        # The first kills fall into the making of the file and its opening.
        for caller, count in await _run_and_kill(path, random.randrange(400) if kill > 2 else 0, random):
            acknowledged[caller] = max(acknowledged[caller], count)
        acknowledged = await _checked_counts(tmp_path, acknowledged)
    assert min(acknowledged) > 0


async def _run_and_kill(path: Path, after_lines: int, random: Random) -> list[tuple[int, int]]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.store_child", str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    lines = [await child.stdout.readline() for _ in range(after_lines)]
    if not after_lines:
        await eventually(lambda: path.exists() or any(path.parent.glob("*.new*")), within_s=20)
    for _ in range(random.randrange(200)):
        await asyncio.sleep(0)
    os.kill(child.pid, signal.SIGKILL)
    lines += (await child.stdout.read()).splitlines(keepends=True)
    assert await child.wait() == -signal.SIGKILL
    return [
        (int(caller), int(count))
        for caller, count in (line.split() for line in lines if line.endswith(b"\n"))
    ]


async def _checked_counts(folder: Path, acknowledged: list[int]) -> list[int]:
    """Everything acknowledged is there, nothing is half there; answers the counts that were found."""
    async with running(SqlitePlace(folder)) as store:
        assert store.set_aside is None
        keys = [Key(Counter, str(caller)) for caller in range(CALLERS)]
        rows = await store.fetch(keys)
        counts = [row.count if (row := rows.get(key)) else 0 for key in keys]
        assert all(found >= told for found, told in zip(counts, acknowledged, strict=True))
        notes = {note.id for note in await store.scan(Note, after_id="", limit=10**6)}
        assert notes == {f"{caller}-{n}" for caller in range(CALLERS) for n in range(1, counts[caller] + 1)}
        for lane in (Lane.ENGAGEMENT, Lane.TELEMETRY):
            entries = await store.entries(lane, after_seq=0, limit=10**6)
            assert [entry.seq for entry in entries] == list(range(1, sum(counts) + 1))
            assert first_break(entries, LaneTip()) is None
        return counts


async def _fill(place: SqlitePlace, notes: int = 400) -> SqliteStore:
    async with running(place) as store:
        await asyncio.gather(
            *(store.decide([], put(Note(id=f"{n:04}", text="x" * 500))) for n in range(notes))
        )
        await store.decide([HITS], add(HITS, events=(played(1), played(2))))
    return store


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


GARBAGE = Random(SEED).randbytes(100_000)
DAMAGES: dict[str, Callable[[Path], None]] = {
    "garbage in the header": lambda path: _overwrite(path, 0, GARBAGE[:100]),
    "a zeroed header": lambda path: _overwrite(path, 0, bytes(4096)),
    "a zeroed page": lambda path: _overwrite(path, 8 * 4096, bytes(4096)),
    "pages of garbage in the middle": lambda path: _overwrite(path, path.stat().st_size // 2, GARBAGE[:9000]),
    "half of it gone": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut within a page": lambda path: os.truncate(path, path.stat().st_size - 1000),
    "all of it gone": lambda path: os.truncate(path, 0),
    "only garbage": lambda path: void(path.write_bytes(GARBAGE)),
    "only text": lambda path: void(path.write_text("not a database\n")),
}


def void(_: object) -> None:
    """For a lambda whose value nobody wants."""


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_file_is_set_aside_and_a_new_one_made(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    place = SqlitePlace(tmp_path)
    old = await _fill(place)
    damage(place.path)
    damaged = place.path.read_bytes()
    async with running(place) as store:
        assert store.set_aside == "ledger.db.damaged-20260921T141320Z"
        assert (tmp_path / store.set_aside).read_bytes() == damaged
        assert store.epoch != old.epoch
        assert store.lease_number != old.lease_number
        assert await store.decide([HITS], add(HITS)) == 1
    async with running(place) as store:
        assert store.set_aside == "ledger.db.damaged-20260921T141320Z"
        assert await store.decide([HITS], add(HITS)) == 2


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_second_damaged_file_gets_a_name_of_its_own(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    names = []
    for text in ("first", "second", "third"):
        place.path.write_text(text)
        async with running(place) as store:
            assert store.set_aside is not None
            names.append(store.set_aside)
    assert [(tmp_path / name).read_text() for name in names] == ["first", "second", "third"]


async def test_a_start_that_died_after_setting_aside_is_still_told_of(tmp_path: Path) -> None:
    (tmp_path / "ledger.db.damaged-20260101T000000Z").write_text("damaged")
    (tmp_path / "ledger.db.new").write_text("half made")
    async with running(SqlitePlace(tmp_path)) as store:
        assert store.set_aside == "ledger.db.damaged-20260101T000000Z"
        assert await store.decide([HITS], add(HITS)) == 1
    assert "ledger.db.new" not in _names(tmp_path)


async def _crash_image(folder: Path) -> SqlitePlace:
    """A file and its log as a crash leaves them: several commits in the log alone."""
    (folder / "live").mkdir()
    (folder / "image").mkdir()
    place = SqlitePlace(folder / "live")
    async with running(place) as store:
        for _ in range(6):
            await store.decide([HITS], add(HITS, events=(played(1),)))
        for suffix in ("", "-wal"):
            shutil.copy(f"{place.path}{suffix}", folder / "image")
    return SqlitePlace(folder / "image")


async def test_what_stands_in_the_log_alone_is_found_again(tmp_path: Path) -> None:
    place = await _crash_image(tmp_path)
    async with running(place) as store:
        assert store.set_aside is None
        assert await store.decide([HITS], add(HITS, 0)) == 6


@pytest.mark.parametrize("offset", [0, 20, 32, 200, 3 * 4120], ids=str)
async def test_a_log_that_lost_synced_commits_is_set_aside_with_its_file(offset: int, tmp_path: Path) -> None:
    place = await _crash_image(tmp_path)
    log = place.path.with_name("ledger.db-wal")
    _overwrite(log, offset, GARBAGE[:40])
    damaged = log.read_bytes()
    async with running(place) as store:
        assert store.set_aside is not None
        assert (place.path.parent / f"{store.set_aside}-wal").read_bytes() == damaged
        assert (await store.fetch([HITS])).get(HITS) is None


async def test_a_log_that_is_torn_at_its_end_loses_that_end_alone(tmp_path: Path) -> None:
    place = await _crash_image(tmp_path)
    log = place.path.with_name("ledger.db-wal")
    os.truncate(log, log.stat().st_size - 512)
    async with running(place) as store:
        assert store.set_aside is None
        assert await store.decide([HITS], add(HITS, 0)) == 5


async def test_a_log_that_was_only_begun_harms_nothing(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    await _fill(place)
    place.path.with_name("ledger.db-wal").write_bytes(bytes(4096))
    async with running(place) as store:
        assert store.set_aside is None
        assert await store.decide([HITS], add(HITS)) == 2


async def test_a_log_without_its_file_never_gets_into_the_new_one(tmp_path: Path) -> None:
    place = await _crash_image(tmp_path)
    place.path.unlink()
    async with running(place) as store:
        assert store.set_aside is not None
        assert (place.path.parent / f"{store.set_aside}-wal").exists()
        assert await store.decide([HITS], add(HITS)) == 1


async def test_a_journal_that_ends_elsewhere_than_its_lane_is_damage(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    await _fill(place)
    with closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM journal WHERE seq = 2")
    async with running(place) as store:
        assert store.set_aside is not None


async def test_numbers_are_not_used_again_after_entries_were_deleted(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    await _fill(place)
    with closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM journal")
    async with running(place) as store:
        await store.decide([], journal(played(3)))
        (entry,) = await store.entries(Lane.ENGAGEMENT, after_seq=0, limit=9)
        assert entry.seq == 3


async def test_a_file_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    await _fill(place)
    with closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO migration VALUES (9999, 'x', 0)")
    before = place.path.read_bytes()
    with pytest.raises(LedgerRefused, match=r"version 9999.*later version"):
        async with running(place):
            pass
    assert place.path.read_bytes() == before
    assert _names(tmp_path) == {"ledger.db", "ledger.db.lock", "ledger.db.ballast"}


async def test_a_file_whose_schema_was_made_from_another_text_is_refused(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    await _fill(place)
    with closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
        connection.execute("UPDATE migration SET sha256 = 'other'")
    with pytest.raises(LedgerRefused, match="another text"):
        async with running(place):
            pass


async def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    with closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = place.path.read_bytes()
    with pytest.raises(LedgerRefused, match="another program"):
        async with running(place):
            pass
    assert place.path.read_bytes() == before
    assert _names(tmp_path) == {"ledger.db", "ledger.db.lock"}


async def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    place.path.mkdir()
    with pytest.raises(LedgerRefused, match="not a file"):
        async with running(place):
            pass


async def test_a_second_process_is_kept_off(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    async with running(place) as store:
        with pytest.raises(LedgerRefused, match="another process"):
            async with running(place):
                pass
        assert await store.decide([HITS], add(HITS)) == 1
    async with running(place) as store:
        assert await store.decide([HITS], add(HITS)) == 2


async def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    async with running(place) as store:
        await store.decide([HITS], add(HITS))
        names = _names(tmp_path)
        assert names >= {"ledger.db", "ledger.db-wal", "ledger.db.ballast"}
        assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names} == {0o600}


async def test_the_log_is_taken_into_the_file_when_due_and_at_the_end(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path, options=StoreOptions(checkpoint_pages=50, commit_batch_max=1))
    log = tmp_path / "ledger.db-wal"
    async with running(place) as store:
        await asyncio.gather(*(store.decide([HITS], add(HITS)) for _ in range(500)))
        assert 0 < log.stat().st_size < 100 * 4120
        assert not store.is_log_too_long
    assert not log.exists()


async def test_a_quiet_store_empties_its_log(tmp_path: Path) -> None:
    clock = HandClock()
    options = StoreOptions(idle_checkpoint_s=60, look_every_s=0.01)
    log = tmp_path / "ledger.db-wal"
    async with running(SqlitePlace(tmp_path, options=options, clock=clock)) as store:
        await store.decide([HITS], add(HITS))
        assert log.stat().st_size > 0
        clock.passed_s += 61
        await eventually(lambda: log.stat().st_size == 0, what="the empty log")


async def test_a_reader_from_outside_that_holds_the_log_raises_its_alarm(tmp_path: Path) -> None:
    options = StoreOptions(checkpoint_pages=10, wal_alarm_bytes=100_000)
    place = SqlitePlace(tmp_path, options=options)
    async with running(place) as store:
        await store.decide([HITS], add(HITS))
        with closing(sqlite3.connect(place.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM record").fetchall()
            for _ in range(40):
                await store.decide([HITS], add(HITS))
            assert store.is_log_too_long
        assert await store.decide([HITS], add(HITS)) == 42


async def test_a_disk_that_fails_stops_the_store_and_tells_so(tmp_path: Path) -> None:
    """Another connection takes the tables away, which no commit survives."""
    place = SqlitePlace(tmp_path)
    async with place.idle() as store:
        with closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
            connection.execute("DROP TABLE record")
        caller = asyncio.create_task(store.decide([], put(Note(id="n", text="x"))))
        with pytest.raises(StoreFailed):
            await store.run()
        with pytest.raises(StoreFailed):
            await caller
        with pytest.raises(StoreClosed):
            await store.decide([HITS], add(HITS))


async def test_the_migrations_are_numbered_from_one_without_gaps() -> None:
    numbers = [migration.number for migration in shipped_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_the_version_of_sqlite_is_known(tmp_path: Path) -> None:
    async with running(SqlitePlace(tmp_path, entropy=SeededEntropy(2))) as store:
        assert store.sqlite_version == sqlite3.sqlite_version
