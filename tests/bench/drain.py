"""How long a thousand agents take to drain after an outage, against HQ working without a pause: on virtual time.

The agents are the real services/syncing.py with its backoff, each over a backlog of its own; HQ's door is the real
services/pacing.py in front of a worker that takes one batch after the other. Beside it the same door without slots, that
only says no: agents then come back by exponential backoff with jitter alone.
"""

import asyncio
from collections.abc import Sequence

from typing_extensions import override

from cloud_api.services.ingesting import FREE_UNTIL, IN_HAND_MAX
from cloud_api.services.pacing import Pace, finished, next_slot
from edge_agent.adapters.memory_store import MemoryStore, new_disk
from edge_agent.ports import HqDoor, LineBusy, LineDown, Uplink
from edge_agent.services.line import Line
from edge_agent.services.syncing import ENTRIES_MAX, Syncing
from engagement.ids import AgentName
from engagement.journal.batch import Batch
from engagement.journal.entry import Entry
from engagement.journal.event import Lane
from engagement.journal.tip import LaneTip, Tip
from engagement.line.answers import BatchAnswer, EnrolmentAnswer, EnrolmentRequest
from tests.bench.result import Figure
from tests.fakes.ledger import SeededEntropy
from tests.fakes.premises import LoopClock
from tests.fakes.store_day import lane_entries
from tests.fakes.virtual_loop import run_virtually

_AGENTS = 1000
_BATCHES_EACH = 12
# Long enough for every agent to have reached its longest backoff.
_OUTAGE_S = 600.0
# What HQ needs for a batch of 500 on one core.
_BATCH_S = 0.008
_WAY_S = 0.03
_SEED = 20261121
_PEER = "the same agents told only no: exponential backoff with jitter"


def measure() -> list[Figure]:
    ideal_s = _AGENTS * _BATCHES_EACH * _BATCH_S
    ours_s, theirs_s = (run_virtually(_drained_after_s(has_slots=has_slots)) for has_slots in (True, False))
    return [Figure("drain_ratio", ours_s / ideal_s, "1", _PEER, theirs_s / ideal_s)]


async def _drained_after_s(*, has_slots: bool) -> float:
    """From the end of the outage until HQ has everything."""
    entries = lane_entries(Lane.MONEY, seed=_SEED, shoppers=3000)[: ENTRIES_MAX * _BATCHES_EACH]
    door = _Door(has_slots=has_slots, awaited=_AGENTS * _BATCHES_EACH)
    async with asyncio.TaskGroup() as group:
        running: list[asyncio.Task[None]] = []
        for number in range(_AGENTS):
            store = _store(entries, SeededEntropy(number))
            running.append(group.create_task(store.run()))
            running.append(group.create_task(_agent(number, store, door).run()))
        await asyncio.sleep(_OUTAGE_S)
        door.is_up = True
        await door.has_all.wait()
        took_s = asyncio.get_running_loop().time() - _OUTAGE_S
        for task in running:
            task.cancel()
    return took_s


def _store(entries: Sequence[Entry], entropy: SeededEntropy) -> MemoryStore:
    """A day's money that waits. All agents share the entries, because nobody looks into them."""
    disk = new_disk(entropy)
    disk.journal[Lane.MONEY] = [*entries]
    disk.tip = Tip(
        {**disk.tip.lanes, Lane.MONEY: LaneTip(entries[-1].seq, entries[-1].head)}, entries[-1].stamp
    )
    return MemoryStore(disk)


def _agent(number: int, store: MemoryStore, door: "_Door") -> Syncing:
    clock = LoopClock()
    line = Line(clock.now())
    line.enrolled.set()
    return Syncing(
        agent=AgentName(f"agent-{number}"),
        clock=clock,
        entropy=SeededEntropy(number),
        store=store,
        uplink=door,
        line=line,
    )


class _Door(Uplink):
    """HQ as far as time goes: takes up to IN_HAND_MAX batches in hand, works on one after the other, paces whom it answers."""

    def __init__(self, *, has_slots: bool, awaited: int) -> None:
        self.is_up = False
        self.has_all = asyncio.Event()
        self._has_slots = has_slots
        self._awaited = awaited
        self._in_hand = 0
        self._worker = asyncio.Lock()
        self._pace = Pace()
        self._last_finished_s = 0.0

    @override
    async def ship(self, batch: Batch) -> BatchAnswer:
        await asyncio.sleep(_WAY_S)
        if not self.is_up:
            raise LineDown("nobody answers")
        if self._in_hand >= IN_HAND_MAX:
            if self._has_slots:
                raise LineBusy(max(self._slot_ms(self._in_hand), 1))
            raise LineDown("HQ says only no")
        await self._work()
        slot_ms = self._slot_ms(self._in_hand) if self._has_slots else 0
        await asyncio.sleep(_WAY_S)
        return BatchAnswer(ack=batch.entries[-1].seq, slot_ms=slot_ms)

    async def _work(self) -> None:
        if self._in_hand == 0:
            self._last_finished_s = self._now_s()
        self._in_hand += 1
        async with self._worker:
            await asyncio.sleep(_BATCH_S)
        self._in_hand -= 1
        if self._in_hand:
            self._pace = finished(self._pace, gap_s=self._now_s() - self._last_finished_s)
        self._last_finished_s = self._now_s()
        self._awaited -= 1
        if self._awaited == 0:
            self.has_all.set()

    def _slot_ms(self, in_hand: int) -> int:
        self._pace, slot_ms = next_slot(
            self._pace, now_mono_s=self._now_s(), in_hand=in_hand, free_until=FREE_UNTIL
        )
        return slot_ms

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    @override
    async def enrol(self, request: EnrolmentRequest, door: HqDoor | None) -> EnrolmentAnswer:
        raise LineDown("all are enrolled")
