"""Decides what becomes of a ledger's file at the start: opened, brought up to date, set aside, made new or refused.

A damaged file is set aside under a name of its own, with its log, and never deleted. A file that is in order but
not for this program (made by a later version, or by another program) is refused: setting it aside would lose it.
"""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from edge_agent.adapters.sqlite_wal import has_lost_commits
from edge_agent.ports import Clock, Entropy
from engagement.clock.hybrid import HybridTime
from engagement.clock.moment import from_ms
from engagement.journal.entry import Entry
from engagement.journal.event import Lane
from engagement.journal.tip import EMPTY, Epoch, LaneTip, Tip, first_break
from engagement.ledger.lease_number import draw_lease_number

_log = logging.getLogger(__name__)

# Enough of each lane's end to see that log and lanes belong together; the whole chain is for an auditor to check.
_ENTRIES_CHECKED = 256
# Results of SQLite that tell of the machine or of another process, not of a damaged file.
_NOT_DAMAGE = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
    )
)
# What every connection to a ledger needs: full durability, and nothing of SQLite's own timing.
PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 0",  # checkpoints come when the writer says
    "PRAGMA mmap_size = 0",  # a mapped page turns a disk error into a crash
    "PRAGMA journal_size_limit = 4194304",  # the log's file, once reset; a burst may make it longer for a while
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)


class LedgerRefused(Exception):
    """The file cannot be used, and is not damaged; it was left as it is."""

    code = "ledger_refused"

    def __init__(self, path: Path, because: str) -> None:
        super().__init__(f"the ledger {path} was left untouched and not opened: {because}")
        self.path = path
        self.because = because


