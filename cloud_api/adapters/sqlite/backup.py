"""Copies HQ's database out while it is in use, and puts a copy in its place while it is not.

A copy that was put back has forgotten what was granted since: it gets a new incarnation and is fenced, and waits for every
agent that it or the replaced database knows. It is made whole beside the database, gets its name, ends in RESTORING, and
only then the database is set aside: no start takes what lies there for a database, or nothing for a new one, until it is in
place. A restore that fails leaves whatever there was.
"""

import fcntl
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from cloud_api.adapters.files import hand_over
from cloud_api.adapters.sqlite.file import (
    LOCK,
    READER_PRAGMAS,
    RESTORING,
    DatabaseRefused,
    demand_ours,
    held_for_this_process,
    prepare,
)
from cloud_api.adapters.sqlite.lasting import Lasting, keep_lasting, lasting_in

# Where SQLite keeps what has not been moved into the file yet, or what was there before.
_COMPANIONS = ("-wal", "-shm", "-journal")
# Ends the name of a copy while it is being made.
_PART = ".part"
_NAMES = (
    "SELECT name FROM agents",
    "SELECT agent FROM lease_agents",
    "SELECT json_extract(value, '$.name') FROM branches, json_each(outline, '$.branch.agents') WHERE is_listed",
)


class BackupRefused(Exception):
    """Nothing was changed; says what on which file, and what to do."""


@dataclass(frozen=True, slots=True)
class Restored:
    """``replaced``: the database that was there before, None when there was none. ``awaited``: agents that HQ must hear;
    ``unknown``: those of them that the backup does not know, and that must be enrolled anew."""

    replaced: Path | None
    awaited: Sequence[str]
    unknown: Sequence[str]


def back_up(database: Path, target: Path) -> int:
    """Write a copy to ``target``, readable by its owner alone; its size in bytes. The cloud may be running.

    Errors: BackupRefused; OSError.
    """
    own = {Path(f"{database.resolve()}{ending}") for ending in ("", *_COMPANIONS, LOCK, RESTORING)}
    in_use = [name for name in map(f"{target}{{}}".format, _COMPANIONS) if Path(name).exists()]
    if in_use or target.resolve() in own:
        because = f"{in_use[0]} shows that it is in use" if in_use else "HQ itself needs that name"
        raise BackupRefused(f"no backup can be written to {target}: {because}; name a file of its own")
    part = Path(f"{target}{_PART}")
    try:
        with _made_by_us_alone(part):
            with closing(_opened_to_read(database)) as source:
                _copy(source, part)
            _put_in_place(part, target)
    except sqlite3.Error as error:
        raise BackupRefused(f"the database {database} cannot be copied to {target}: {error}") from error
    return target.stat().st_size


def restore(
    database: Path, backup: Path, *, now_ms: int, also: Collection[str] = (), over_another: bool = False
) -> Restored:
    """Put a backup in the database's place; the cloud must be stopped. What was there stays, under another name.

    ``also``: agents to wait for beside those that are found, where the database that knew them is lost. ``over_another``:
    also where the backup is of another HQ than what is there; what lasts of both then counts.
    Errors: BackupRefused; DatabaseRefused while another process has the database; OSError.
    """
    with held_for_this_process(database):
        new = database.with_name(database.name + RESTORING)
        # One that was cut short may know agents of a database that is set aside by now.
        (cut_short, as_cut), (replaced_names, as_replaced) = _left_in(new), _left_in(database)
        former, lasting = {*cut_short, *replaced_names, *also}, as_replaced.after(as_cut)
        part = Path(f"{new}{_PART}")
        try:
            with _made_by_us_alone(part):
                with closing(_opened_to_read(backup)) as source:
                    _copy(source, part)
                prepare(part, now_ms=now_ms)
                with closing(sqlite3.connect(part, isolation_level=None)) as connection:
                    known = _names(connection)
                    if not over_another:
                        _demand_same_hq(backup, lasting_in(connection), {database: as_replaced, new: as_cut})
                    _fence(connection, former | known, lasting)
                with _opened(part, os.O_RDWR) as handle:
                    hand_over(handle, database.parent)
                _put_in_place(part, new)
        except (sqlite3.Error, DatabaseRefused) as error:
            raise BackupRefused(f"{backup} cannot be restored: {error}") from error
        replaced = _set_aside(database, now_ms)
        _put_in_place(new, database)
        return Restored(replaced, sorted(known | former), sorted(former - known))


