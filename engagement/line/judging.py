"""Whether HQ can use an entry that arrived whole: if not, it is kept apart with a code, and never stops the next.

An agent of a newer version may send what this one does not know; an agent with a fault may send anything at all.
"""

from enum import StrEnum
from functools import cache
from typing import Final

from pydantic import ValidationError

from engagement.journal.entry import Entry
from engagement.journal.event import AnyEvent, Event

# Instants that have a date in every time zone: 1970 to 9000.
INSTANT_MS_BELOW = 221_845_392_000_000
# What a database's 64-bit integer holds, with room to add up.
NUMBER_BELOW = 2**48


class Fault(StrEnum):
    """Why an entry is kept apart."""

    UNKNOWN = "event_unknown"
    UNREADABLE = "event_unreadable"
    WRONG_LANE = "event_in_wrong_lane"
    IMPOSSIBLE = "event_impossible"


# How JSON writes the octet that databases refuse in texts; it stands in few bodies, so fields are looked at then alone.
_NUL: Final = b"\\u0000"


def judge(entry: Entry) -> AnyEvent | Fault:
    """The event, or why it cannot be counted."""
    try:
        event = entry.event
    except ValidationError as invalid:
        is_unknown = invalid.errors(include_url=False)[0]["type"] == "union_tag_invalid"
        return Fault.UNKNOWN if is_unknown else Fault.UNREADABLE
    if event.lane is not entry.lane:
        return Fault.WRONG_LANE
    if not 0 <= event.moment.wall_ms < INSTANT_MS_BELOW or (_NUL in entry.body and _holds_nul(event)):
        return Fault.IMPOSSIBLE
    fields = event.__dict__
    for name, least in _number_fields(type(event)):
        if not least <= fields[name] < NUMBER_BELOW:
            return Fault.IMPOSSIBLE
    return event


def is_amount(field: str) -> bool:
    """Whether a field is of money: no event takes any back but by saying so, and a sum only sinks by an undo."""
    return field.endswith("_minor")


@cache
def _number_fields(kind: type[Event]) -> tuple[tuple[str, int], ...]:
    """Each with the least that it may be."""
    return tuple(
        (name, 0 if is_amount(name) else 1 - NUMBER_BELOW)
        for name, field in kind.model_fields.items()
        if field.annotation is int
    )


def _holds_nul(event: Event) -> bool:
    return any(isinstance(value, str) and "\x00" in value for value in event.__dict__.values())
