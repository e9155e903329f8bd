"""What a restore does not undo: what stores, coupons and people outside rely on, as far as the replaced database tells it.

Agents hold newer bundles than a backup knows: the estate goes on above every sequence that was ever given out, or a stop
made next would bear the number of a bundle that an agent has already. What is for ever stays so: agents' numbers,
published campaigns and stops. What was granted, returned, used and written off are totals that only rise, also of a ledger
file that its agent has lost by now, so that nobody else remembers. A key that was taken from an agent, or replaced, does not come back; neither do claim codes
that were used since, nor sessions that somebody ended: without the replaced database, none of either.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

# More than anybody changes the estate between a backup and its restore, where no replaced database tells how often.
_REVISIONS_AHEAD = 1_000_000
_TOTALS = tuple(f"{total}_{unit}" for total in ("granted", "returned", "used") for unit in ("units", "minor"))
_READS = {
    "numbers": "SELECT agent, number FROM numbers",
    "campaigns": "SELECT id, edition, number, body FROM campaigns",
    "stops": "SELECT campaign, honour_issued, by_whom, at_ms FROM stops",
    "keys": "SELECT name, state, public_key, enrolled_ms FROM agents",
    "codes": "SELECT id FROM claims WHERE used_ms IS NULL",
    "sessions": "SELECT token_sha256 FROM sessions",
    "revisions": "SELECT revision FROM estate",
    "desks": "SELECT agent, epoch, number, request_sha256, is_written_off FROM lease_desks",
    "accounts": f"SELECT agent, epoch, campaign, {', '.join(_TOTALS)} FROM lease_accounts",  # noqa: S608  names of ours
    "birth": "SELECT applied_ms FROM migrations WHERE number = 1",
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

    @property
    def is_something(self) -> bool:
        """Whether there is anything of a chain in it, and not only what every new database has."""
        return any(self.rows.get(what) for what in ("numbers", "campaigns", "keys", "accounts"))

    def is_of(self, other: "Lasting") -> bool:
        """Whether both are of one HQ, as far as they tell: when it first began is in each of its backups."""
        mine, others = {*self.of("birth")}, {*other.of("birth")}
        return not (mine and others) or bool(mine & others)

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
    connection.executemany(
        "INSERT INTO lease_desks (agent, epoch, number, request_sha256, is_written_off) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (agent, epoch) DO UPDATE SET number = excluded.number, request_sha256 = excluded.request_sha256,"
        " is_written_off = excluded.is_written_off"
        " WHERE excluded.number > number OR (excluded.number = number AND excluded.is_written_off)",
        lasting.of("desks"),
    )
    raised = ", ".join(f"{total} = max({total}, excluded.{total})" for total in _TOTALS)
    connection.executemany(
        f"INSERT INTO lease_accounts (agent, epoch, campaign, {', '.join(_TOTALS)})"  # noqa: S608  names of ours
        f" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (agent, epoch, campaign) DO UPDATE SET {raised}",
        lasting.of("accounts"),
    )
    connection.execute("DELETE FROM lease_pools")
    connection.execute(
        "INSERT INTO lease_pools SELECT campaign, sum(granted_units - returned_units), sum(granted_minor - returned_minor)"
        " FROM lease_accounts GROUP BY campaign"
    )
    for what, end in _ENDS.items():
        connection.executemany(end, set(connection.execute(_READS[what])) - set(lasting.of(what)))
