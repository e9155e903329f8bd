"""Confirmed entries stay for longer than HQ may need to ask for them again, and no longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge_agent.adapters.memory_store import MemoryStore
from edge_agent.ports import Store
from edge_agent.services.pruning import KEPT_ENTRIES_MAX, KEPT_MS, Pruning, next_marks, outlived_seq
from engagement.clock.moment import Moment
from engagement.journal.event import Lane
from tests.fakes.ledger import journal, moment, played
from tests.fakes.premises import LoopClock
from tests.fakes.store_places import MemoryPlace, running
from tests.fakes.virtual_loop import run_virtually

HOUR_S = 3600
HOUR_MS = 3_600_000
LANE = Lane.ENGAGEMENT
KEPT_S = KEPT_MS[LANE] / 1000


@asynccontextmanager
async def pruned() -> AsyncIterator[MemoryStore]:
    async with running(MemoryPlace()) as store:
        task = asyncio.ensure_future(Pruning(LoopClock(), store).run())
        try:
            yield store
        finally:
            task.cancel()


async def seqs(store: Store) -> list[int]:
    return [entry.seq for entry in await store.entries(LANE, after_seq=0, limit=10_000)]


def test_an_entry_goes_some_days_after_its_confirmation_and_the_last_two_stay() -> None:
    async def story() -> None:
        async with pruned() as store:
            await store.decide([], journal(*(played(play) for play in range(1300))))
            await asyncio.sleep(20 * 24 * HOUR_S)
            await store.confirm(LANE, up_to_seq=1200)
            await asyncio.sleep(KEPT_S - HOUR_S)
            assert len(await seqs(store)) == 1300
            await asyncio.sleep(8 * HOUR_S)
            assert await seqs(store) == list(range(1199, 1301))
            assert store.backlog()[LANE] == 100

    run_virtually(story())


def test_what_is_confirmed_day_by_day_goes_day_by_day() -> None:
    async def story() -> None:
        async with pruned() as store:
            for day in range(10):
                await store.decide([], journal(*(played(play) for play in range(10))))
                await store.confirm(LANE, up_to_seq=10 * day + 10)
                await asyncio.sleep(24 * HOUR_S)
            assert 20 <= len(await seqs(store)) <= 40

    run_virtually(story())


def test_money_stays_a_week() -> None:
    assert KEPT_MS[Lane.MONEY] == 7 * 24 * HOUR_MS


@dataclass
class Times:
    now: Moment

    def pass_ms(self, passed_ms: int) -> Moment:
        self.now = replace_moment(self.now, passed_ms)
        return self.now


def replace_moment(at: Moment, passed_ms: int) -> Moment:
    return at.model_copy(
        update={"wall_ms": at.wall_ms + passed_ms, "boottime_ms": at.boottime_ms + passed_ms}
    )


def test_a_clock_in_doubt_keeps_entries() -> None:
    then = moment()
    marks = next_marks((), 50, then)
    sure = replace_moment(then, KEPT_MS[LANE])
    assert outlived_seq(marks, 60, sure, KEPT_MS[LANE]) == 50
    rebooted = sure.model_copy(update={"boot_id": "next", "error_ms": HOUR_MS})
    assert outlived_seq(marks, 60, rebooted, KEPT_MS[LANE]) == 0
    years_back = rebooted.model_copy(update={"wall_ms": 0})
    assert outlived_seq(marks, 60, years_back, KEPT_MS[LANE]) == 0


def test_too_many_entries_go_whatever_the_clock_says() -> None:
    assert outlived_seq((), KEPT_ENTRIES_MAX + 7, moment(), KEPT_MS[LANE]) == 7


def test_marks_are_set_a_few_times_a_day_and_stay_few() -> None:
    times, marks = Times(moment()), next_marks((), 1, moment())
    assert next_marks(marks, 2, times.pass_ms(HOUR_MS)) == marks
    assert next_marks(marks, 1, times.pass_ms(24 * HOUR_MS)) == marks
    for confirmed in range(2, 1000):
        marks = next_marks(marks, confirmed, times.pass_ms(6 * HOUR_MS))
    assert marks[-1].seq == 999
    assert len(marks) == 64
