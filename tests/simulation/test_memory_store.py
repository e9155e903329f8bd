"""The store in memory under power cuts, on virtual time."""

import asyncio
from random import Random

import pytest

from edge_agent.adapters.memory_store import MemoryStore, new_disk
from edge_agent.ports import StoreClosed, StoreFailed, StoreFull
from engagement.journal.event import Lane
from engagement.journal.tip import LaneTip, first_break
from engagement.ledger.record import Key
from tests.fakes.ledger import Counter, SeededEntropy, add, played
from tests.fakes.virtual_loop import run_virtually

HITS = Key(Counter, "hits")
COMMIT_S = 3600.0


def fresh_store() -> MemoryStore:
    return MemoryStore(new_disk(SeededEntropy()), commit_s=lambda: COMMIT_S)


async def count_in(store: MemoryStore) -> int:
    row = (await store.fetch([HITS])).get(HITS)
    return row.count if row else 0


@pytest.mark.parametrize("keeps_unacknowledged", [True, False])
def test_a_power_cut_keeps_what_was_acknowledged_and_the_group_in_hand_whole_or_not(
    keeps_unacknowledged: bool,
) -> None:
    async def cut() -> None:
        store = fresh_store()
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(store.run())
            assert await store.decide([HITS], add(HITS, events=(played(1),))) == 1
            in_hand = [tasks.create_task(failure_of(store)) for _ in range(3)]
            await asyncio.sleep(COMMIT_S / 2)
            in_line = tasks.create_task(failure_of(store))
            await asyncio.sleep(0)
            after = store.power_cut(keeps_unacknowledged=keeps_unacknowledged)
            await writer
        assert [task.result() for task in in_hand] == [StoreFailed] * 3
        assert in_line.result() is StoreClosed
        kept = 4 if keeps_unacknowledged else 1
        assert await count_in(after) == kept
        entries = await after.entries(Lane.ENGAGEMENT, after_seq=0, limit=99)
        assert [entry.seq for entry in entries] == list(range(1, kept + 1))
        assert first_break(entries, LaneTip()) is None
        assert after.epoch == store.epoch

    run_virtually(cut())


async def failure_of(store: MemoryStore) -> type[Exception]:
    with pytest.raises(StoreClosed) as raised:
        await store.decide([HITS], add(HITS, events=(played(1),)))
    return raised.type


def test_a_dead_store_takes_and_keeps_nothing_more() -> None:
    async def cut() -> None:
        store = fresh_store()
        after = store.power_cut(keeps_unacknowledged=True)
        with pytest.raises(StoreClosed):
            await store.decide([HITS], add(HITS))
        with pytest.raises(StoreClosed):
            await store.fetch([HITS])
        assert await count_in(after) == 0

    run_virtually(cut())


def test_one_commit_is_shared_by_all_who_wait() -> None:
    async def share() -> float:
        store = fresh_store()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.run())
            await asyncio.gather(*(store.decide([HITS], add(HITS)) for _ in range(200)))
            await store.close()
        return asyncio.get_running_loop().time()

    assert run_virtually(share()) == COMMIT_S


def test_a_full_disk_takes_essential_decisions_alone() -> None:
    async def fill() -> None:
        store = fresh_store()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.run())
            busy = tasks.create_task(store.decide([HITS], add(HITS)))
            await asyncio.sleep(1)
            waiting = tasks.create_task(failure_when_full(store))
            await asyncio.sleep(0)
            store.fill_disk()
            with pytest.raises(StoreFull):
                await store.decide([HITS], add(HITS))
            assert await store.decide([HITS], add(HITS), essential=True) == 2
            assert (await busy, await waiting) == (1, True)
            store.free_disk()
            assert await store.decide([HITS], add(HITS)) == 3
            await store.close()

    run_virtually(fill())


async def failure_when_full(store: MemoryStore) -> bool:
    with pytest.raises(StoreFull):
        await store.decide([HITS], add(HITS))
    return True


def test_the_same_seed_gives_the_same_history() -> None:
    histories = [run_virtually(_stormy_history(seed)) for seed in (1, 1, 2)]
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


async def _stormy_history(seed: int) -> list[tuple[float, int]]:
    """Callers, and a power cut now and then: the instants and answers of all acknowledged decisions."""
    random = Random(seed)
    loop = asyncio.get_running_loop()
    store = MemoryStore(new_disk(SeededEntropy(seed)), commit_s=lambda: random.uniform(0.001, 0.1))
    told: list[tuple[float, int]] = []

    async def caller(store: MemoryStore) -> None:
        while True:
            told.append((loop.time(), await store.decide([HITS], add(HITS))))
            await asyncio.sleep(random.uniform(0, 0.2))

    for _ in range(20):
        living = [asyncio.create_task(store.run()), *(asyncio.create_task(caller(store)) for _ in range(5))]
        await asyncio.sleep(random.uniform(0, 3))
        after = store.power_cut(keeps_unacknowledged=random.random() < 0.5)
        for task in living:
            task.cancel()
        await asyncio.gather(*living, return_exceptions=True)
        store = after
        assert await count_in(store) >= max((count for _, count in told), default=0)
    return told