def _demand_same_hq(backup: Path, lasting: Lasting, left: Mapping[Path, Lasting]) -> None:
    """Or one HQ's editions, stops and numbers would be the other's from then on. Errors: BackupRefused."""
    for path, found in left.items():
        if found.is_something and not found.is_of(lasting):
            raise BackupRefused(
                f"{backup} is of another HQ than {path}, of which what was published, stopped and granted would count on. "
                f"Move {path} away first; or, where both are of one chain that began anew, add --over-another"
            )


def _opened_to_read(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise BackupRefused(f"there is no database at {path}")
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5
    )
    try:
        demand_ours(connection, path)
        for pragma in READER_PRAGMAS:
            connection.execute(pragma)
    except (sqlite3.Error, DatabaseRefused) as error:
        connection.close()
        raise BackupRefused(f"{path} is no database of HQ: {error}") from error
    return connection


@contextmanager
def _made_by_us_alone(part: Path) -> Iterator[None]:
    """An empty file, which goes if it is not put in place: two that wrote to one name at once would each take the other's
    half for a whole. Errors: BackupRefused."""
    with _opened(part, os.O_CREAT | os.O_RDWR) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another may have put it in place, whole, just before it was ours: what is no longer here is not touched.
            is_ours = os.path.samestat(os.fstat(handle), part.stat())
        except (BlockingIOError, FileNotFoundError):
            is_ours = False
        if not is_ours:
            raise BackupRefused(f"another one is writing to {part}; wait until it is done")
        os.fchmod(handle, 0o600)
        os.ftruncate(handle, 0)
        _remove_companions(part)
        try:
            yield
        except BaseException:
            _remove(part)
            raise


def _copy(source: sqlite3.Connection, target: Path) -> None:
    """One instant of the source into an empty file, checked. Errors: sqlite3.Error, BackupRefused, OSError."""
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        (found,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise BackupRefused(f"the copy is damaged ({found}); the original has to be checked")
        (n_objects,) = copy.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not n_objects:
            raise BackupRefused("the original is an empty file, and no database")


def _left_in(database: Path) -> tuple[set[str], Lasting]:
    """The agents that a database knows, and what outlasts it, as far as it can still be read."""
    if not database.is_file():
        return set(), Lasting()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        names, lasting = _names(connection), lasting_in(connection)
        with suppress(sqlite3.Error):  # then its log goes with it
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return names, lasting


def _names(connection: sqlite3.Connection) -> set[str]:
    """Of every agent; a table that an older database lacks, or that is damaged, adds none."""
    found: set[str] = set()
    for query in _NAMES:
        with suppress(sqlite3.Error):
            found |= {name for (name,) in connection.execute(query)}
    return found


def _fence(connection: sqlite3.Connection, agents: set[str], lasting: Lasting) -> None:
    connection.execute("BEGIN IMMEDIATE")
    keep_lasting(connection, lasting)
    connection.execute("UPDATE lease_fence SET incarnation = lower(hex(randomblob(16))), is_fenced = 1")
    connection.execute("UPDATE lease_agents SET heard_in = ''")
    connection.executemany(
        "INSERT OR IGNORE INTO lease_agents (agent, heard_in, is_given_up) VALUES (?, '', 0)",
        [(agent,) for agent in sorted(agents)],
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = DELETE")


def _set_aside(database: Path, now_ms: int) -> Path | None:
    """Move the database away, with what belongs to it: a new one must not find the old one's log beside it."""
    if not database.exists():
        return None
    at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = Path(f"{database}.replaced-{at}")
    for again in count(2):
        if not aside.exists():
            break
        aside = Path(f"{database}.replaced-{at}-{again}")
    for companion in _COMPANIONS:
        with suppress(FileNotFoundError):
            os.rename(f"{database}{companion}", f"{aside}{companion}")
    database.rename(aside)
    return aside


def _put_in_place(path: Path, target: Path) -> None:
    with _opened(path, os.O_RDONLY) as handle:
        os.fsync(handle)
    path.replace(target)
    with _opened(target.resolve().parent, os.O_RDONLY | os.O_DIRECTORY) as folder:
        os.fsync(folder)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _remove_companions(path)


def _remove_companions(path: Path) -> None:
    for companion in _COMPANIONS:
        Path(f"{path}{companion}").unlink(missing_ok=True)