class _Damaged(Exception):
    """What is wrong with the file."""


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What a checked file says of itself."""

    epoch: Epoch
    lease_number: int
    set_aside: str | None
    tip: Tip
    confirmed: dict[Lane, int]


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    sql: str

    @property
    def sha256(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


def shipped_migrations() -> list[Migration]:
    """The numbered SQL files of this version, in order; a published one never changes."""
    found = [file for file in (files("edge_agent") / "migrations").iterdir() if file.name.endswith(".sql")]
    return sorted(
        (Migration(int(file.name.split("_")[0]), file.read_text(encoding="utf-8")) for file in found),
        key=lambda migration: migration.number,
    )


@contextmanager
def held_for_this_process(path: Path) -> Iterator[None]:
    """Keep other agents off the file: two writers would number entries alike. Errors: LedgerRefused."""
    handle = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LedgerRefused(path, "another process has it open; stop that one first") from error
        yield
    finally:
        os.close(handle)


def prepare(path: Path, *, clock: Clock, entropy: Entropy) -> LedgerFacts:
    """Leave a sound, current file at ``path`` and tell what it says. Errors: LedgerRefused."""
    try:
        if path.exists():
            if not path.is_file():
                raise LedgerRefused(path, "it is not a file")
            try:
                return _checked(path, clock)
            except _Damaged as damage:
                _log.error("ledger set aside: path=%s because=%s", path, damage)
                _set_aside(path, clock)
        elif _beside(path, "-wal").exists():
            _set_aside(path, clock)
        _create(path, clock, entropy)
        return _checked(path, clock)
    except (sqlite3.Error, OSError) as error:
        raise LedgerRefused(path, f"{error}; check its folder's space, owner and disk") from error


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=5)
    for pragma in PRAGMAS:
        connection.execute(pragma)
    return connection


def _checked(path: Path, clock: Clock) -> LedgerFacts:
    if path.stat().st_size == 0:
        raise _Damaged("the file is empty")
    if has_lost_commits(_beside(path, "-wal")):
        raise _Damaged("synced commits in its log cannot be read")
    try:
        with closing(_connect(path)) as connection:
            _check_pages(connection)
            _migrate(connection, path, clock)
            path.chmod(0o600)
            return _read_facts(connection)
    except (sqlite3.Error, ValueError, TypeError) as error:
        # The low byte is the kind of error; the rest says where in SQLite.
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 1) & 0xFF in _NOT_DAMAGE:
            raise
        raise _Damaged(str(error)) from error


def _check_pages(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _Damaged(verdict)


def _migrate(connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
    shipped = shipped_migrations()
    known = {migration.number: migration.sha256 for migration in shipped}
    applied = _applied(connection, path)
    if newer := sorted(applied.keys() - known.keys()):
        raise LedgerRefused(
            path,
            f"it has schema version {newer[-1]}, made by a later version of this program, which knows {max(known)};"
            " install that version again",
        )
    for number, digest in applied.items():
        if digest != known[number]:
            raise LedgerRefused(
                path, f"its schema version {number} was made from another text than this program's"
            )
    for migration in shipped:
        if migration.number not in applied:
            _apply(connection, migration, clock)


def _applied(connection: sqlite3.Connection, path: Path) -> dict[int, str]:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if "migration" not in tables:
        raise LedgerRefused(path, "it is a database of another program; move it away or set another path")
    return dict(connection.execute("SELECT number, sha256 FROM migration"))


def _apply(connection: sqlite3.Connection, migration: Migration, clock: Clock) -> None:
    row = f"({migration.number}, '{migration.sha256}', {clock.now().wall_ms})"
    connection.executescript(f"BEGIN;\n{migration.sql}\nINSERT INTO migration VALUES {row};\nCOMMIT;")


def _read_facts(connection: sqlite3.Connection) -> LedgerFacts:
    meta = connection.execute("SELECT epoch, lease_number, set_aside FROM meta").fetchone()
    if meta is None:
        raise _Damaged("no meta row")
    lanes = {}
    confirmed = {}
    stamps = [EMPTY.stamp]
    for name, seq, stamp_ms, stamp_count, head, confirmed_seq in connection.execute(
        "SELECT lane, seq, stamp_ms, stamp_count, head, confirmed_seq FROM lane"
    ):
        lane = Lane(name)
        lanes[lane] = LaneTip(seq, head)
        confirmed[lane] = confirmed_seq
        stamps.append(HybridTime(stamp_ms, stamp_count))
        _check_end(connection, lane, lanes[lane])
    tip = Tip(lanes={**EMPTY.lanes, **lanes}, stamp=max(stamps))
    return LedgerFacts(Epoch(meta[0]), meta[1], meta[2], tip, confirmed)


def _check_end(connection: sqlite3.Connection, lane: Lane, end: LaneTip) -> None:
    """The last entries must follow from each other and end where the lane says; older ones may be gone."""
    last = read_entries(connection, lane, after_seq=end.seq - _ENTRIES_CHECKED, limit=_ENTRIES_CHECKED + 1)
    if not last:
        return
    if (last[-1].seq, last[-1].head) != end or first_break(last[1:], LaneTip(last[0].seq, last[0].head)):
        raise _Damaged(f"the journal of lane {lane} does not end where the lane does")


def read_entries(connection: sqlite3.Connection, lane: Lane, *, after_seq: int, limit: int) -> list[Entry]:
    """Entries of a lane in order."""
    return [entry_of(lane, row) for row in connection.execute(ENTRIES_SQL, (lane, after_seq, limit))]


ENTRIES_SQL = "SELECT seq, stamp_ms, stamp_count, body, head FROM journal WHERE lane = ? AND seq > ? ORDER BY seq LIMIT ?"


def entry_of(lane: Lane, row: sqlite3.Row | tuple[int, int, int, bytes, bytes]) -> Entry:
    seq, stamp_ms, stamp_count, body, head = row
    return Entry(lane=lane, seq=seq, stamp=HybridTime(stamp_ms, stamp_count), body=body, head=head)


def _create(path: Path, clock: Clock, entropy: Entropy) -> None:
    """Make the file under another name first: what stands at ``path`` was complete once, so an empty one is damage."""
    new = _beside(path, ".new")
    for suffix in ("", "-wal", "-shm"):
        _beside(new, suffix).unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with closing(_connect(new)) as connection:
        connection.execute(
            "CREATE TABLE migration (number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL)"
        )
        for migration in shipped_migrations():
            _apply(connection, migration, clock)
        connection.execute(
            "INSERT INTO meta (only, epoch, lease_number, created_ms, set_aside) VALUES (1, ?, ?, ?, ?)",
            (
                entropy.token(8).hex(),
                draw_lease_number(entropy.token(8)),
                clock.now().wall_ms,
                _last_set_aside(path),
            ),
        )
        connection.execute(
            "PRAGMA journal_mode = WAL"
        )  # last, so that everything is in the file that is renamed
    new.rename(path)
    _sync_folder(path.parent)


def _set_aside(path: Path, clock: Clock) -> None:
    """Rename the file, its log and its index to names that are free and still belong together."""
    stem = f"{path.name}.damaged-{from_ms(clock.now().wall_ms):%Y%m%dT%H%M%SZ}"
    count = 1
    name = stem
    while any(path.with_name(name + suffix).exists() for suffix in ("", "-wal", "-shm")):
        count += 1
        name = f"{stem}-{count}"
    for suffix in ("", "-wal", "-shm"):
        old = _beside(path, suffix)
        if old.exists():
            old.rename(path.with_name(name + suffix))
    _sync_folder(path.parent)


def _last_set_aside(path: Path) -> str | None:
    """Read from the folder, so that a start that died between setting aside and making new is told of as well."""
    aside = list(path.parent.glob(f"{path.name}.damaged-*"))
    if not aside:
        return None
    return (
        max(aside, key=lambda found: found.stat().st_ctime_ns).name.removesuffix("-wal").removesuffix("-shm")
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
