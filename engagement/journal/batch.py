"""A run of one lane's entries as bytes for HQ, and back, exactly. ``docs/wire.md`` is the same layout for others.

Shape, with the columns of octets.py, number_column.py, text_column.py and shapes.py:

    1 octet   version, 0xB1
    varint    length of the agent's name, then the name in UTF-8
    8         epoch
    1         lane: 0 money, 1 engagement, 2 telemetry
    varint    seq of the first entry
    32        the chain's head before the first entry
    varint    how many entries, at least 1
    numbers   wall_ms of the stamps
    numbers   counter of the stamps
    varint    how many shapes; absent when there is one entry
    shapes    that many references
    numbers   the shape of each entry, counted from 0; absent when there is one shape
    columns   shape by shape
    8         check: first octets of SHA-256 over all octets before it and the chain's head after the last entry

Heads are not sent but computed from the bodies; the check therefore also proves that every body came back as it was
chained. It is no signature: who sent the batch is shown by the request's. Compression is left to an adapter.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate, repeat
from typing import Any, Final, NamedTuple, TypeVar

from engagement.clock.hybrid import HybridTime
from engagement.ids import AgentName
from engagement.journal.entry import Entry, chain
from engagement.journal.event import Lane
from engagement.journal.malformed import MalformedBatch
from engagement.journal.number_column import read_numbers, write_numbers
from engagement.journal.octets import Reader, varint, within
from engagement.journal.shapes import Cut, Written, cut, read_bodies, read_shape, write_bodies
from engagement.journal.tip import Epoch, LaneTip, first_break

_T = TypeVar("_T", bound=tuple[Any, ...])

VERSION: Final = 0xB1
# All bodies of a batch together, before compression. A batch of 500 events has a fifth of a megabyte; this is what
# a few forged bytes can make a receiver hold.
BODIES_BYTES_MAX: Final = 2 * 2**20
AGENT_BYTES_MAX: Final = 255
# Sequence numbers and instants stay below what a database's 64-bit integer holds.
NUMBER_BELOW: Final = 2**62
_LANES: Final = (Lane.MONEY, Lane.ENGAGEMENT, Lane.TELEMETRY)
_EPOCH: Final = re.compile(r"[0-9a-f]{16}")
_EPOCH_BYTES: Final = 8
# Any text that has a UTF-8 form.
_AGENT: Final = re.compile(r"[^\ud800-\udfff]+")
_HEAD_BYTES: Final = 32
_CHECK_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive entries of one lane of one agent's ledger file. ``previous_head``: the chain's before ``first_seq``.

    ``written``: the same entries as the columns that they arrived in; none when the batch was not read from bytes.
    """

    agent: AgentName
    epoch: Epoch
    lane: Lane
    first_seq: int
    previous_head: bytes
    entries: tuple[Entry, ...]
    written: tuple[Written, ...] = field(default=(), compare=False, repr=False)

    @property
    def last_head(self) -> bytes:
        """The chain's head after the last entry."""
        return self.entries[-1].head if self.entries else self.previous_head


def encode_batch(batch: Batch, *, by_name: bool = False) -> bytes:
    """The batch's bytes. ``by_name``: spell out what the tables number, for a receiver that answered UnknownVocabulary.

    Errors: MalformedBatch, above all when the entries do not follow from ``previous_head`` and from each other: what
    does not hold here could not be restored there.
    """
    _demand_sendable(batch)
    stamps_ms = [entry.stamp.wall_ms for entry in batch.entries]
    counters = [entry.stamp.counter for entry in batch.entries]
    _demand_stamps(stamps_ms, counters)
    data = b"".join(
        (
            _write_start(batch),
            write_numbers(stamps_ms),
            write_numbers(counters),
            _write_entries(batch.entries, by_name),
        )
    )
    return data + _check(data, batch.last_head)


def decode_batch(data: bytes, *, entries_max: int) -> Batch:
    """The batch that was encoded; its entries' events are not looked at, so that one bad event leaves the others whole.

    Errors: MalformedBatch, and nothing else on any bytes.
    """
    body = data[: max(len(data) - _CHECK_BYTES, 0)]
    reader = Reader(body, 2 * BODIES_BYTES_MAX)
    start = _read_start(reader)
    count = reader.count("entries", entries_max)
    if start.first_seq + count > NUMBER_BELOW:
        raise MalformedBatch("first_seq", start.first_seq, f"what ends below {NUMBER_BELOW}")
    stamps_ms = read_numbers(reader, count, "wall_ms of the stamps")
    counters = read_numbers(reader, count, "counter of the stamps")
    _demand_stamps(stamps_ms, counters)
    written = _read_written(reader, stamps_ms)
    if reader.left:
        raise MalformedBatch("end", f"{reader.left} bytes more", "the check right after the last column")
    bodies = _in_order(written, count)
    heads = [*accumulate(bodies, chain, initial=start.previous_head)][1:]
    check, expected = data[len(body) :], _check(body, heads[-1])
    if check != expected:
        raise MalformedBatch("check", check.hex(), expected.hex())
    seqs = range(start.first_seq, start.first_seq + count)
    stamps = _each(HybridTime, zip(stamps_ms, counters, strict=True))
    entries = _each(Entry, zip(repeat(start.lane, count), seqs, stamps, bodies, heads, strict=True))
    return Batch(*start, tuple(entries), written)


def _each(kind: type[_T], rows: Iterable[tuple[object, ...]]) -> Iterator[_T]:
    """Rows as a kind of named tuple, in half the time that its constructor takes, which is a function of Python's."""
    return map(tuple.__new__, repeat(kind), rows)


