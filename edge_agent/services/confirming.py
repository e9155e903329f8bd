"""How far HQ has each lane, and which of those entries are to go: marks that ride along with a store's next commit.

Every store has these; how they become durable is the store's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engagement.journal.event import Lane


@dataclass(frozen=True, slots=True)
class Marks:
    """What one commit takes along. ``confirmed``: the last entry that HQ has; ``pruned``: the last one to delete."""

    confirmed: Mapping[Lane, int]
    pruned: Mapping[Lane, int]

    def __bool__(self) -> bool:
        return bool(self.confirmed or self.pruned)


NO_MARKS = Marks(MappingProxyType({}), MappingProxyType({}))


class Confirming:
    """``confirmed``: what is durable already."""

    def __init__(self, confirmed: Mapping[Lane, int]) -> None:
        self._confirmed = dict.fromkeys(Lane, 0) | dict(confirmed)
        self._waiting: dict[Lane, int] = {}
        self._to_prune: dict[Lane, int] = {}

    @property
    def confirmed(self) -> Mapping[Lane, int]:
        return MappingProxyType(self._confirmed)

    def confirm(self, lane: Lane, up_to_seq: int, *, last_seq: int) -> None:
        """Errors: ValueError for entries that the journal never had: what it numbers so later would not be HQ's."""
        if up_to_seq > last_seq:
            raise ValueError(f"lane {lane} ends at {last_seq}; {up_to_seq} cannot be confirmed")
        if up_to_seq > max(self._confirmed[lane], self._waiting.get(lane, 0)):
            self._waiting[lane] = up_to_seq

    def prune(self, lane: Lane, up_to_seq: int) -> None:
        """Never the last confirmed entry: the next batch joins on to its head."""
        goal = min(up_to_seq, self._confirmed[lane] - 1)
        if goal > max(self._to_prune.get(lane, 0), 0):
            self._to_prune[lane] = goal

    def marks(self) -> Marks:
        """What the next commit should take along."""
        if not (self._waiting or self._to_prune):
            return NO_MARKS
        return Marks(dict(self._waiting), dict(self._to_prune))

    def made(self, marks: Marks) -> None:
        """These are durable now."""
        for lane, seq in marks.confirmed.items():
            self._confirmed[lane] = max(self._confirmed[lane], seq)
            if self._waiting.get(lane, 0) <= seq:
                self._waiting.pop(lane, None)
        for lane, seq in marks.pruned.items():
            if self._to_prune.get(lane, 0) <= seq:
                self._to_prune.pop(lane, None)
