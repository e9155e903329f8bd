"""Batches come back as they were, however the journal is cut; and whatever is put in their place is refused by name."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.clock.hybrid import HybridTime
from engagement.ids import AgentName
from engagement.journal.batch import Batch, decode_batch, encode_batch
from engagement.journal.entry import CHAIN_START, Entry, chain
from engagement.journal.event import Lane
from engagement.journal.malformed import MalformedBatch
from engagement.journal.tip import Epoch, LaneTip, first_break
from tests.fakes.store_day import lane_entries

EPOCH = Epoch("00ff12345678abcd")
AGENT = AgentName("harbour-1")
DAY = lane_entries(Lane.MONEY, seed=7, shoppers=40)
CHECK_BYTES = 8
# An example takes milliseconds; a busy machine must not fail it.
unhurried = settings(deadline=None)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.text()
    | st.from_regex(r"[a-z]{0,3}[0-9]{0,20}-?[0-9a-z.]{0,20}", fullmatch=True)
    | st.uuids().map(str)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
WRITTEN = st.builds(
    lambda value, ascii_alone, spaced: json.dumps(
        value, ensure_ascii=ascii_alone, separators=None if spaced else (",", ":")
    ).encode(errors="replace"),
    JSON,
    st.booleans(),
    st.booleans(),
)
# Alike but for what fills the holes, as a journal's events are.
ALIKE = st.builds(
    lambda number, text, flag, fraction: json.dumps(
        {"what": "unheard_of", "n": number, "text": text, "flag": flag, "s": fraction}, separators=(",", ":")
    ).encode(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=12) | st.from_regex(r"[0-9]{6}-[0-9a-h]{12}", fullmatch=True),
    st.booleans(),
    st.floats(0, 1000),
)
REAL = st.sampled_from([entry.body for entry in DAY])
BODIES = st.lists(REAL | ALIKE | WRITTEN | st.binary(max_size=60), min_size=1, max_size=30)
STAMPS = st.tuples(st.integers(-(2**62), 2**62 - 1), st.integers(0, 2**62 - 1)) | st.tuples(
    st.integers(1_790_000_000_000, 1_790_000_100_000), st.integers(0, 3)
)


def chained(bodies: Sequence[bytes], stamps: Sequence[tuple[int, int]], first_seq: int = 1) -> Batch:
    head, entries = CHAIN_START, []
    for seq, (body, stamp) in enumerate(zip(bodies, stamps, strict=True), start=first_seq):
        head = chain(head, body)
        entries.append(Entry(lane=Lane.MONEY, seq=seq, stamp=HybridTime(*stamp), body=body, head=head))
    return Batch(AGENT, EPOCH, Lane.MONEY, first_seq, CHAIN_START, tuple(entries))


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    bodies = draw(BODIES)
    stamps = draw(st.lists(STAMPS, min_size=len(bodies), max_size=len(bodies)))
    return chained(bodies, stamps, draw(st.integers(1, 2**61)))


@unhurried
@given(batches(), st.booleans())
def test_any_batch_comes_back_as_it_was(batch: Batch, by_name: bool) -> None:
    back = decode_batch(encode_batch(batch, by_name=by_name), entries_max=len(batch.entries))
    assert back == batch
    assert first_break(back.entries, LaneTip(batch.first_seq - 1, batch.previous_head)) is None


@unhurried
@given(st.sets(st.integers(1, len(DAY) - 1)))
def test_any_cutting_of_a_journal_gives_the_same_entries(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(DAY)]
    back: list[Entry] = []
    for start, end in pairwise(edges):
        head = DAY[start - 1].head if start else CHAIN_START
        batch = Batch(AGENT, EPOCH, Lane.MONEY, start + 1, head, DAY[start:end])
        back += decode_batch(encode_batch(batch), entries_max=len(DAY)).entries
    assert tuple(back) == DAY


@unhurried
@given(st.binary(max_size=300))
def test_random_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedBatch):
        decode_batch(data, entries_max=500)


def spoilt(data: bytes, at: int, put: bytes, over: int) -> bytes:
    at %= len(data)
    return data[:at] + put + data[at + over :]


def read_forged(data: bytes) -> Batch | None:
    """As a forger would send it: with the check that the receiver says it expects."""
    try:
        return decode_batch(data, entries_max=50)
    except MalformedBatch as error:
        if error.field != "check":
            return None
        return decode_batch(data[:-CHECK_BYTES] + bytes.fromhex(error.allowed), entries_max=50)


@unhurried
@given(batches(), st.integers(0), st.binary(max_size=4), st.integers(0, 8))
def test_a_spoilt_batch_never_passes_for_another(batch: Batch, at: int, put: bytes, over: int) -> None:
    data = encode_batch(batch)
    changed = spoilt(data, at, put, over)
    if changed != data:
        with pytest.raises(MalformedBatch):
            decode_batch(changed, entries_max=50)


@unhurried
@given(batches(), st.integers(0), st.binary(max_size=4), st.integers(0, 8))
def test_a_forged_batch_is_malformed_or_a_chain_of_its_own(
    batch: Batch, at: int, put: bytes, over: int
) -> None:
    forged = read_forged(spoilt(encode_batch(batch), at, put, over))
    if forged is not None:
        assert first_break(forged.entries, LaneTip(forged.first_seq - 1, forged.previous_head)) is None
        changed = forged.previous_head != batch.previous_head or [e.body for e in forged.entries] != [
            e.body for e in batch.entries
        ]
        assert changed == (forged.last_head != batch.last_head)


@unhurried
@given(batches(), st.binary(max_size=200))
def test_columns_of_noise_raise_nothing_else(batch: Batch, noise: bytes) -> None:
    """Behind a whole beginning, so that every column is reached."""
    start = encode_batch(batch)[: 1 + 1 + len(AGENT) + 8 + 1]
    read_forged(start + b"\x01" + bytes(32) + noise + bytes(CHECK_BYTES))
