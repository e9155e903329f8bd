"""A ledger in a dict: rules run one after another, at once, and everything they journal stays."""

from collections.abc import Iterable
from typing import Any, TypeVar

from engagement.journal.event import Event
from engagement.journal.tip import EMPTY
from engagement.ledger.group import Group, Row, show
from engagement.ledger.record import Address, Key, Record, Rows, Rule

T = TypeVar("T")
R = TypeVar("R", bound=Record)


class DictLedger:
    """Rows are kept as the JSON that a disk would hold, so that a value that JSON cannot carry shows."""

    def __init__(self) -> None:
        self.rows: dict[Address, str] = {}
        self.events: list[Event] = []
        self._tip = EMPTY

    def decide(self, keys: Iterable[Key[Any]], rule: Rule[T]) -> T:
        asked = tuple(keys)
        loaded: dict[Address, Row] = {key.address: self.rows.get(key.address) for key in asked}
        group = Group(rows=loaded, tip=self._tip)
        answer = group.judge(asked, rule)
        for address, written in group.writes.items():
            if written is None:
                self.rows.pop(address, None)
            else:
                self.rows[address] = written.body
        self._tip = group.tip
        self.events += [entry.event for entry in group.entries]
        return answer

    def get(self, key: Key[R]) -> R | None:
        return self.fetch([key]).get(key)

    def fetch(self, keys: Iterable[Key[Any]]) -> Rows:
        asked = tuple(keys)
        return show(asked, {key.address: self.rows.get(key.address) for key in asked})

    def all_of(self, kind: type[R]) -> list[R]:
        """Every row of a kind, in order of id."""
        return [
            kind.model_validate_json(body)
            for (name, _), body in sorted(self.rows.items())
            if name == kind.kind
        ]