class _Start(NamedTuple):
    agent: AgentName
    epoch: Epoch
    lane: Lane
    first_seq: int
    previous_head: bytes


def _write_start(batch: Batch) -> bytes:
    return b"".join(
        (
            bytes([VERSION]),
            varint(len(batch.agent.encode())),
            batch.agent.encode(),
            bytes.fromhex(batch.epoch),
            bytes([_LANES.index(batch.lane)]),
            varint(batch.first_seq),
            batch.previous_head,
            varint(len(batch.entries)),
        )
    )


def _read_start(reader: Reader) -> _Start:
    version = reader.octet("version")
    if version != VERSION:
        raise MalformedBatch("version", version, str(VERSION))
    agent = reader.take(reader.count("agent", AGENT_BYTES_MAX), "agent")
    epoch = reader.take(_EPOCH_BYTES, "epoch").hex()
    lane = reader.octet("lane")
    if lane >= len(_LANES):
        raise MalformedBatch("lane", lane, f"0 to {len(_LANES) - 1}")
    first_seq = reader.count("first_seq", NUMBER_BELOW)
    try:
        name = AgentName(agent.decode())
    except UnicodeDecodeError as error:
        raise MalformedBatch("agent", agent, "UTF-8") from error
    return _Start(name, Epoch(epoch), _LANES[lane], first_seq, reader.take(_HEAD_BYTES, "previous_head"))


def _write_entries(entries: Sequence[Entry], by_name: bool) -> bytes:
    groups: dict[bytes, list[tuple[Cut, int]]] = {}
    which = []
    for entry in entries:
        one = cut(entry.body)
        groups.setdefault(one.shape, []).append((one, entry.stamp.wall_ms))
        which.append(one.shape)
    places = {shape: place for place, shape in enumerate(groups)}
    written = [
        write_bodies([one for one, _ in group], [stamp for _, stamp in group], by_name=by_name)
        for group in groups.values()
    ]
    return b"".join(
        (
            varint(len(groups)) if len(entries) > 1 else b"",
            *(columns.reference for columns in written),
            write_numbers([places[shape] for shape in which]) if len(groups) > 1 else b"",
            *(columns.fillings for columns in written),
        )
    )


def _read_written(reader: Reader, stamps_ms: Sequence[int]) -> tuple[Written, ...]:
    n_shapes = 1 if len(stamps_ms) == 1 else reader.count("shapes", len(stamps_ms))
    shapes = [read_shape(reader) for _ in range(n_shapes)]
    if n_shapes == 1:
        return (read_bodies(reader, shapes[0], stamps_ms, range(len(stamps_ms))),)
    which = within(read_numbers(reader, len(stamps_ms), "shape"), n_shapes, "shape")
    places_of: list[list[int]] = [[] for _ in shapes]
    for place, shape in enumerate(which):
        places_of[shape].append(place)
    if not all(places_of):
        raise MalformedBatch("shapes", n_shapes, "those that are used")
    return tuple(
        read_bodies(reader, shape, [stamps_ms[place] for place in places], places)
        for shape, places in zip(shapes, places_of, strict=True)
    )


def _in_order(written: Sequence[Written], count: int) -> Sequence[bytes]:
    """The bodies as they were chained."""
    if len(written) == 1:
        return written[0].bodies
    ordered = [b""] * count
    for one in written:
        for place, body in zip(one.places, one.bodies, strict=True):
            ordered[place] = body
    return ordered


def _check(data: bytes, last_head: bytes) -> bytes:
    return sha256(data + last_head).digest()[:_CHECK_BYTES]


def _demand_sendable(batch: Batch) -> None:
    """Errors: MalformedBatch."""
    entries = batch.entries
    if not entries:
        raise MalformedBatch("entries", 0, "at least 1")
    if not 1 <= batch.first_seq <= NUMBER_BELOW - len(entries):
        raise MalformedBatch("first_seq", batch.first_seq, f"1 to {NUMBER_BELOW - len(entries)}")
    if not _AGENT.fullmatch(batch.agent) or len(batch.agent.encode()) > AGENT_BYTES_MAX:
        raise MalformedBatch("agent", repr(batch.agent), f"1 to {AGENT_BYTES_MAX} bytes of UTF-8")
    if not _EPOCH.fullmatch(batch.epoch):
        raise MalformedBatch("epoch", batch.epoch, "16 hex digits, in lower case")
    if len(batch.previous_head) != _HEAD_BYTES:
        raise MalformedBatch("previous_head", f"{len(batch.previous_head)} bytes", f"{_HEAD_BYTES} bytes")
    strangers = [entry.seq for entry in entries if entry.lane is not batch.lane]
    if strangers:
        raise MalformedBatch("lane", f"another one at seq {strangers[0]}", f"{batch.lane} alone")
    broken = first_break(entries, LaneTip(batch.first_seq - 1, batch.previous_head))
    if broken is not None:
        raise MalformedBatch(
            "entries", f"broken at seq {broken.seq}", "each following from the one before it"
        )
    length = sum(len(entry.body) for entry in entries)
    if length > BODIES_BYTES_MAX:
        raise MalformedBatch(
            "entries", f"{length} bytes of events", f"at most {BODIES_BYTES_MAX}; send fewer"
        )


def _demand_stamps(stamps_ms: Sequence[int], counters: Sequence[int]) -> None:
    """Errors: MalformedBatch."""
    for name, numbers, least in (
        ("wall_ms of the stamps", stamps_ms, -NUMBER_BELOW),
        ("counter of the stamps", counters, 0),
    ):
        for extreme in (min(numbers), max(numbers)):
            if not least <= extreme < NUMBER_BELOW:
                raise MalformedBatch(name, extreme, f"{least} to {NUMBER_BELOW - 1}")
