"""Random decisions give the same answers, rows and journal on disk and in memory."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.adapters.sqlite_store import StoreOptions
from engagement.journal.event import Lane
from engagement.ledger.record import Key, Rows, Ruling
from tests.fakes.ledger import Counter, Note, health_changed, played
from tests.fakes.store_places import MemoryPlace, RunStore, SqlitePlace, StorePlace, running

IDS = ["", "a", "a\0", "b", "é"]
COUNTERS = [Key(Counter, counter_id) for counter_id in IDS]
NOTES = [Key(Note, note_id) for note_id in IDS]
KEYS: list[Key[Any]] = [*COUNTERS, *NOTES]

keys = st.lists(st.sampled_from(KEYS), max_size=4)
records = st.one_of(
    st.builds(Counter, id=st.sampled_from(IDS), count=st.integers(-(2**70), 2**70)),
    st.builds(Note, id=st.sampled_from(IDS), text=st.text(max_size=8)),
)
events = st.one_of(
    st.builds(played, st.integers(0, 9), wall_ms=st.integers(0, 99)),
    st.builds(health_changed, wall_ms=st.integers(0, 99)),
)


class Oops(Exception):
    pass


@st.composite
def decisions(draw: st.DrawFn) -> tuple[list[Key[Any]], Callable[[Rows], Ruling[Any]]]:
    """A rule that answers what it read; some raise, some read what they did not ask for."""
    asked = draw(keys)
    read = draw(st.sampled_from([asked, asked, asked, KEYS[:1]]))
    raises = draw(st.integers(0, 9)) == 0
    writes = tuple(draw(st.lists(records, max_size=3)))
    deletes = tuple(draw(keys))
    journal = tuple(draw(st.lists(events, max_size=3)))

    def rule(rows: Rows) -> Ruling[Any]:
        seen = [rows.get(key) for key in read]
        if raises:
            raise Oops(repr(seen))
        return Ruling(seen, writes=writes, deletes=deletes, events=journal)

    return asked, rule


Sessions = list[list[list[tuple[list[Key[Any]], Callable[[Rows], Ruling[Any]]]]]]
# A session is a time between two openings; in it, waves of decisions come at once.
sessions = st.lists(st.lists(st.lists(decisions(), max_size=5), max_size=4), min_size=1, max_size=3)


async def history(place: StorePlace[RunStore], sessions: Sessions) -> list[object]:
    seen: list[object] = []
    for waves in sessions:
        async with running(place) as store:
            for wave in waves:
                seen += [_plain(each) for each in await _at_once(store, wave)]
                await _confirm_some(store)
            shown = await store.fetch(KEYS)
            seen += [shown.get(key) for key in KEYS]
            seen += [await store.scan(of, after_id="", limit=3) for of in (Counter, Note)]
            seen += [await store.entries(lane, after_seq=0, limit=99) for lane in Lane]
            seen += [store.backlog(), dict(store.confirmed)]
    return seen


async def _confirm_some(store: RunStore) -> None:
    """HQ has half of every lane, and a third of it is not needed here any more."""
    backlog = store.backlog()
    ends = {lane: confirmed + backlog[lane] for lane, confirmed in store.confirmed.items()}
    await asyncio.gather(*(store.confirm(lane, up_to_seq=end // 2) for lane, end in ends.items()))
    await asyncio.gather(*(store.prune(lane, up_to_seq=end // 3) for lane, end in ends.items()))


async def _at_once(store: RunStore, wave: list[tuple[list[Key[Any]], Any]]) -> list[object]:
    return list(await asyncio.gather(*(store.decide(*each) for each in wave), return_exceptions=True))


def _plain(answer: object) -> object:
    return (type(answer), str(answer)) if isinstance(answer, Exception) else answer


@settings(max_examples=60, deadline=None)
@given(
    sessions=sessions,
    cached_rows_max=st.sampled_from([0, 3, 2048]),
    commit_batch_max=st.sampled_from([1, 2, 512]),
)
def test_disk_and_memory_tell_the_same_history(
    sessions: Sessions, cached_rows_max: int, commit_batch_max: int
) -> None:
    options = StoreOptions(
        cached_rows_max=cached_rows_max, commit_batch_max=commit_batch_max, checkpoint_pages=20
    )
    with TemporaryDirectory() as folder:
        on_disk = asyncio.run(history(SqlitePlace(Path(folder), options=options), sessions))
    assert on_disk == asyncio.run(history(MemoryPlace(), sessions))
