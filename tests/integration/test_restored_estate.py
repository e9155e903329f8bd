"""A restore undoes nothing that is out in the stores: stops, numbers, keys that were taken, and who has which bundle."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cloud_api.adapters.sqlite.backup import BackupRefused, back_up, restore
from cloud_api.adapters.sqlite.file import prepare
from engagement.campaign.model import Campaign
from tests.fakes import shop
from tests.fakes.shop import NOON_MS

WELCOME, TEA = shop.campaign(), shop.campaign(id="tea", number=11)
OLD_KEY, NEW_KEY = b"old", b"new"


def run(database: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def publish(database: Path, campaign: Campaign) -> None:
    run(
        database,
        "INSERT INTO campaigns VALUES (?, ?, ?, ?)",
        campaign.id,
        campaign.edition,
        campaign.number,
        campaign.model_dump_json(),
    )


def stop(database: Path, campaign: str, honour_issued: int) -> None:
    run(database, "REPLACE INTO stops VALUES (?, ?, 'Li', 1)", campaign, honour_issued)


def enlist(database: Path, agent: str, number: int) -> None:
    run(
        database,
        "INSERT INTO agents (name, branch, number, state, public_key) VALUES (?, 'B', ?, 'active', ?)",
        agent,
        number,
        OLD_KEY,
    )
    run(database, "INSERT INTO numbers VALUES (?, ?)", agent, number)


def claim(database: Path, code: str) -> None:
    run(
        database,
        "INSERT INTO claims (id, agent_id, mac_key, expires_ms) SELECT ?, id, 'k', 9 FROM agents LIMIT 1",
        code,
    )


@pytest.fixture
def database(tmp_path: Path) -> Path:
    found = tmp_path / "hq.db"
    prepare(found, now_ms=NOON_MS)
    publish(found, WELCOME)
    for number, agent in enumerate(("harbour-1", "park-1", "lake-1"), 1):
        enlist(found, agent, number)
    run(found, "UPDATE estate SET revision = 5, changed = 4")
    return found


@pytest.fixture
def copy(database: Path, tmp_path: Path) -> Path:
    claim(database, "waiting")
    claim(database, "typed later")
    run(database, "INSERT INTO sessions VALUES ('kept', 'Li', 9), ('signed out', 'Li', 9)")
    back_up(database, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize("is_readable", [True, False])
def test_the_next_bundle_is_newer_than_all_before(database: Path, copy: Path, *, is_readable: bool) -> None:
    """Else a stop made after the restore has the number of a bundle that a store took before it, and is never fetched."""
    run(database, "UPDATE estate SET revision = 8, changed = 8")
    if not is_readable:
        database.write_bytes(b"\0" * 4096)
    restore(database, copy, now_ms=NOON_MS)
    ((revision, changed),) = run(database, "SELECT revision, changed FROM estate")
    assert isinstance(revision, int)
    assert revision > 8
    assert changed == revision


def test_what_was_published_stopped_and_numbered_stays_so(database: Path, copy: Path) -> None:
    publish(database, TEA)
    stop(database, "tea", 1)
    stop(database, "welcome", 0)
    enlist(database, "hill-1", 4)
    restore(database, copy, now_ms=NOON_MS)
    assert run(database, "SELECT campaign, honour_issued FROM stops ORDER BY 1") == [
        ("tea", 1),
        ("welcome", 0),
    ]
    bodies = run(database, "SELECT body FROM campaigns ORDER BY id")
    assert [json.loads(str(body))["id"] for (body,) in bodies] == ["tea", "welcome"]
    assert ("hill-1", 4) in run(database, "SELECT agent, number FROM numbers")


def test_a_full_stop_of_the_backup_stays_full(database: Path, tmp_path: Path) -> None:
    stop(database, "welcome", 0)
    back_up(database, tmp_path / "copy")
    stop(database, "welcome", 1)
    restore(database, tmp_path / "copy", now_ms=NOON_MS)
    assert run(database, "SELECT honour_issued FROM stops") == [(0,)]


def test_keys_codes_and_sessions_that_are_over_do_not_come_back(database: Path, copy: Path) -> None:
    run(database, "UPDATE agents SET state = 'revoked', public_key = NULL WHERE name = 'park-1'")
    run(database, "UPDATE agents SET public_key = ? WHERE name = 'lake-1'", NEW_KEY)
    run(database, "UPDATE claims SET used_ms = 1 WHERE id = 'typed later'")
    run(database, "DELETE FROM sessions WHERE token_sha256 = 'signed out'")
    restore(database, copy, now_ms=NOON_MS)
    assert run(database, "SELECT name, state, public_key FROM agents ORDER BY number") == [
        ("harbour-1", "active", OLD_KEY),
        ("park-1", "revoked", None),
        ("lake-1", "active", NEW_KEY),
    ]
    assert run(database, "SELECT id FROM claims") == [("waiting",)]
    assert run(database, "SELECT token_sha256 FROM sessions") == [("kept",)]


def test_without_the_replaced_database_no_code_and_no_session_counts(database: Path, copy: Path) -> None:
    database.unlink()
    restore(database, copy, now_ms=NOON_MS)
    assert run(database, "SELECT id FROM claims UNION ALL SELECT token_sha256 FROM sessions") == []


def test_agents_that_no_database_knows_any_more_are_waited_for_when_they_are_named(
    database: Path, copy: Path
) -> None:
    database.unlink()
    restored = restore(database, copy, now_ms=NOON_MS, also=["hill-1"])
    assert restored.unknown == ["hill-1"]
    assert ("hill-1", "") in run(database, "SELECT agent, heard_in FROM lease_agents")


def test_a_restore_that_was_cut_short_undoes_nothing_either(database: Path, copy: Path) -> None:
    run(database, "UPDATE agents SET state = 'revoked', public_key = NULL WHERE name = 'park-1'")
    stop(database, "welcome", 0)
    restore(database, copy, now_ms=NOON_MS)
    database.rename(database.with_name("hq.db.restoring"))
    restore(database, copy, now_ms=NOON_MS)
    assert run(database, "SELECT state FROM agents WHERE name = 'park-1'") == [("revoked",)]
    assert run(database, "SELECT campaign FROM stops") == [("welcome",)]


def lease(database: Path, agent: str, epoch: str, granted: int, returned: int = 0, used: int = 0) -> None:
    """A ledger file's lease of WELCOME, as its last request left it; the pool is whatever all of them come to."""
    run(database, "REPLACE INTO lease_desks VALUES (?, ?, ?, 'digest', 0)", agent, epoch, granted)
    totals = [each for units in (granted, returned, used) for each in (units, 100 * units)]
    run(
        database,
        "REPLACE INTO lease_accounts VALUES (?, ?, 'welcome', ?, ?, ?, ?, ?, ?)",
        agent,
        epoch,
        *totals,
    )
    run(database, "DELETE FROM lease_pools")
    pool = "SELECT 'welcome', sum(granted_units - returned_units), sum(granted_minor - returned_minor) FROM lease_accounts"
    run(database, f"INSERT INTO lease_pools {pool}")


