"""An HQ that was restored gets back what it lost of every lane, whatever the other lanes are doing."""

import asyncio

from edge_agent.adapters.memory_store import new_disk
from engagement.journal.event import Lane
from tests.fakes.ledger import SeededEntropy, played
from tests.fakes.line_to_hq import CalmLine, FakeHq
from tests.fakes.virtual_loop import until
from tests.services.test_syncing import Box, boxed, money, on_virtual_time


async def lost_money(hq: FakeHq, box: Box) -> None:
    await box.put(money(1), played(1))
    await until(lambda: box.backlog == 0, 20)
    hq.back_up()
    await box.put(money(2))
    await until(lambda: box.backlog == 0, 20)
    hq.restore()


@on_virtual_time
async def test_lost_money_comes_back_though_another_lane_is_never_quiet() -> None:
    hq = FakeHq()
    async with boxed(CalmLine(hq)) as box:
        await lost_money(hq, box)
        for number in range(2, 20):
            await box.put(played(number))
            await asyncio.sleep(20)
        assert hq.seqs(Lane.MONEY) == [1, 2]
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_a_lane_that_lost_entries_has_the_others_looked_at_at_once() -> None:
    hq = FakeHq()
    async with boxed(CalmLine(hq)) as box:
        await box.put(money(1), played(1))
        await until(lambda: box.backlog == 0, 20)
        hq.back_up()
        await box.put(money(2), played(2))
        await until(lambda: box.backlog == 0, 20)
        hq.restore()
        await box.put(played(3))
        await until(lambda: hq.seqs(Lane.MONEY) == [1, 2], 30)
        assert hq.seqs(Lane.ENGAGEMENT) == [1, 2, 3]


@on_virtual_time
async def test_an_hq_that_was_away_is_looked_at_as_soon_as_it_answers() -> None:
    hq = FakeHq()
    async with boxed(CalmLine(hq)) as box:
        await lost_money(hq, box)
        box.line.down_because = "connection refused"
        box.line.reached(box.clock.now())
        await until(lambda: hq.seqs(Lane.MONEY) == [1, 2], 20)


@on_virtual_time
async def test_an_hq_that_was_put_back_while_the_store_was_off_is_looked_at_at_once() -> None:
    hq, disk = FakeHq(), new_disk(SeededEntropy())
    async with boxed(CalmLine(hq), disk) as box:
        await lost_money(hq, box)
    async with boxed(CalmLine(hq), disk):
        await until(lambda: hq.seqs(Lane.MONEY) == [1, 2], 20)
