"""Ships the journal to HQ: money first, oldest first within a lane, one batch at a time, until HQ has it.

Exactly once is HQ's mark and our numbers, so everything here may be repeated: a lost answer, a crash or an HQ that went
back only means to send again. Nothing is ever skipped; what HQ cannot take holds its own lane and no other.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from typing import ClassVar, Final

from edge_agent.ports import (
    BatchDiverged,
    BatchRefused,
    Clock,
    Entropy,
    LineBusy,
    LineDown,
    LineGap,
    LineRefused,
    Store,
    StoreFull,
    Uplink,
)
from edge_agent.services.backoff import backoff_s
from edge_agent.services.line import DIVERGED, MISSING, Line
from engagement.clock.moment import Moment, certainly_elapsed_ms
from engagement.ids import AgentName
from engagement.journal.batch import Batch
from engagement.journal.entry import CHAIN_START, Entry
from engagement.journal.event import Lane
from engagement.ledger.group import RecordUnreadable
from engagement.ledger.record import Key, Record, Ruling
from engagement.line.answers import BatchAnswer

_LOG = logging.getLogger(__name__)

# More would gain nothing on the wire and make HQ's longest transaction longer.
ENTRIES_MAX: Final = 500
# JSON of all events in a batch: 500 ordinary ones have 200 kB, and it packs to 64 kB even where nothing repeats.
BODIES_BYTES_MAX: Final = 256 * 1024
# Money goes out at once, after a breath in which the rest of the same purchase joins it.
_BREATH_S: Final = 0.1
# What is not money may wait so long: a batch of a few entries costs as much line as one of twenty.
_LOOK_S: Final = 10.0
# A lane with nothing to ship is tried so often: HQ sees that the store lives, and we see an HQ that lost entries of it,
# which the answers to other lanes do not tell.
_KNOCK_EVERY_S: Final = 300.0
# What HQ refuses for a reason that waiting does not cure is offered again so often, for a person may have cured it.
_REFUSED_S: Final = 600.0
# Going back at HQ's word is quick, but no endless race between two HQs that disagree.
_GAP_S: Final = 1.0
# Whoever is busy and names no time gets at least this.
_SLOT_MS_MIN: Final = 250
_CONTACT_KEPT_EVERY_MS: Final = 3_600_000


class ContactRecord(Record):
    """When HQ last answered, so that a box that loses power daily still notices a line that stays away."""

    kind: ClassVar[str] = "contact"
    moment: Moment


CONTACT_KEY: Final = Key(ContactRecord, "hq")


class Syncing:
    """One agent's way out. ``run()`` ships for good, ``last_sync()`` once more at the end."""

    def __init__(
        self, *, agent: AgentName, clock: Clock, entropy: Entropy, store: Store, uplink: Uplink, line: Line
    ) -> None:
        self._agent = agent
        self._clock = clock
        self._entropy = entropy
        self._store = store
        self._uplink = uplink
        self._line = line
        # Up to where each lane was shipped; behind what is confirmed when HQ asks for older entries again.
        self._shipped = dict(store.confirmed)
        self._held_until_s: dict[Lane, float] = {}
        self._not_before_s = clock.mono_s()
        # When HQ last answered to each lane. Not since it was away, or we were: it may have been put back meanwhile.
        self._heard_s = dict.fromkeys(Lane, -inf)
        self._returns = line.returns
        self._attempt = 0
        self._contact_kept: Moment | None = None

    async def run(self) -> None:
        """Ship until cancelled."""
        await self._recall_contact()
        await self._line.enrolled.wait()
        while True:
            batch = await self._next_batch() or await self._knock_if_due()
            if batch is None:
                await self._rest()
                continue
            stay_away_s = await self._ship(batch)
            await self._keep_contact()
            if self._line.enrolled.is_set():
                await asyncio.sleep(stay_away_s)
            else:
                await self._enrolled_within(stay_away_s)

    async def last_sync(self) -> None:
        """Ship what waits, until done or at the first trouble. The caller bounds the time."""
        if not self._line.enrolled.is_set() or self._clock.mono_s() < self._not_before_s:
            return
        while (batch := await self._next_batch()) is not None:
            if await self._ship(batch) > 0:
                return

    async def _enrolled_within(self, seconds: float) -> None:
        """HQ refused us: a new claim code may cure that at any time, or somebody at HQ without telling us."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._line.enrolled.wait()
        self._line.enrolled.set()

    async def _rest(self) -> None:
        """Until money is journaled, or another look is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                if Lane.MONEY in self._held_until_s:
                    await asyncio.sleep(_LOOK_S)
                await self._store.grown(Lane.MONEY, after_seq=self._shipped[Lane.MONEY])
                await asyncio.sleep(_BREATH_S)

    async def _next_batch(self) -> Batch | None:
        for lane in Lane:
            if self._held_until_s.get(lane, 0.0) > self._clock.mono_s():
                continue
            if self._shipped[lane] < self._last_seq(lane):
                batch = await self._batch_after(lane, self._shipped[lane], ENTRIES_MAX)
                if batch is not None:
                    return batch
                self._shipped[lane] = self._store.confirmed[lane]  # from where HQ may want it the next time
                self._hold(lane, MISSING)
        return None

    async def _knock_if_due(self) -> Batch | None:
        """The last entry that HQ has, once more: it changes nothing there, and shows whether HQ still has it."""
        if self._returns != self._line.returns:
            self._returns = self._line.returns
            self._heard_s = dict.fromkeys(Lane, -inf)
        now_s = self._clock.mono_s()
        for lane, confirmed in self._store.confirmed.items():
            is_due = now_s - self._heard_s[lane] >= _KNOCK_EVERY_S
            if not confirmed or not is_due or self._held_until_s.get(lane, 0.0) > now_s:
                continue
            if (batch := await self._batch_after(lane, confirmed - 1, 1)) is not None:
                return batch
        return None

    async def _batch_after(self, lane: Lane, after_seq: int, entries_max: int) -> Batch | None:
        """What follows; None when it, or the entry that it joins on to, is not there any more."""
        found = await self._store.entries(lane, after_seq=after_seq - 1, limit=entries_max + 1)
        head = CHAIN_START
        if after_seq:
            if not found or found[0].seq != after_seq:
                return None
            head, found = found[0].head, found[1:]
        if not found or found[0].seq != after_seq + 1:
            return None
        entries = _within(found[:entries_max], BODIES_BYTES_MAX)
        return Batch(self._agent, self._store.epoch, lane, after_seq + 1, head, entries)

    async def _ship(self, batch: Batch) -> float:
        """Answers for how many seconds to stay away; 0 to go on at once."""
        stay_away_s = await self._offer(batch)
        self._not_before_s = self._clock.mono_s() + stay_away_s
        return stay_away_s

    async def _offer(self, batch: Batch) -> float:
        try:
            answer = await self._uplink.ship(batch)
        except LineDown as down:
            return self._went_down(down.cause)
        except LineRefused as refused:
            return self._was_refused(refused)
        except LineBusy as busy:
            if busy.is_hqs_word:
                self._heard(batch.lane)
            else:
                self._note_down("something before HQ says that it is busy")
            return max(busy.slot_ms, _SLOT_MS_MIN) / 1000
        except LineGap as gap:
            self._heard(batch.lane)
            return self._go_back(batch, gap.expected)
        except BatchDiverged:
            self._heard(batch.lane)
            return self._hold(batch.lane, DIVERGED)
        except BatchRefused as refused:
            self._heard(batch.lane)
            return self._hold(batch.lane, refused.code, refused.detail)
        self._heard(batch.lane)
        return await self._acknowledged(batch, answer)

    async def _acknowledged(self, batch: Batch, answer: BatchAnswer) -> float:
        if answer.ack > self._last_seq(batch.lane):
            return self._hold(batch.lane, DIVERGED)
        if answer.ack < batch.first_seq:
            return self._go_back(batch, answer.ack + 1)
        self._release(batch.lane)
        self._tell_refused(batch.lane, answer)
        self._shipped[batch.lane] = max(answer.ack, self._shipped[batch.lane])
        try:
            await self._store.confirm(batch.lane, up_to_seq=answer.ack)
        except StoreFull:
            _LOG.debug("confirmation waits for room on the disk")
        return answer.slot_ms / 1000

    def _go_back(self, batch: Batch, expected: int) -> float:
        """HQ lacks entries that it once confirmed: it was restored from a backup. They are sent again.

        It may lack some of every other lane as well, so those are tried at once.
        """
        if not 1 <= expected < batch.first_seq:
            return self._hold(batch.lane, "gap", f"HQ waits for {expected}, sent was {batch.first_seq}")
        _LOG.warning("HQ lacks entries", extra={"lane": batch.lane.value, "expected": expected})
        self._shipped[batch.lane] = expected - 1
        for lane in set(Lane) - {batch.lane}:
            self._heard_s[lane] = -inf
        return _GAP_S

    def _went_down(self, cause: str) -> float:
        self._attempt += 1
        self._note_down(cause)
        return backoff_s(self._attempt, self._entropy.token(1))

    def _note_down(self, cause: str) -> None:
        if self._line.down_because is None:
            _LOG.info("HQ cannot be reached", extra={"cause": cause})
        self._line.down_because = cause

    def _was_refused(self, refused: LineRefused) -> float:
        if self._line.refused_code != refused.code:
            _LOG.warning("HQ refuses this agent", extra={"refusal": refused.code, "detail": refused.detail})
        self._line.refused_code, self._line.down_because = refused.code, None
        self._line.enrolled.clear()
        return _REFUSED_S

    def _heard(self, lane: Lane) -> None:
        if self._line.down_because is not None or self._line.refused_code is not None:
            _LOG.info("HQ is reached again")
        self._attempt = 0
        self._heard_s[lane] = self._clock.mono_s()
        self._line.reached(self._clock.now())

    def _hold(self, lane: Lane, code: str, detail: str = "") -> float:
        if self._line.held.get(lane) != code:
            _LOG.error("a lane is held", extra={"lane": lane.value, "refusal": code, "detail": detail})
        self._line.held[lane] = code
        self._held_until_s[lane] = self._clock.mono_s() + _REFUSED_S
        return 0.0

    def _release(self, lane: Lane) -> None:
        if self._held_until_s.pop(lane, None) is not None:
            del self._line.held[lane]
            _LOG.info("a lane goes out again", extra={"lane": lane.value})

    def _tell_refused(self, lane: Lane, answer: BatchAnswer) -> None:
        if answer.refused:
            first = answer.refused[0]
            self._line.refused_entries += len(answer.refused)
            extra = {
                "lane": lane.value,
                "count": len(answer.refused),
                "seq": first.seq,
                "refusal": first.code,
            }
            _LOG.warning("HQ keeps entries apart", extra=extra)

    def _last_seq(self, lane: Lane) -> int:
        return self._store.confirmed[lane] + self._store.backlog()[lane]

    async def _recall_contact(self) -> None:
        try:
            kept = (await self._store.fetch([CONTACT_KEY])).get(CONTACT_KEY)
        except RecordUnreadable:
            return
        if kept is not None and self._line.last_contact is None:
            self._contact_kept = self._line.last_contact = kept.moment

    async def _keep_contact(self) -> None:
        """At most hourly: it is worth no disk sync of its own more often."""
        last, kept = self._line.last_contact, self._contact_kept
        if last is None or (kept and certainly_elapsed_ms(kept, last) < _CONTACT_KEPT_EVERY_MS):
            return
        row = ContactRecord(id=CONTACT_KEY.id, moment=last)
        try:
            await self._store.decide([], lambda rows: Ruling(None, writes=(row,)))
        except StoreFull:
            _LOG.debug("contact not kept: the disk is full")
        else:
            self._contact_kept = last


def _within(entries: Sequence[Entry], bytes_max: int) -> tuple[Entry, ...]:
    """The first entries whose events have so many bytes together; at least one."""
    size = 0
    for count, entry in enumerate(entries):
        size += len(entry.body)
        if count and size > bytes_max:
            return tuple(entries[:count])
    return tuple(entries)
