"""Bytes per event on the line to HQ: our batches beside the same events as JSON rows, both through zstd level 3.

What a batch costs whatever it carries (the stream's name, the chain's head, the check) is a figure of its own; the
rows are spared theirs. A body that zstd does not make smaller would be sent as it is, on both sides.
"""

from collections.abc import Iterator, Sequence

import zstandard

from engagement.ids import AgentName
from engagement.journal.batch import Batch, encode_batch
from engagement.journal.entry import CHAIN_START, Entry
from engagement.journal.event import Lane
from engagement.journal.octets import varint
from engagement.journal.tip import Epoch
from tests.bench.result import Figure
from tests.fakes.store_day import lane_entries

# Enough for three money batches of 500, little enough for single events to take a second.
_SHOPPERS = 700
_SEED = 20261121
_AGENT = AgentName("harbour-street-1")
_EPOCH = Epoch("00ff12345678abcd")
_LEVEL = 3
_PEER = "JSON rows, zstd-3"


def measure() -> list[Figure]:
    lanes = [lane_entries(lane, seed=_SEED, shoppers=_SHOPPERS) for lane in (Lane.MONEY, Lane.ENGAGEMENT)]
    figures = [_per_event(lanes, size) for size in (500, 50, 1)]
    first = _cut(lanes[0], 1)
    return [*figures, Figure("wire_bytes_per_batch", float(_frame_bytes(next(first))), "B")]


def _per_event(lanes: Sequence[tuple[Entry, ...]], size: int) -> Figure:
    """Over whole batches of both lanes, each lane with its share of the day."""
    zstd = zstandard.ZstdCompressor(level=_LEVEL)
    events = ours = theirs = 0
    for batch in (batch for entries in lanes for batch in _cut(entries, size)):
        encoded, rows = encode_batch(batch), _rows(batch.entries)
        events += size
        ours += min(len(encoded), len(zstd.compress(encoded))) - _frame_bytes(batch)
        theirs += min(len(rows), len(zstd.compress(rows)))
    return Figure(f"wire_bytes_per_event_{size}", ours / events, "B", _PEER, theirs / events)


def _cut(entries: tuple[Entry, ...], size: int) -> Iterator[Batch]:
    for start in range(0, len(entries) - size + 1, size):
        head = entries[start - 1].head if start else CHAIN_START
        part = entries[start : start + size]
        yield Batch(_AGENT, _EPOCH, part[0].lane, part[0].seq, head, part)


def _rows(entries: Sequence[Entry]) -> bytes:
    """One line an event: its stamp and the event as it is stored."""
    return b"\n".join(b"[%d,%d,%b]" % (*entry.stamp, entry.body) for entry in entries)


def _frame_bytes(batch: Batch) -> int:
    """Version, agent, epoch, lane, first seq, head, count and check; docs/wire.md."""
    agent = batch.agent.encode()
    numbers = len(varint(len(agent))) + len(varint(batch.first_seq)) + len(varint(len(batch.entries)))
    return 1 + len(agent) + 8 + 1 + 32 + numbers + 8
