"""Decisions that share one commit: their rules run one after another over the same rows, in memory.

What a store loads and how it makes the outcome durable is the store's; what the outcome is, is decided here,
so that every store rules alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from engagement.journal.entry import Entry
from engagement.journal.tip import Tip, extend
from engagement.ledger.record import Address, Key, Record, Rows, Rule

T = TypeVar("T")
R = TypeVar("R", bound=Record)

# A row as it is known: parsed, still the JSON text that is stored, or absent.
Row = Record | str | None


class RecordUnreadable(Exception):
    """A stored row is not what its kind allows; the decisions that name it fail, and no others."""

    code = "record_unreadable"

    def __init__(self, address: Address) -> None:
        self.kind, self.id = address
        super().__init__(
            f"the stored row {self.id!r} of kind {self.kind!r} cannot be read as that kind; it is kept as it is:"
            " export it, then repair or delete it"
        )


@dataclass(frozen=True, slots=True)
class Written:
    """A row as a group leaves it: for the next reader, and as the JSON text to store."""

    record: Record
    body: str


@dataclass(slots=True)
class Group:
    """Rules on loaded rows and collects what is to be stored.

    ``rows`` must hold every address that the group's decisions name. ``writes`` holds the last state of each
    row that changed (None: deleted), ``entries`` the new journal entries in order, ``tip`` where they end.
    """

    rows: dict[Address, Row]
    tip: Tip
    writes: dict[Address, Written | None] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def judge(self, keys: Iterable[Key[Any]], rule: Rule[T]) -> T:
        """Run one rule on the rows as the rules before it left them, and answer.

        Errors: RecordUnreadable, or whatever the rule raises; the group is then as if it had not been asked.
        """
        ruling = rule(self._rows_of(keys))
        writes: dict[Address, Written | None] = {}
        for record in ruling.writes:
            writes[(record.kind, record.id)] = Written(record, record.model_dump_json())
        for key in ruling.deletes:
            writes[storable(key).address] = None
        if ruling.events:
            self.tip, entries = extend(self.tip, ruling.events)
            self.entries += entries
        for address, written in writes.items():
            self.writes[address] = written
            self.rows[address] = None if written is None else written.record
        return ruling.answer

    def _rows_of(self, keys: Iterable[Key[Any]]) -> Rows:
        asked: dict[Address, Record | None] = {}
        for key in keys:
            address = key.address
            row = self.rows[address]
            if row is not None and type(row) is not key.of:
                row = self.rows[address] = read_row(key, row)
            assert not isinstance(row, str)
            asked[address] = row
        return Rows(asked)


def read_row(key: Key[R], row: Record | str) -> R:
    """The row as the kind that the key names. Errors: RecordUnreadable."""
    body = row if isinstance(row, str) else row.model_dump_json()
    try:
        record = key.of.model_validate_json(body)
    except ValueError as error:
        raise RecordUnreadable(key.address) from error
    if record.id != key.id:
        raise RecordUnreadable(key.address)
    return record


def storable(key: Key[Any]) -> Key[Any]:
    """The key itself. Errors: ValueError when its id has no UTF-8 form, which no stored row can have."""
    key.id.encode()
    return key


def show(keys: Iterable[Key[Any]], rows: Mapping[Address, Row]) -> Rows:
    """Rows for showing. Errors: RecordUnreadable."""
    return Rows(
        {key.address: None if (row := rows[key.address]) is None else read_row(key, row) for key in keys}
    )
