"""What a restore does not undo: what stores, coupons and people outside rely on, as far as the replaced database tells it.

Agents hold newer bundles than a backup knows: the estate goes on above every sequence that was ever given out, or a stop
made next would bear the number of a bundle that an agent has already. What is for ever stays so: agents' numbers,
published campaigns and stops. A key that was taken from an agent, or replaced, does not come back; neither do claim codes
that were used since, nor sessions that somebody ended: without the replaced database, none of either.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

# More than anybody changes the estate between a backup and its restore, where no replaced database tells how often.
_REVISIONS_AHEAD = 1_000_000
_READS = {
    "numbers": "SELECT agent, number FROM numbers",
    "campaigns": "SELECT id, edition, number, body FROM campaigns",
    "stops": "SELECT campaign, honour_issued, by_whom, at_ms FROM stops",
    "keys": "SELECT name, state, public_key, enrolled_ms FROM agents",
    "codes": "SELECT id FROM claims WHERE used_ms IS NULL",
    "sessions": "SELECT token_sha256 FROM sessions",
    "revisions": "SELECT revision FROM estate",
}
# What is good only while it is there, and how it ends.
_ENDS = {
    "codes": "DELETE FROM claims WHERE id = ?",
    "sessions": "DELETE FROM sessions WHERE token_sha256 = ?",
}


@dataclass(frozen=True, slots=True)
class Lasting:
    """Rows by what they are of; none of what could not be read. ``codes``: of claims that nobody had used."""

    rows: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)

    def after(self, older: "Lasting") -> "Lasting":
        """Both: what is written last stands; what has ended in the newer one has ended."""
        both = {what: [*older.of(what), *self.of(what)] for what in _READS}
        return Lasting(both | {what: list((self if what in self.rows else older).of(what)) for what in _ENDS})

    def of(self, what: str) -> Iterable[tuple[object, ...]]:
        return self.rows.get(what, ())


def lasting_in(connection: sqlite3.Connection) -> Lasting:
    """Nothing of a damaged database; a table that an older one lacks adds nothing."""
    rows: dict[str, list[tuple[object, ...]]] = {}
    with suppress(sqlite3.Error):
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            return Lasting()
        for what, query in _READS.items():
            with suppress(sqlite3.Error):
                rows[what] = connection.execute(query).fetchall()
    return Lasting(rows)


def keep_lasting(connection: sqlite3.Connection, lasting: Lasting) -> None:
    """Into a database that is being restored, inside the caller's transaction."""
    revision = max((number for (number,) in lasting.of("revisions") if isinstance(number, int)), default=0)
    connection.execute("UPDATE estate SET revision = max(revision, ?) + ?", (revision, _REVISIONS_AHEAD))
    connection.execute("UPDATE estate SET changed = revision")
    connection.executemany("INSERT OR IGNORE INTO numbers VALUES (?, ?)", lasting.of("numbers"))
    connection.executemany(
        "INSERT OR IGNORE INTO campaigns (id, edition, number, body) VALUES (?, ?, ?, ?)",
        lasting.of("campaigns"),
    )
    connection.executemany(
        "INSERT INTO stops (campaign, honour_issued, by_whom, at_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (campaign) DO UPDATE SET honour_issued = excluded.honour_issued,"
        " by_whom = excluded.by_whom, at_ms = excluded.at_ms WHERE honour_issued > excluded.honour_issued",
        lasting.of("stops"),
    )
    connection.executemany(
        "UPDATE agents SET state = ?2, public_key = ?3, enrolled_ms = ?4 WHERE name = ?1 AND ?2 <> 'claimed'",
        lasting.of("keys"),
    )
    for what, end in _ENDS.items():
        connection.executemany(end, set(connection.execute(_READS[what])) - set(lasting.of(what)))
