"""HQ's database of the version before money lost its key, opened by this one: what it takes, and what a kill leaves."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest

from cloud_api.adapters.sqlite.file import prepare
from tests.eventually import eventually
from tests.fakes.shop import NOON_MS
from tests.house.tree import ROOT

_LINES = 30_000
# The highest that this process itself had; what getrusage tells counts in whoever started it.
_OPEN = (
    "import sys; from pathlib import Path; from cloud_api.adapters.sqlite.file import prepare\n"
    "def high(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    f"before = high(); prepare(Path(sys.argv[1]), now_ms={NOON_MS}); print(high() - before)"
)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    prepare(tmp_path / "new.db", now_ms=NOON_MS)
    with closing(sqlite3.connect(tmp_path / "new.db")) as new:
        ((made_by,),) = new.execute("PRAGMA application_id").fetchall()
    with closing(sqlite3.connect(tmp_path / "hq.db", isolation_level=None)) as connection:
        connection.executescript(
            f"PRAGMA application_id = {made_by}; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;"
            "CREATE TABLE migrations (number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL);"
        )
        for file in sorted((files("cloud_api") / "migrations").iterdir(), key=lambda each: each.name):
            number, sql = int(file.name[:4]), file.read_text(encoding="utf-8")
            if number < 5:
                connection.executescript(sql)
                digest = sha256(sql.encode()).hexdigest()
                connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, digest, NOON_MS))
    return tmp_path / "hq.db"


@pytest.fixture
def old(small: Path) -> Path:
    """With long names of coupons, which stand for many more lines."""
    with closing(sqlite3.connect(small, isolation_level=None)) as connection:
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO money (lane_id, seq,"
            " agent_id, branch, what, at_ms, day, coupon, amount_minor, basket_minor)"
            " SELECT i % 7, i, 1, 'B', 'coupon_issued', 0, '2026-11-21', printf('%01500d', i * 7919 % 60013), 2000, 0 FROM n",
            (_LINES,),
        )
    return small


def opening(database: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _OPEN, str(database)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_a_large_database_takes_no_memory_by_its_size(old: Path) -> None:
    """It must open in what a unit of systemd allows, or would never open again."""
    with opening(old) as program:
        told, _ = program.communicate()
    assert program.returncode == 0
    assert 0 < int(told) < 50_000  # kB; an index that is sorted in memory takes 260 MB


async def test_a_start_that_was_killed_in_the_middle_is_done_again(old: Path) -> None:
    log = Path(f"{old}-wal")
    with opening(old) as program:
        await eventually(lambda: log.exists() and log.stat().st_size > 2**24)
        program.kill()
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT max(number) FROM migrations").fetchone() == (4,)
    prepare(old, now_ms=NOON_MS)
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("SELECT count(*), sum(seq), sum(amount_minor) FROM money").fetchone() == (
            _LINES,
            _LINES * (_LINES + 1) // 2,
            _LINES * 2000,
        )
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize(("before", "after"), [(0, 0), (7, 8)])
def test_bundles_without_a_proof_are_fetched_once_more(small: Path, before: int, after: int) -> None:
    """By every agent, for all take a later bundle; a chain that has nothing yet has none to fetch."""
    with closing(sqlite3.connect(small, isolation_level=None)) as connection:
        connection.execute("UPDATE estate SET revision = ?, changed = ?", (before, min(before, 3)))
    prepare(small, now_ms=NOON_MS)
    with closing(sqlite3.connect(small)) as connection:
        assert connection.execute("SELECT revision, changed FROM estate").fetchone() == (after, after)