def test_what_was_granted_and_returned_since_is_known(database: Path, tmp_path: Path) -> None:
    """Also of a ledger file that its agent lost: no request will ever tell of it."""
    lease(database, "harbour-1", "a" * 16, 5)
    lease(database, "park-1", "b" * 16, 9)
    back_up(database, tmp_path / "copy")
    lease(database, "harbour-1", "a" * 16, 20, used=12)
    lease(database, "harbour-1", "c" * 16, 7)
    lease(database, "park-1", "b" * 16, 9, returned=4)
    run(database, "UPDATE lease_desks SET is_written_off = 1 WHERE epoch = ?", "a" * 16)
    books = "SELECT agent, epoch, granted_units, returned_units, used_units FROM lease_accounts ORDER BY 1, 2"
    desks = "SELECT agent, epoch, number, is_written_off FROM lease_desks ORDER BY 1, 2"
    before = [run(database, each) for each in (books, desks)]
    restore(database, tmp_path / "copy", now_ms=NOON_MS)
    assert [run(database, each) for each in (books, desks)] == before
    assert run(database, "SELECT units, minor FROM lease_pools") == [(32, 3200)]
    assert run(database, "SELECT is_fenced FROM lease_fence") == [(1,)], (
        "the file may be older than what agents hold"
    )


def test_a_newer_backup_is_not_set_back_by_an_older_database(database: Path, tmp_path: Path) -> None:
    lease(database, "harbour-1", "a" * 16, 5)
    old = database.read_bytes()
    lease(database, "harbour-1", "a" * 16, 20, used=12)
    back_up(database, tmp_path / "copy")
    database.write_bytes(old)
    restore(database, tmp_path / "copy", now_ms=NOON_MS)
    assert run(database, "SELECT granted_units, used_units FROM lease_accounts") == [(20, 12)]
    assert run(database, "SELECT number FROM lease_desks") == [(20,)]


def test_a_write_off_in_a_newer_backup_stands(database: Path, tmp_path: Path) -> None:
    lease(database, "harbour-1", "a" * 16, 5)
    old = database.read_bytes()
    run(database, "UPDATE lease_desks SET is_written_off = 1")
    back_up(database, tmp_path / "copy")
    database.write_bytes(old)
    restore(database, tmp_path / "copy", now_ms=NOON_MS)
    assert run(database, "SELECT number, is_written_off FROM lease_desks") == [(5, 1)]


def test_what_another_hq_published_does_not_get_mixed_in(database: Path, copy: Path, tmp_path: Path) -> None:
    """As of a trial's HQ whose backup somebody took for this one's."""
    (tmp_path / "trial").mkdir()
    other = tmp_path / "trial" / "hq.db"
    prepare(other, now_ms=NOON_MS + 1)
    restore(other, copy, now_ms=NOON_MS)
    other.unlink()
    prepare(other, now_ms=NOON_MS + 1)
    publish(other, WELCOME.model_copy(update={"edition": 7}))
    before = other.read_bytes()
    with pytest.raises(BackupRefused, match="another HQ"):
        restore(other, copy, now_ms=NOON_MS)
    assert other.read_bytes() == before
    assert sorted(path.name for path in other.parent.glob("hq.db*") if "replaced" not in path.name) == [
        "hq.db",
        "hq.db.lock",
    ]
    editions = "SELECT edition FROM campaigns ORDER BY 1"
    restore(other, copy, now_ms=NOON_MS, over_another=True)
    assert run(other, editions) == [(1,), (7,)]
    other.rename(tmp_path / "trial" / "moved away")
    restore(other, copy, now_ms=NOON_MS)
    assert run(other, editions) == [(1,)]
