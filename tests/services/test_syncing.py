"""What happens in the store reaches HQ exactly once and in order, whatever the line does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from edge_agent.adapters.memory_store import Disk, MemoryStore, new_disk
from edge_agent.ports import (
    BatchRefused,
    LineBusy,
    LineDown,
    LineRefused,
    Uplink,
)
from edge_agent.services.line import Line
from edge_agent.services.syncing import BODIES_BYTES_MAX, ENTRIES_MAX, Syncing
from engagement.ids import AgentName, CampaignId
from engagement.journal.batch import Batch
from engagement.journal.entry import Entry
from engagement.journal.event import CampaignStopped, Event, HealthChanged, Lane
from tests.fakes.ledger import SeededEntropy, health_changed, journal, moment, played
from tests.fakes.line_to_hq import CalmLine, FakeHq, StormyLine
from tests.fakes.premises import LoopClock
from tests.fakes.storm import Storm
from tests.fakes.virtual_loop import run_virtually, until

AGENT = AgentName("harbour-1")
HOUR_S = 3600


def money(number: int) -> Event:
    return CampaignStopped(
        moment=moment(1_790_000_000_000 + number),
        campaign=CampaignId("shake"),
        by=f"till {number}",
        honour_issued=True,
    )


@dataclass
class Box:
    store: MemoryStore
    syncing: Syncing
    line: Line
    clock: LoopClock

    async def put(self, *events: Event) -> None:
        await self.store.decide([], journal(*events))

    @property
    def backlog(self) -> int:
        return sum(self.store.backlog().values())

    def trouble_codes(self) -> set[str]:
        return {trouble.code for trouble in self.line.troubles(self.clock.now())}


@asynccontextmanager
async def boxed(uplink: Uplink, disk: Disk | None = None, *, starts: bool = True) -> AsyncIterator[Box]:
    clock = LoopClock()
    store = MemoryStore(disk or new_disk(SeededEntropy()), commit_s=lambda: 0.01)
    line = Line(clock.now())
    line.enrolled.set()
    syncing = Syncing(
        agent=AGENT, clock=clock, entropy=SeededEntropy(), store=store, uplink=uplink, line=line
    )
    writer = asyncio.ensure_future(store.run())
    shipping = asyncio.ensure_future(syncing.run() if starts else asyncio.sleep(0))
    try:
        yield Box(store, syncing, line, clock)
    finally:
        shipping.cancel()
        (ended,) = await asyncio.gather(shipping, return_exceptions=True)
        await store.close()
        await writer
    if isinstance(ended, Exception):
        raise ended


def on_virtual_time(story: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        run_virtually(story())

    test.__name__ = story.__name__
    return test


@on_virtual_time
async def test_money_is_at_hq_within_two_seconds() -> None:
    hq = FakeHq()
    async with boxed(CalmLine(hq)) as box:
        await asyncio.sleep(1234.5)
        await box.put(money(1))
        assert await until(lambda: hq.seqs(Lane.MONEY) == [1], 2) < 1
        assert await until(lambda: box.backlog == 0, 1) < 1
        assert box.line.last_contact_ms is not None


@on_virtual_time
async def test_what_is_not_money_follows_within_seconds() -> None:
    hq = FakeHq()
    async with boxed(CalmLine(hq)) as box:
        await asyncio.sleep(100)
        await box.put(played(1), health_changed())
        await until(lambda: box.backlog == 0, 15)


@on_virtual_time
async def test_after_an_outage_money_goes_first_and_new_money_before_old_telemetry() -> None:
    hq = FakeHq()
    line = CalmLine(hq, trouble=lambda batch: LineDown("no line"))
    async with boxed(line) as box:
        await box.put(
            *(health_changed() for _ in range(3 * ENTRIES_MAX)), *(played(play) for play in range(3))
        )
        await box.put(*(money(number) for number in range(ENTRIES_MAX + 1)))
        await asyncio.sleep(HOUR_S)
        line.trouble = lambda batch: None
        await until(lambda: Lane.TELEMETRY in hq.arrived, 60)
        await box.put(money(0))
        await until(lambda: box.backlog == 0, 60)
    first = [Lane.MONEY, Lane.MONEY, Lane.ENGAGEMENT, Lane.TELEMETRY]
    assert hq.arrived[:4] == first
    assert Lane.MONEY in hq.arrived[4:-1]
    assert hq.seqs(Lane.TELEMETRY) == list(range(1, 3 * ENTRIES_MAX + 1))


@on_virtual_time
async def test_batches_are_bounded_in_entries_and_in_bytes() -> None:
    hq, issue = FakeHq(), "x" * 2000
    async with boxed(CalmLine(hq), starts=False) as box:
        await box.put(*(money(number) for number in range(2 * ENTRIES_MAX)))
        await box.put(*(HealthChanged(moment=moment(), status="ok", issues=(issue,)) for _ in range(400)))
        await box.syncing.last_sync()
        entries = await box.store.entries(Lane.TELEMETRY, after_seq=0, limit=1000)
    assert hq.sizes[:2] == [ENTRIES_MAX, ENTRIES_MAX]
    assert max(hq.sizes[2:]) * len(entries[0].body) <= BODIES_BYTES_MAX
    assert hq.seqs(Lane.TELEMETRY) == list(range(1, 401))


@on_virtual_time
async def test_a_line_that_is_away_is_tried_ever_more_slowly() -> None:
    hq = FakeHq()
    line = CalmLine(hq, trouble=lambda batch: LineDown("no line"), takes_s=0)
    async with boxed(line) as box:
        await box.put(money(1))
        await asyncio.sleep(23 * HOUR_S)
        assert len(line.asked_at_s) < 23 * HOUR_S / 14
        assert len([at for at in line.asked_at_s if at < 10]) >= 4
        assert box.trouble_codes() == set()
        await asyncio.sleep(HOUR_S + 60)
        assert box.trouble_codes() == {"line_down"}
        line.trouble = lambda batch: None
        await until(lambda: box.backlog == 0, 31)
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_a_box_that_loses_power_daily_still_notices_a_line_that_stays_away() -> None:
    disk = new_disk(SeededEntropy())
    async with boxed(CalmLine(FakeHq()), disk) as box:
        await box.put(money(1))
        await until(lambda: box.backlog == 0, 5)
    codes: set[str] = set()
    for _ in range(3):
        async with boxed(CalmLine(FakeHq(), trouble=lambda batch: LineDown("no line")), disk) as box:
            await box.put(money(2))
            await asyncio.sleep(9 * HOUR_S)
            codes = box.trouble_codes()
    assert codes == {"line_down"}


@on_virtual_time
async def test_a_busy_hq_is_left_alone_for_as_long_as_it_says() -> None:
    hq, busy = FakeHq(), [LineBusy(90_000), LineBusy(40_000)]
    line = CalmLine(hq, trouble=lambda batch: busy.pop(0) if busy else None, takes_s=0)
    async with boxed(line) as box:
        await box.put(money(1))
        await asyncio.sleep(60)
        await box.put(money(2))
        await until(lambda: box.backlog == 0, 200)
    gaps = [after - before for before, after in zip(line.asked_at_s, line.asked_at_s[1:], strict=False)]
    assert gaps == pytest.approx([90, 40], abs=0.1)


@on_virtual_time
async def test_a_proxy_that_is_busy_for_a_day_is_no_hq_that_is_reached() -> None:
    hq, is_gone = FakeHq(), True
    trouble = lambda batch: LineBusy(5_000, is_hqs_word=False) if is_gone else None  # noqa: E731
    async with boxed(CalmLine(hq, trouble=trouble, takes_s=0)) as box:
        await box.put(money(1))
        await asyncio.sleep(3600)
        assert box.trouble_codes() == set()
        await asyncio.sleep(25 * 3600)
        assert box.trouble_codes() == {"line_down"}
        is_gone = False
        await until(lambda: box.backlog == 0, 10)
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_a_slot_in_an_answer_is_kept_even_by_money_and_by_the_last_sync() -> None:
    hq = FakeHq()
    line = CalmLine(hq, on_answer=lambda answer: answer.model_copy(update={"slot_ms": 30_000}), takes_s=0)
    async with boxed(line) as box:
        await box.put(money(1))
        await until(lambda: box.backlog == 0, 5)
        await box.put(money(2))
        await asyncio.sleep(20)
        await box.syncing.last_sync()
        assert box.backlog == 1
        assert await until(lambda: box.backlog == 0, 11) > 5


@on_virtual_time
async def test_an_hq_that_went_back_gets_again_what_it_lost_even_when_nothing_new_happens() -> None:
    hq = FakeHq()
    async with boxed(CalmLine(hq)) as box:
        await box.put(money(1), money(2), played(1))
        await until(lambda: box.backlog == 0, 20)
        hq.back_up()
        await box.put(money(3), money(4))
        await until(lambda: box.backlog == 0, 20)
        hq.restore()
        assert hq.seqs(Lane.MONEY) == [1, 2]
        await until(lambda: hq.seqs(Lane.MONEY) == [1, 2, 3, 4], 400)
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_a_quiet_store_lets_hq_hear_of_it_and_changes_nothing_there() -> None:
    hq = FakeHq()
    line = CalmLine(hq)
    async with boxed(line) as box:
        await box.put(money(1))
        await asyncio.sleep(HOUR_S)
        assert 10 <= hq.asked <= 14
        assert hq.seqs(Lane.MONEY) == [1]
        now_ms = box.clock.now().wall_ms
        assert now_ms - (box.line.last_contact_ms or 0) < 400_000


@on_virtual_time
async def test_entries_that_are_gone_hold_their_lane_and_say_so() -> None:
    hq = FakeHq()
    async with boxed(CalmLine(hq)) as box:
        await box.put(*(played(play) for play in range(5)), money(1))
        await until(lambda: box.backlog == 0, 20)
        await box.store.prune(Lane.ENGAGEMENT, up_to_seq=4)
        hq.restore()
        await box.put(played(6), money(2))
        await until(lambda: hq.seqs(Lane.MONEY) == [1, 2], 30)
        await until(lambda: "journal_missing" in box.trouble_codes(), 30)
        await asyncio.sleep(HOUR_S)
        assert hq.seqs(Lane.ENGAGEMENT) == []
        assert box.store.backlog()[Lane.ENGAGEMENT] == 1


@on_virtual_time
async def test_a_journal_that_diverged_holds_its_lane_and_no_other() -> None:
    hq, disk = FakeHq(), new_disk(SeededEntropy())
    copied = Disk(epoch=disk.epoch, lease_number=disk.lease_number)
    async with boxed(CalmLine(hq), disk) as box:
        await box.put(money(1), money(2))
        await until(lambda: box.backlog == 0, 5)
    async with boxed(CalmLine(hq), copied) as box:
        await box.put(money(8), money(9), played(1))
        await until(lambda: box.trouble_codes() == {"journal_diverged"}, 5)
        await until(lambda: hq.seqs(Lane.ENGAGEMENT) == [1], 20)
        asked = hq.asked
        await asyncio.sleep(HOUR_S)
        assert hq.asked - asked < 30
        assert box.store.backlog()[Lane.MONEY] == 2


@on_virtual_time
async def test_an_hq_that_acknowledges_what_was_never_journaled_here_is_not_believed() -> None:
    line = CalmLine(FakeHq(), on_answer=lambda answer: answer.model_copy(update={"ack": 1000}))
    async with boxed(line) as box:
        await box.put(money(1))
        await until(lambda: box.trouble_codes() == {"journal_diverged"}, 5)
        assert box.backlog == 1


@on_virtual_time
async def test_a_batch_that_hq_cannot_use_holds_its_lane_until_it_can() -> None:
    hq = FakeHq()

    def refuse_money(batch: Batch) -> Exception | None:
        return BatchRefused("malformed_batch", "why") if batch.lane is Lane.MONEY else None

    line = CalmLine(hq, trouble=refuse_money)
    async with boxed(line) as box:
        await box.put(money(1), played(1))
        await until(lambda: hq.seqs(Lane.ENGAGEMENT) == [1], 20)
        assert box.trouble_codes() == {"line_refused"}
        line.trouble = lambda batch: None
        await until(lambda: box.backlog == 0, 700)
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_an_agent_that_hq_refuses_waits_and_comes_back_at_once_when_enrolled_anew() -> None:
    hq = FakeHq()
    line = CalmLine(hq, trouble=lambda batch: LineRefused("agent_revoked"))
    async with boxed(line) as box:
        await box.put(money(1))
        await asyncio.sleep(HOUR_S)
        assert len(line.asked_at_s) <= 8
        assert box.trouble_codes() == {"line_refused"}
        await box.syncing.last_sync()
        assert len(line.asked_at_s) <= 8
        line.trouble = lambda batch: None
        box.line.enrolled.set()
        await until(lambda: box.backlog == 0, 2)
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_entries_that_hq_keeps_apart_are_counted_and_hold_nothing() -> None:
    hq = FakeHq()
    refused = ({"seq": 1, "code": "event_unknown"},)
    line = CalmLine(
        hq, on_answer=lambda answer: type(answer).model_validate({"ack": answer.ack, "refused": refused})
    )
    async with boxed(line) as box:
        await box.put(money(1), money(2))
        await until(lambda: box.backlog == 0, 5)
        assert box.line.refused_entries == 1


@on_virtual_time
async def test_nothing_is_shipped_before_the_agent_is_enrolled() -> None:
    hq = FakeHq()
    async with boxed(CalmLine(hq)) as box:
        box.line.enrolled.clear()
        await box.put(money(1))
        await asyncio.sleep(HOUR_S)
        assert hq.asked == 0
        box.line.enrolled.set()
        await until(lambda: box.backlog == 0, 5)


@on_virtual_time
async def test_the_last_sync_ends_at_the_first_trouble() -> None:
    line = CalmLine(FakeHq(), trouble=lambda batch: LineDown("no line"))
    async with boxed(line, starts=False) as box:
        await box.put(money(1), played(1))
        await box.syncing.last_sync()
        assert len(line.asked_at_s) == 1


@pytest.mark.parametrize("seed", range(30))
def test_after_any_storm_hq_has_exactly_what_the_store_has(seed: int) -> None:
    run_virtually(_storm(Random(seed)))


async def _storm(dice: Random) -> None:
    """Hours of a bad line, crashes of the box, restarts and restores of HQ; then calm, and both sides must be equal."""
    hq, disk = FakeHq(), new_disk(SeededEntropy(dice.getrandbits(32)))
    storm = Storm(dice, refusals=[lambda: BatchRefused("malformed_batch")])
    line = StormyLine(hq, storm)
    for _ in range(4):
        async with boxed(line, disk) as box:
            await asyncio.wait(
                [asyncio.ensure_future(_trade(box, dice)), asyncio.ensure_future(_befall(hq, dice))]
            )
            if dice.random() < 0.5:
                # What the process knows dies with it; only the disk goes on.
                box.store.power_cut(keeps_unacknowledged=dice.random() < 0.5)
    storm.calm()
    async with boxed(line, disk) as box:
        await box.put(money(0), played(0), health_changed())
        await until(lambda: box.backlog == 0, 2 * HOUR_S)
        await asyncio.sleep(2 * HOUR_S)
        for lane in Lane:
            kept: list[Entry] = await box.store.entries(lane, after_seq=0, limit=10**6)
            assert hq.streams[(box.store.epoch, lane)] == kept, lane
        assert box.trouble_codes() == set()


async def _trade(box: Box, dice: Random) -> None:
    for number in range(dice.randrange(60)):
        events = dice.choices([money(number), played(number), health_changed()], k=dice.randrange(1, 40))
        await box.put(*events)
        await asyncio.sleep(dice.random() * 60)


async def _befall(hq: FakeHq, dice: Random) -> None:
    for _ in range(dice.randrange(4)):
        await asyncio.sleep(dice.random() * 600)
        hq.back_up()
        await asyncio.sleep(dice.random() * 600)
        if dice.random() < 0.5:
            hq.restore()
