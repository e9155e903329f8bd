"""Opens HQ's database file: kept to this process, checked, brought up to date; a file that is damaged is refused.

Nothing is set aside or made anew here, unlike in a store: HQ's file is restored from a backup, by a person.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from cloud_api.adapters.files import hand_over

# What every connection needs: full durability, and no mapped pages, on which a disk error would be a crash.
PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA mmap_size = 0",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cache_size = -16384",  # kB
)
# Pages in the log that make a checkpoint due: 16 MB, which a start reads in a fraction of a second.
WRITER_PRAGMAS = (*PRAGMAS, "PRAGMA wal_autocheckpoint = 4000")
# The writer alone moves pages: two that checkpoint at once have damaged files in SQLite before 3.51.3.
READER_PRAGMAS = (*PRAGMAS, "PRAGMA wal_autocheckpoint = 0", "PRAGMA query_only = ON")
# Ends the name of a backup that is being put in a database's place.
RESTORING = ".restoring"
# Ends the name of the file that says who has the database.
LOCK = ".lock"
_MADE_BY = 0x6265_6371  # "becq", so that no other program's database is taken for ours


class DatabaseRefused(Exception):
    """The file cannot be used; it was left as it is."""

    def __init__(self, path: Path, because: str) -> None:
        super().__init__(f"the database {path} was left untouched and not opened: {because}")


@dataclass(frozen=True, slots=True)
class _Migration:
    number: int
    sql: str

    @property
    def sha256(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


@contextmanager
def held_for_this_process(path: Path) -> Iterator[None]:
    """Keep other clouds off the file: each remembers marks. Errors: DatabaseRefused."""
    lock = path.with_name(path.name + LOCK)
    handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        hand_over(handle, path.parent)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatabaseRefused(path, "another process has it open; stop that one first") from error
        yield
    finally:
        os.close(handle)


def prepare(path: Path, *, now_ms: int) -> None:
    """Leave a current file at ``path``. Errors: DatabaseRefused, also when a restore was cut short."""
    if path.with_name(path.name + RESTORING).exists():
        raise DatabaseRefused(path, "a restore was cut short; run the restore again")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
            demand_ours(connection, path)
            for pragma in WRITER_PRAGMAS:
                connection.execute(pragma)
            # An index over all lines is sorted first: in memory it would take 180 MB for each million of them.
            connection.execute("PRAGMA temp_store = FILE")
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(connection, path, now_ms)
    except (sqlite3.Error, OSError) as error:
        raise DatabaseRefused(
            path, f"{error}; check its folder's space and owner, or restore a backup"
        ) from error


def demand_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Errors: DatabaseRefused when the file holds something, and not of HQ."""
    (made_by,) = connection.execute("PRAGMA application_id").fetchone()
    (n_objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if made_by != _MADE_BY and n_objects:
        raise DatabaseRefused(path, "it is a database of another program; move it away or set another home")


def _migrate(connection: sqlite3.Connection, path: Path, now_ms: int) -> None:
    """Each migration in a transaction of its own, so that a start that died in between goes on where it was."""
    connection.execute(f"PRAGMA application_id = {_MADE_BY}")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL)"
    )
    shipped = {migration.number: migration for migration in _shipped()}
    applied = dict(connection.execute("SELECT number, sha256 FROM migrations"))
    for number, digest in applied.items():
        if number not in shipped:
            raise DatabaseRefused(
                path,
                f"its schema is version {number}, of a later version of this program; install that one again",
            )
        if shipped[number].sha256 != digest:
            raise DatabaseRefused(path, f"its schema version {number} was made from another text")
    for number, migration in sorted(shipped.items()):
        if number not in applied:
            row = f"({number}, '{migration.sha256}', {now_ms})"
            connection.executescript(
                f"BEGIN;\n{migration.sql}\nINSERT INTO migrations VALUES {row};\nCOMMIT;"
            )


def _shipped() -> list[_Migration]:
    folder = files("cloud_api") / "migrations"
    return [
        _Migration(int(file.name.split("_")[0]), file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    ]
