"""Judges the entries of a batch by the columns that they came in: as judge() would, each in a fraction of its time.

An entry's bytes are its shape with the columns' fillings put into the holes. Where the shape is one that our own events
have, and every filling of a hole can only be read as one value of the field's type, the columns are the events, and no
JSON needs to be read. Wherever there is any doubt (another shape, a quote or a backslash inside a text, a number that
is too large, a word that is not allowed) the entries of that shape are judged one by one: this file never refuses.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, Literal, NamedTuple, NewType, get_args, get_origin

from engagement.clock.moment import Moment
from engagement.journal.entry import Entry
from engagement.journal.event import KINDS, AnyEvent, Event
from engagement.journal.event_columns import EventColumns, as_columns, own_fields
from engagement.journal.shapes import Written, template_of
from engagement.journal.vocabulary import INSTANT, NUMBER, OTHER, SHAPES, TEXT
from engagement.line.judging import INSTANT_MS_BELOW, NUMBER_BELOW, Fault, is_amount, judge

# The values that a column's fillings can only be read as; None in doubt.
Reading = Callable[[Sequence[Any]], Sequence[Any] | None]


class Apart(NamedTuple):
    """An entry that is kept apart."""

    entry: Entry
    fault: Fault


@dataclass(frozen=True, slots=True)
class Judged:
    """Entries that count, kind by kind, and those that do not, in the order of their seqs."""

    columns: Sequence[EventColumns]
    apart: Sequence[Apart]


def judge_entries(entries: Sequence[Entry], written: Iterable[Written] = ()) -> Judged:
    """``written``: the very same entries as decode_batch() found them; without it, or of a part, each is judged alone."""
    columns: list[EventColumns] = []
    left = dict(enumerate(entries))
    for one in written:
        read = _read(one, entries)
        if read is not None:
            columns.append(read)
            for place in one.places:
                del left[place]
    events: list[tuple[int, AnyEvent]] = []
    apart: list[Apart] = []
    for entry in left.values():
        event = judge(entry)
        if isinstance(event, Fault):
            apart.append(Apart(entry, event))
        else:
            events.append((entry.seq, event))
    return Judged([*columns, *as_columns(events)], apart)


class _Plan(NamedTuple):
    """How the columns of a shape are read: a name and a reading for each hole in order; ``nulls``: fields that are null."""

    kind: type[Event]
    readings: Sequence[tuple[str, Reading]]
    nulls: Sequence[str]


def _read(written: Written, entries: Sequence[Entry]) -> EventColumns | None:
    plan = _PLANS.get(written.shape.template)
    if plan is None or plan.kind.lane is not entries[0].lane:
        return None
    values: dict[str, Sequence[Any]] = {}
    for (name, reading), column in zip(plan.readings, written.columns, strict=True):
        read = reading(column)
        if read is None:
            return None
        values[name] = read
    for name in plan.nulls:
        values[name] = [None] * len(written.places)
    fields = {name: values[name] for name in own_fields(plan.kind)}
    return EventColumns(
        plan.kind, [entries[place].seq for place in written.places], values["wall_ms"], fields
    )


# What ends a JSON string, begins an escape, or may not stand in one; and the octet that texts are joined by here.
_NOT_PLAIN: Final = bytes(range(0x20)) + b'"\\'
_JOINT: Final = b"\n"
# Seconds as pydantic writes them, none of which is too large or too exact to be read as it was.
_FRACTIONS: Final = re.compile(rb"(?:(?:0|[1-9][0-9]{0,8})\.[0-9]{1,17}\n)+")
_FLAGS: Final = {b"true": True, b"false": False}


def _texts(column: Sequence[bytes]) -> Sequence[str] | None:
    joined = _JOINT.join(column)
    if len(joined.translate(None, _NOT_PLAIN)) != len(joined) - (len(column) - 1):
        return None
    try:
        return joined.decode().split("\n")
    except UnicodeDecodeError:
        return None


def _numbers(column: Sequence[int]) -> Sequence[int] | None:
    return column if min(column) > -NUMBER_BELOW and max(column) < NUMBER_BELOW else None


def _amounts(column: Sequence[int]) -> Sequence[int] | None:
    return column if min(column) >= 0 and max(column) < NUMBER_BELOW else None


def _instants(column: Sequence[int]) -> Sequence[int] | None:
    return column if min(column) >= 0 and max(column) < INSTANT_MS_BELOW else None


def _fractions(column: Sequence[bytes]) -> Sequence[float] | None:
    return [*map(float, column)] if _FRACTIONS.fullmatch(_JOINT.join(column) + _JOINT) else None


def _one_of(words: Mapping[bytes, Any]) -> Reading:
    def read(column: Sequence[bytes]) -> Sequence[Any] | None:
        values = [*map(words.get, column)]
        return None if None in values else values

    return read


def _reading(annotation: Any, hole: bytes) -> Reading | None:
    """None for types that are left to judge()."""
    present = [part for part in get_args(annotation) if part is not NoneType]
    if len(present) == 1 and NoneType in get_args(annotation):
        annotation = present[0]
    if isinstance(annotation, NewType):
        annotation = annotation.__supertype__
    if hole == TEXT and get_origin(annotation) is Literal:
        return _one_of({word.encode(): word for word in get_args(annotation)})
    known: Mapping[tuple[bytes, Any], Reading] = {
        (TEXT, str): _texts,
        (NUMBER, int): _numbers,
        (INSTANT, int): _numbers,
        (OTHER, bool): _one_of(_FLAGS),
        (OTHER, float): _fractions,
    }
    return known.get((hole, annotation))


_WHAT: Final = re.compile(rb'"what":"([a-z_]+)"')
_FIELD: Final = re.compile(rb'"([a-z0-9_]+)":(?:"?([\x01-\x04])"?|(null))')


def _plan(shape: bytes) -> _Plan | None:
    """None when the shape has not just what the events of its kind have today."""
    what = _WHAT.search(shape)
    kind = KINDS.get(what[1].decode()) if what else None
    if kind is None:
        return None
    own = {name: kind.model_fields[name] for name in own_fields(kind)}
    known = {**Moment.model_fields, **own}
    found = [(name.decode(), hole) for name, hole, _ in _FIELD.findall(shape)]
    if sorted(name for name, _ in found) != sorted([*Moment.model_fields, *own]):
        return None
    readings: list[tuple[str, Reading]] = []
    nulls: list[str] = []
    for name, hole in found:
        field = known[name]
        reading = _instants if name == "wall_ms" else _reading(field.annotation, hole)
        if reading is _numbers and is_amount(name):
            reading = _amounts
        if hole and reading is not None and not field.metadata:
            readings.append((name, reading))
        elif not hole and NoneType in get_args(field.annotation):
            nulls.append(name)
        else:
            return None
    return _Plan(kind, readings, nulls)


_PLANS: Final = {template_of(shape): plan for shape in SHAPES if (plan := _plan(shape)) is not None}
