"""Records, the keys that name them, and the ruling by which a rule changes them.

A rule is a pure function from the rows that its keys name to a ruling. It never reads outside its keys: that is
what lets one writer run many rules in one transaction, in memory in tests and on disk in a store.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from engagement.journal.event import Event
from engagement.values import Value


class Record(Value):
    """One stored row. ``kind`` names the family, ``id`` the row in it; together they are its key.

    A stored kind may gain fields with defaults, never lose or rename one: old files must open for ever.
    """

    kind: ClassVar[str]
    id: str


R = TypeVar("R", bound=Record)
T = TypeVar("T")
# What names a row in a store: its kind and its id.
Address = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Key(Generic[R]):
    """Names one row, which may or may not exist."""

    of: type[R]
    id: str

    @property
    def address(self) -> Address:
        return (self.of.kind, self.id)


class Rows:
    """The rows that a rule asked for, and nothing else."""

    def __init__(self, rows: Mapping[Address, Record | None]) -> None:
        self._rows = rows

    def get(self, key: Key[R]) -> R | None:
        """The row, or None when there is none. Errors: KeyError when the rule did not ask for this key."""
        row = self._rows[key.address]
        if row is None:
            return None
        assert isinstance(row, key.of)
        return row


@dataclass(frozen=True, slots=True)
class Ruling(Generic[T]):
    """What a rule decided: the answer, the rows to write or delete, and the events to journal, all or nothing."""

    answer: T
    writes: tuple[Record, ...] = ()
    deletes: tuple[Key[Any], ...] = ()
    events: tuple[Event, ...] = field(default=())


Rule = Callable[[Rows], Ruling[T]]
