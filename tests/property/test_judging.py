"""Judging by columns is judging one by one, whatever an agent sends: the same events, the same entries kept apart."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engagement.journal.batch import decode_batch, encode_batch
from engagement.journal.entry import Entry
from engagement.journal.event import Event, Lane
from engagement.journal.event_columns import EventColumns
from engagement.journal.shapes import Written
from engagement.journal.vocabulary import INSTANT, NUMBER
from engagement.line.judging import Fault
from engagement.line.judging_columns import Judged, judge_entries
from tests.fakes.hq import Journal
from tests.fakes.store_day import store_day

# An example takes milliseconds; a busy machine must not fail it.
unhurried = settings(deadline=None)
DAY = [*store_day(seed=11, shoppers=30)]
BODIES = [event.model_dump_json().encode() for event in DAY]

Row = tuple[type[Event], int, Mapping[str, Any]]


def rows(columns: Iterable[EventColumns]) -> dict[int, Row]:
    found: dict[int, Row] = {}
    for each in columns:
        for at, seq in enumerate(each.seqs):
            fields = {name: (type(column[at]), column[at]) for name, column in each.fields.items()}
            assert seq not in found
            found[seq] = (each.kind, each.wall_ms[at], fields)
    return found


def kept_apart(judged: Judged) -> list[tuple[int, Fault]]:
    return [(entry.seq, fault) for entry, fault in judged.apart]


def assert_same(entries: Sequence[Entry], written: Sequence[Written]) -> Judged:
    """What judging by columns says, which is what judging one by one says."""
    alone, together = judge_entries(entries), judge_entries(entries, written)
    assert rows(together.columns) == rows(alone.columns)
    assert kept_apart(together) == kept_apart(alone)
    return together


def journal_of(lane: Lane, bodies: Iterable[bytes]) -> Journal:
    journal = Journal()
    for body in bodies:
        journal.add_raw(lane, body)
    return journal


def read_back(journal: Journal, lane: Lane) -> tuple[Sequence[Entry], Sequence[Written]]:
    batch = decode_batch(encode_batch(journal.batch(lane=lane)), entries_max=2000)
    return batch.entries, batch.written


def test_a_day_is_judged_by_columns_alone() -> None:
    """Or the speed that they are for would be lost without anybody's notice."""
    for lane in (Lane.MONEY, Lane.ENGAGEMENT):
        journal = Journal()
        journal.add(*(event for event in DAY if event.lane is lane))
        entries, written = read_back(journal, lane)
        judged = assert_same(entries, written)
        assert judged.apart == []
        assert len(judged.columns) == len(written)


SPOILT = st.tuples(
    st.sampled_from(BODIES),
    st.sampled_from([b":", b'"', b",", b"{", b"1", b"c", b"e", b"t", b"0"]),
    st.sampled_from(
        [
            b"",
            b'"',
            b"\\",
            b"\x01",
            b"\x00",
            b"-",
            b"1" * 15,
            b"1" * 40,
            b".5",
            b"null",
            b"\xff",
            b"\\u0000",
            b" ",
            b":",
        ]
    ),
    st.integers(1, 30),
).map(lambda of: of[2].join((of[1].join(of[0].split(of[1])[: of[3]]), b"".join(of[0].split(of[1])[of[3] :]))))
REPLACED = st.tuples(
    st.sampled_from(BODIES),
    st.sampled_from([b"true", b"false", b"CNY", b"0.0", b"enter", b"dwell", b":1", b"welcome"]),
).flatmap(
    lambda of: st.sampled_from(
        [
            b"1",
            b'"yes"',
            b"null",
            b"1e400",
            b"-0.0",
            b"leap",
            b":9" + b"9" * 14,
            b"a\\nb",
            b"\xe2\x82",
            b'"',
            b"[]",
        ]
    ).map(lambda new: of[0].replace(of[1], new, 1))
)


@unhurried
@given(
    st.sampled_from(Lane),
    st.lists(st.sampled_from(BODIES) | SPOILT | REPLACED | st.binary(max_size=40), min_size=1, max_size=12),
)
def test_any_journal_is_judged_the_same(lane: Lane, bodies: list[bytes]) -> None:
    assert_same(*read_back(journal_of(lane, bodies), lane))


ODD_TEXTS = (
    *(b"", b"CNY", b"till 1", b"enter", b"zone", b"dwell", b"null", b"1", b"true", b"false", b"True", b"[]"),
    *(b"0.0", b"12.345", b"01.5", b"1.", b".5", b"-0.5", b"1e5", b"1e400", b"123456789.0", b"1234567890.5"),
    *(b"1.0\n", b"0." + b"1" * 17, b"0." + b"1" * 30, b'","what":"played', b'"', b"\\u0000", b"\\", b"\\n"),
    *(b"a\nb", b"\n", b"\x00", b"\x1f", b"\x7f", b"\xff", b"\xe2\x82", b"\xed\xa0\x80", "茶".encode()),
)
ODD_NUMBERS = (
    *(0, 1, -1, 2**48 - 1, 2**48, 1 - 2**48, -(2**48), 2**62, 2**80, 10**30),
    *(221_845_392_000_000 - 1, 221_845_392_000_000),
)
TEXTS = (
    st.sampled_from(ODD_TEXTS)
    | st.binary(max_size=8)
    | st.text(max_size=8).map(lambda text: text.encode(errors="replace"))
)
NUMBERS = st.sampled_from(ODD_NUMBERS) | st.integers(-(2**80), 2**80)


def real_columns(lane: Lane) -> Sequence[Written]:
    journal = Journal()
    journal.add(*(event for event in DAY if event.lane is lane))
    return read_back(journal, lane)[1]


REAL = [(lane, written) for lane in (Lane.MONEY, Lane.ENGAGEMENT) for written in real_columns(lane)]


def assert_judged_the_same(lane: Lane, real: Written, columns: Sequence[Sequence[Any]]) -> None:
    bodies = [real.shape.template % row for row in zip(*columns, strict=True)]
    entries = journal_of(lane, bodies).entries(lane)
    assert_same(entries, [Written(real.shape, columns, range(len(bodies)), bodies)])


def test_an_odd_filling_in_any_hole_is_judged_by_what_it_reads_as() -> None:
    for lane, real in REAL:
        for at, hole in enumerate(real.shape.holes):
            for odd in ODD_NUMBERS if hole in (NUMBER, INSTANT) else ODD_TEXTS:
                columns: list[list[Any]] = [[*column[:2]] for column in real.columns]
                columns[at][-1] = odd
                assert_judged_the_same(lane, real, columns)


@st.composite
def forged(draw: st.DrawFn) -> tuple[Written, Sequence[Sequence[Any]]]:
    """Up to three events of one shape as they really are, but for some fillings that may be anything at all."""
    _, real = draw(st.sampled_from(REAL))
    count = draw(st.integers(1, min(3, len(real.places))))
    columns: list[list[Any]] = [[*column[:count]] for column in real.columns]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(columns) - 1))
        filling = draw(NUMBERS if real.shape.holes[at] in (NUMBER, INSTANT) else TEXTS)
        columns[at][draw(st.integers(0, count - 1))] = filling
    return real, columns


@unhurried
@given(forged(), st.sampled_from(Lane))
def test_any_fillings_are_judged_by_what_they_read_as(
    forged: tuple[Written, Sequence[Sequence[Any]]], lane: Lane
) -> None:
    assert_judged_the_same(lane, *forged)
