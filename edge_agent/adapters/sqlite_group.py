"""A group of decisions as SQL: one query for the rows it names, one call that writes what it changed."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from typing_extensions import override

from edge_agent.services.confirming import Marks
from engagement.ledger.group import Group
from engagement.ledger.record import Address

_WRITE = "INSERT INTO record (kind, id, body) VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body"
_DELETE = "DELETE FROM record WHERE kind = ? AND id = ?"
_JOURNAL = "INSERT INTO journal (lane, seq, stamp_ms, stamp_count, body, head) VALUES (?, ?, ?, ?, ?, ?)"
_LANE = (
    "INSERT INTO lane (lane, seq, stamp_ms, stamp_count, head) VALUES (?, ?, ?, ?, ?) ON CONFLICT (lane) DO UPDATE"
    " SET seq = excluded.seq, stamp_ms = excluded.stamp_ms, stamp_count = excluded.stamp_count, head = excluded.head"
)
_CONFIRM = "UPDATE lane SET confirmed_seq = ? WHERE lane = ?"
_PRUNE = "DELETE FROM journal WHERE lane = ? AND seq <= ?"


class Outgoing:
    """What the next commit writes, and how the last one went; the loop and the connection's thread share it."""

    def __init__(self) -> None:
        self.statements: Sequence[tuple[str, Sequence[tuple[object, ...]]]] = ()
        self.is_committed = False


class GroupConnection(sqlite3.Connection):
    """Its commit() writes a whole group: one hop to the thread, and never a transaction left open in between."""

    def __init__(self, outgoing: Outgoing, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._outgoing = outgoing

    @override
    def commit(self) -> None:
        self._outgoing.is_committed = False
        self.execute("BEGIN IMMEDIATE")
        try:
            for sql, rows in self._outgoing.statements:
                self.executemany(sql, rows)
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:  # a full disk may have rolled it back already
                self.execute("ROLLBACK")
            raise
        self._outgoing.is_committed = True


def statements(group: Group, marks: Marks) -> Iterable[tuple[str, Sequence[tuple[object, ...]]]]:
    """What writes a group and the marks that ride along, each with its rows."""
    yield (
        _WRITE,
        [(*address, written.body) for address, written in group.writes.items() if written is not None],
    )
    yield _DELETE, [address for address, written in group.writes.items() if written is None]
    yield _JOURNAL, [(each.lane, each.seq, *each.stamp, each.body, each.head) for each in group.entries]
    ends = {entry.lane: entry for entry in group.entries}.values()
    yield _LANE, [(each.lane, each.seq, *each.stamp, each.head) for each in ends]
    yield _CONFIRM, [(seq, lane) for lane, seq in marks.confirmed.items()]
    yield _PRUNE, [*marks.pruned.items()]


def row_query(addresses: Sequence[Address]) -> tuple[str, list[str | None]]:
    """One query for many keys. Its size grows in steps of four, so that few texts stay prepared."""
    places = 4
    while places < len(addresses):
        places *= 4
    values: list[str | None] = [part for address in addresses for part in address]
    values += [None] * (2 * (places - len(addresses)))
    asked = ", ".join(["(?, ?)"] * places)
    sql = (
        f"WITH asked (kind, id) AS (VALUES {asked}) SELECT record.kind, record.id, record.body"  # noqa: S608 places
        " FROM asked CROSS JOIN record ON record.kind = asked.kind AND record.id = asked.id"
    )
    return sql, values
