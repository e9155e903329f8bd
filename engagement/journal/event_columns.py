"""Events by kind, as columns: what is added up, or written as rows, is told once for both, whichever way events came.

HQ reads events by the thousand and needs a few fields of each; columns spare it making each event a value of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engagement.journal.event import AnyEvent, Event


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events of one kind that HQ can use; all columns are of one length. ``fields``: all of the kind's own, by name."""

    kind: type[Event]
    seqs: Sequence[int]
    wall_ms: Sequence[int]
    fields: Mapping[str, Sequence[Any]]


def as_columns(events: Iterable[tuple[int, AnyEvent]]) -> list[EventColumns]:
    """Events with their seqs, those of each kind together."""
    by_kind: dict[type[Event], list[tuple[int, AnyEvent]]] = {}
    for seq, event in events:
        by_kind.setdefault(type(event), []).append((seq, event))
    return [
        EventColumns(
            kind,
            [seq for seq, _ in group],
            [event.moment.wall_ms for _, event in group],
            {name: [getattr(event, name) for _, event in group] for name in own_fields(kind)},
        )
        for kind, group in by_kind.items()
    ]


def own_fields(kind: type[Event]) -> list[str]:
    """Those that a kind has beside what all events have."""
    return [name for name in kind.model_fields if name not in Event.model_fields]
