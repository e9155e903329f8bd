"""One suite for both stores: what every service relies on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.adapters.sqlite_store import StoreOptions
from edge_agent.ports import Store, StoreClosed
from engagement.journal.event import Lane
from engagement.journal.tip import LaneTip, first_break
from engagement.ledger.group import RecordUnreadable
from engagement.ledger.record import Key, Rows, Ruling
from tests.fakes.ledger import (
    Counter,
    Note,
    StrictNote,
    add,
    health_changed,
    journal,
    linked,
    moment,
    played,
    put,
)
from tests.fakes.store_places import MemoryPlace, RunStore, SqlitePlace, StorePlace, running

HITS = Key(Counter, "hits")


@pytest.fixture(params=["memory", "memory one by one", "sqlite", "sqlite one by one", "sqlite without cache"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace[RunStore]:
    if request.param == "memory":
        return MemoryPlace()
    if request.param == "memory one by one":
        return MemoryPlace(commit_batch_max=1, waiting_max=8)
    options = {
        "sqlite": StoreOptions(),
        "sqlite one by one": StoreOptions(commit_batch_max=1, waiting_max=8),
        "sqlite without cache": StoreOptions(cached_rows_max=0),
    }
    return SqlitePlace(tmp_path, options=options[request.param])


@pytest.fixture
async def store(place: StorePlace[RunStore]) -> AsyncIterator[Store]:
    async with running(place) as opened:
        yield opened


async def text_of(store: Store, note_id: str) -> str | None:
    key = Key(Note, note_id)
    note = (await store.fetch([key])).get(key)
    return note.text if note else None


async def test_decisions_see_each_other_in_one_order(store: Store) -> None:
    answers = await asyncio.gather(*(store.decide([HITS], add(HITS)) for _ in range(500)))
    assert answers == list(range(1, 501))


async def test_a_rule_that_raises_leaves_nothing_and_harms_nobody(store: Store) -> None:
    def spoil(rows: Rows) -> Ruling[int]:
        raise ArithmeticError("spoilt")

    def spoil_late(rows: Rows) -> Ruling[int]:
        unstorable = Note(id="bad", text="\ud800")
        return Ruling(0, writes=(Counter(id="hits", count=-99), unstorable), events=(played(7),))

    answers = await asyncio.gather(
        store.decide([HITS], add(HITS)),
        store.decide([HITS], spoil),
        store.decide([HITS], spoil_late),
        store.decide([HITS], add(HITS)),
        return_exceptions=True,
    )
    assert [answers[0], answers[3]] == [1, 2]
    assert isinstance(answers[1], ArithmeticError)
    assert isinstance(answers[2], ValueError)
    assert await store.entries(Lane.ENGAGEMENT, after_seq=0, limit=10) == []


async def test_a_rule_that_raises_stop_iteration_still_answers_its_caller(store: Store) -> None:
    def exhausted(rows: Rows) -> Ruling[int]:
        return Ruling(next(iter([])))

    with pytest.raises(RuntimeError):
        await store.decide([HITS], exhausted)


async def test_a_rule_reads_nothing_outside_its_keys(store: Store) -> None:
    await store.decide([], put(Note(id="other", text="secret")))

    def peek(rows: Rows) -> Ruling[Note | None]:
        return Ruling(rows.get(Key(Note, "other")))

    with pytest.raises(KeyError):
        await store.decide([HITS], peek)


async def test_a_row_written_unnamed_is_seen_by_the_decision_that_names_it(store: Store) -> None:
    key = Key(Note, "n")

    def read(rows: Rows) -> Ruling[str | None]:
        note = rows.get(key)
        return Ruling(note.text if note else None)

    before, _, after = await asyncio.gather(
        store.decide([key], read), store.decide([], put(Note(id="n", text="new"))), store.decide([key], read)
    )
    assert (before, after) == (None, "new")


async def test_deletes(store: Store) -> None:
    key = Key(Counter, "gone")
    await store.decide([key], add(key))
    await store.decide([key], lambda rows: Ruling(None, deletes=(key, Key(Note, "never was"))))
    assert (await store.fetch([key])).get(key) is None
    assert await store.decide([key], add(key)) == 1


async def test_a_key_without_utf8_form_is_refused_to_its_caller_alone(store: Store) -> None:
    key = Key(Counter, "\ud800")
    answers = await asyncio.gather(
        store.decide([key], add(key)),
        store.decide([], lambda rows: Ruling(None, deletes=(key,))),
        store.decide([HITS], add(HITS)),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [UnicodeEncodeError, UnicodeEncodeError, int]


async def test_ids_may_hold_any_character(store: Store) -> None:
    odd = ["", "a\0b", "a", "'; --", "é", "e\u0301", "金", "\U0001f381"]
    await asyncio.gather(
        *(store.decide([Key(Note, note_id)], put(Note(id=note_id, text=repr(note_id)))) for note_id in odd)
    )
    assert [await text_of(store, note_id) for note_id in odd] == [repr(note_id) for note_id in odd]


async def test_scan_pages_through_a_kind_in_order_of_id(store: Store) -> None:
    ids = [f"{number:03}" for number in range(25)]
    await store.decide([], put(*(Note(id=note_id, text="x") for note_id in reversed(ids)), Counter(id="011")))
    seen: list[str] = []
    while page := await store.scan(Note, after_id=seen[-1] if seen else "", limit=10):
        seen += [note.id for note in page]
    assert seen == ids


async def test_an_unreadable_row_fails_the_decisions_that_name_it_and_no_others(store: Store) -> None:
    key = Key(StrictNote, "b")
    await store.decide([], put(Note(id="b", text="no number"), StrictNote(id="a", text=1)))
    answers = await asyncio.gather(
        store.decide([key], put()), store.decide([HITS], add(HITS)), return_exceptions=True
    )
    assert isinstance(answers[0], RecordUnreadable)
    assert answers[1] == 1
    with pytest.raises(RecordUnreadable):
        await store.fetch([key])


async def test_scan_passes_over_unreadable_rows_to_those_behind(store: Store) -> None:
    good = [StrictNote(id=f"{number}-good", text=number) for number in range(3)]
    bad = [Note(id=f"{number}-bad", text="no number") for number in range(3)]
    await store.decide([], put(*good, *bad))
    assert await store.scan(StrictNote, after_id="", limit=3) == good


async def test_entries_are_numbered_and_chained_per_lane_without_gaps(store: Store) -> None:
    await asyncio.gather(
        *(store.decide([HITS], add(HITS, events=(played(play), health_changed()))) for play in range(30))
    )
    for lane, count in ((Lane.ENGAGEMENT, 30), (Lane.TELEMETRY, 30), (Lane.MONEY, 0)):
        entries = await store.entries(lane, after_seq=0, limit=100)
        assert [entry.seq for entry in entries] == list(range(1, count + 1))
        assert first_break(entries, LaneTip()) is None
    assert store.backlog() == {Lane.MONEY: 0, Lane.ENGAGEMENT: 30, Lane.TELEMETRY: 30}


async def test_entries_come_in_pages_and_give_back_the_events(store: Store) -> None:
    events = [played(play) for play in range(7)]
    await store.decide([], journal(*events))
    pages = [await store.entries(Lane.ENGAGEMENT, after_seq=after, limit=3) for after in (0, 3, 6, 7)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [entry.event for page in pages for entry in page] == events


async def test_stamps_rise_strictly_although_the_clock_jumps_back(place: StorePlace[RunStore]) -> None:
    async with running(place) as store:
        await store.decide([], journal(played(1, wall_ms=5_000), health_changed(wall_ms=1_000)))
        await store.decide([], journal(played(2, wall_ms=4_000)))
    async with running(place) as store:
        await store.decide([], journal(health_changed(wall_ms=3_000)))
        entries = [entry for lane in Lane for entry in await store.entries(lane, after_seq=0, limit=9)]
    stamps = sorted(entry.stamp for entry in entries)
    assert stamps == [(5_000, 0), (5_000, 1), (5_000, 2), (5_000, 3)]


async def test_reopening_keeps_rows_journal_and_identity(place: StorePlace[RunStore]) -> None:
    async with running(place) as store:
        lease_number = store.lease_number
        await store.decide([HITS], add(HITS, 41, events=(linked("v1"),)))
    async with running(place) as store:
        assert store.lease_number == lease_number
        assert 1 <= lease_number < 2**24
        assert store.set_aside is None
        assert store.backlog()[Lane.ENGAGEMENT] == 1
        assert await store.decide([HITS], add(HITS, events=(linked("v2"),))) == 42
        entries = await store.entries(Lane.ENGAGEMENT, after_seq=0, limit=10)
    assert [entry.seq for entry in entries] == [1, 2]
    assert first_break(entries, LaneTip()) is None


async def test_cancelled_callers_break_nobody(store: Store) -> None:
    async with asyncio.TaskGroup() as tasks:
        callers = [tasks.create_task(store.decide([HITS], add(HITS))) for _ in range(60)]
        await asyncio.sleep(0)  # all stand in line now
        for caller in callers[::3]:
            caller.cancel()
    answers = [caller.result() for caller in callers if not caller.cancelled()]
    assert len(answers) == 40
    assert answers == sorted(set(answers))
    assert await store.decide([HITS], add(HITS)) > answers[-1]


async def test_a_caller_cancelled_during_the_commit_breaks_nobody(store: Store) -> None:
    async with asyncio.TaskGroup() as tasks:
        ruled = asyncio.Event()

        def tell(rows: Rows) -> Ruling[None]:
            ruled.set()
            return Ruling(None, writes=(Note(id="n", text="kept"),))

        caller = tasks.create_task(store.decide([], tell))
        await ruled.wait()
        caller.cancel()
        other = tasks.create_task(store.decide([HITS], add(HITS)))
    assert other.result() == 1


async def test_a_writer_that_is_cancelled_finishes_its_group_and_takes_no_more(
    place: StorePlace[RunStore],
) -> None:
    ruled = asyncio.Event()

    def count_and_tell(rows: Rows) -> Ruling[int]:
        ruled.set()
        return add(HITS)(rows)

    async with place.idle() as store:
        writer = asyncio.create_task(store.run())
        caller = asyncio.create_task(store.decide([HITS], count_and_tell))
        await ruled.wait()
        writer.cancel()
        late = asyncio.create_task(store.decide([HITS], add(HITS)))
        with pytest.raises(asyncio.CancelledError):
            await writer
        assert await caller == 1
        with pytest.raises(StoreClosed):
            await late
    async with running(place) as store:
        assert await store.decide([HITS], add(HITS, 0)) == 1


async def test_a_closed_store_takes_nothing(place: StorePlace[RunStore]) -> None:
    async with running(place) as store:
        await store.decide([HITS], add(HITS))
    with pytest.raises(StoreClosed):
        await store.decide([HITS], add(HITS), essential=True)
    with pytest.raises(StoreClosed):
        await store.fetch([HITS])
    with pytest.raises(StoreClosed):
        await store.scan(Counter, after_id="", limit=1)
    with pytest.raises(StoreClosed):
        await store.entries(Lane.MONEY, after_seq=0, limit=1)


async def test_closing_answers_everybody_and_keeps_what_it_acknowledged(place: StorePlace[RunStore]) -> None:
    async with asyncio.TaskGroup() as tasks, running(place) as store:
        callers = [tasks.create_task(_count_or_none(store)) for _ in range(6_000)]
        await callers[0]
    acknowledged = [count for caller in callers if (count := caller.result()) is not None]
    assert 0 < len(acknowledged) < len(callers)
    async with running(place) as store:
        assert await store.decide([HITS], add(HITS, 0)) == max(acknowledged)


async def _count_or_none(store: Store) -> int | None:
    try:
        return await store.decide([HITS], add(HITS))
    except StoreClosed:
        return None


async def test_the_moment_of_an_event_is_kept_as_it_was_recorded(store: Store) -> None:
    await store.decide([], journal(played(1, wall_ms=123)))
    (entry,) = await store.entries(Lane.ENGAGEMENT, after_seq=0, limit=1)
    assert entry.event.moment == moment(123)


async def test_what_hq_confirmed_is_no_backlog_and_stays_so(place: StorePlace[RunStore]) -> None:
    async with running(place) as store:
        await store.decide([], journal(*(played(play) for play in range(5)), health_changed()))
        await store.confirm(Lane.ENGAGEMENT, up_to_seq=3)
        assert store.confirmed == {Lane.MONEY: 0, Lane.ENGAGEMENT: 3, Lane.TELEMETRY: 0}
        assert store.backlog() == {Lane.MONEY: 0, Lane.ENGAGEMENT: 2, Lane.TELEMETRY: 1}
    async with running(place) as store:
        assert store.backlog()[Lane.ENGAGEMENT] == 2
        await store.decide([], journal(played(6)))
        assert store.backlog()[Lane.ENGAGEMENT] == 3


async def test_a_confirmation_never_goes_back(place: StorePlace[RunStore]) -> None:
    async with running(place) as store:
        await store.decide([], journal(*(played(play) for play in range(5))))
        await asyncio.gather(*(store.confirm(Lane.ENGAGEMENT, up_to_seq=seq) for seq in (2, 4, 3)))
        await store.confirm(Lane.ENGAGEMENT, up_to_seq=1)
        assert store.confirmed[Lane.ENGAGEMENT] == 4
    async with running(place) as store:
        await store.confirm(Lane.ENGAGEMENT, up_to_seq=2)
        assert store.confirmed[Lane.ENGAGEMENT] == 4


async def test_what_was_never_journaled_cannot_be_confirmed(store: Store) -> None:
    await store.decide([], journal(played(1)))
    with pytest.raises(ValueError, match="ends at 1"):
        await store.confirm(Lane.ENGAGEMENT, up_to_seq=2)
    with pytest.raises(ValueError, match="ends at 0"):
        await store.confirm(Lane.MONEY, up_to_seq=1)
    assert store.backlog()[Lane.ENGAGEMENT] == 1


async def test_pruning_deletes_confirmed_entries_alone_and_never_the_last_of_them(
    place: StorePlace[RunStore],
) -> None:
    async with running(place) as store:
        await store.decide([], journal(*(played(play) for play in range(9)), health_changed()))
        await store.prune(Lane.ENGAGEMENT, up_to_seq=9)
        await store.prune(Lane.MONEY, up_to_seq=1)
        assert await _seqs(store) == list(range(1, 10))
        await store.confirm(Lane.ENGAGEMENT, up_to_seq=6)
        await store.prune(Lane.ENGAGEMENT, up_to_seq=2)
        assert await _seqs(store) == list(range(3, 10))
        await store.prune(Lane.ENGAGEMENT, up_to_seq=9)
        assert await _seqs(store) == [6, 7, 8, 9]
        assert len(await store.entries(Lane.TELEMETRY, after_seq=0, limit=9)) == 1
    async with running(place) as store:
        assert store.set_aside is None
        assert await _seqs(store) == [6, 7, 8, 9]
        assert store.backlog()[Lane.ENGAGEMENT] == 3


async def test_a_lane_that_is_pruned_to_its_end_goes_on_from_there(place: StorePlace[RunStore]) -> None:
    async with running(place) as store:
        await store.decide([], journal(*(played(play) for play in range(4))))
        await store.confirm(Lane.ENGAGEMENT, up_to_seq=4)
        await store.prune(Lane.ENGAGEMENT, up_to_seq=4)
    async with running(place) as store:
        assert store.set_aside is None
        await store.decide([], journal(played(5)))
        entries = await store.entries(Lane.ENGAGEMENT, after_seq=0, limit=9)
        assert [entry.seq for entry in entries] == [4, 5]
        assert first_break(entries[1:], LaneTip(4, entries[0].head)) is None


async def _seqs(store: Store) -> list[int]:
    return [entry.seq for entry in await store.entries(Lane.ENGAGEMENT, after_seq=0, limit=99)]


async def test_whoever_waits_for_a_lane_to_grow_is_told_at_once(store: Store) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(store.grown(Lane.ENGAGEMENT, after_seq=after)) for after in (0, 1)]
        await store.decide([], journal(health_changed()))
        await asyncio.sleep(0)
        assert not any(waiter.done() for waiter in waiting)
        await store.decide([], journal(played(1)))
        await waiting[0]
        assert not waiting[1].done()
        await store.decide([], journal(played(2)))
    await store.grown(Lane.ENGAGEMENT, after_seq=1)
