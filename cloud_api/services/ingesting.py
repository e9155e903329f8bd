"""Takes batches: whoever signed, in any grouping and however often repeated, each entry counts exactly once.

An answer is given when what it confirms is durable. What cannot be taken is refused with a code and stays with the
agent; a bad event in a good batch is kept apart and holds nothing up. Beyond what can be worked on, agents are given
a slot and sent away before their bodies are read: their journals are the buffer.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from cloud_api.ports.machine import Clock, NotPacked, Packing
from cloud_api.ports.storage import Intake, KnownAgent, LaneKey, MarkMoved, Storage
from cloud_api.services.bookkeeping import book
from cloud_api.services.estate_view import EstateView
from cloud_api.services.pacing import Pace, finished, next_slot
from cloud_api.services.refused import Refused
from cloud_api.services.registry import Registry
from engagement.ids import AgentName
from engagement.journal.batch import Batch, decode_batch, encode_batch
from engagement.journal.entry import Entry
from engagement.journal.malformed import MalformedBatch, UnknownVocabulary
from engagement.journal.tip import LaneTip
from engagement.line.addresses import BATCH_ENTRIES_MAX, BATCH_UNPACKED_BYTES_MAX
from engagement.line.admission import Diverged, Gap, Known, admit
from engagement.line.answers import BatchAnswer, RefusedEntry
from engagement.line.signature import SignatureFault, SignatureRefused, claimed_sender, verify_headers

_LOG = logging.getLogger(__name__)

# A batch costs some ms of work and 1 MB while it is in hand; more at once would only wait for each other.
IN_HAND_MAX = 64
# Bodies that are arriving: 256 kB each at most.
READING_MAX = 1024
# An agent has one connection; a second stands for the one that it has just given up.
READING_OF_ONE_MAX = 4
# Up to here a batch waits for no other, so nobody needs to be spread out.
FREE_UNTIL = 8
# Marks remembered: one per lane and ledger file, 200 bytes each.
_MARKS_MAX = 100_000
# Another writer may raise a mark between our look and our write; twice in a row is a fault, not a race.
_RULINGS_MAX = 3


@dataclass
class Tallies:
    """Running totals since the start, for /metrics."""

    batches: int = 0
    entries: int = 0
    repeats: int = 0
    letters: int = 0
    sent_away: int = 0


class Ingesting:
    """One of it per cloud: it remembers marks and the pace."""

    def __init__(
        self, *, storage: Storage, registry: Registry, estate: EstateView, clock: Clock, packing: Packing
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._estate = estate
        self._clock = clock
        self._packing = packing
        self._marks: dict[LaneKey, LaneTip] = {}
        self._pace = Pace()
        self._last_finished_mono_s = 0.0
        self._reading: Counter[str] = Counter()
        self.in_hand = 0
        self.tallies = Tallies()

    @contextmanager
    def a_reading(self, method: str, target_uri: str, headers: Mapping[str, str]) -> Iterator[AgentName]:
        """Hold room for a body while it arrives; who signed its digest. Errors, before any of it is read: Refused
        overloaded, with a slot; SignatureRefused.

        Apart from a_place(), and a few for each agent, so that slow senders keep no other from being served; and for no
        name that is only claimed, or whoever knows an agent's name could hold all its room.
        """
        claimed = claimed_sender(headers)
        if self._registry.public_key_of(claimed) is None:
            raise SignatureRefused(
                SignatureFault.UNKNOWN_KEY, f"no agent {claimed!r} may speak here; enrol it"
            )
        if self._reading.total() >= READING_MAX or self._reading[claimed] >= READING_OF_ONE_MAX:
            raise self._overloaded()
        self._demand_place()
        sender = AgentName(
            verify_headers(method, target_uri, headers, public_key_of=self._registry.public_key_of)
        )
        self._reading[claimed] += 1
        try:
            yield sender
        finally:
            self._reading[claimed] -= 1
            if not self._reading[claimed]:
                del self._reading[claimed]

    @contextmanager
    def a_place(self) -> Iterator[None]:
        """Hold a place while a batch is worked on. Errors: Refused overloaded, with a slot."""
        self._demand_place()
        if self.in_hand == 0:
            self._last_finished_mono_s = self._clock.mono_s()  # what went before was idleness
        self.in_hand += 1
        try:
            yield
        finally:
            self.in_hand -= 1
            now_mono_s = self._clock.mono_s()
            if self.in_hand:
                self._pace = finished(self._pace, gap_s=now_mono_s - self._last_finished_mono_s)
            self._last_finished_mono_s = now_mono_s

    def _demand_place(self) -> None:
        if self.in_hand >= IN_HAND_MAX:
            raise self._overloaded()

    def _overloaded(self) -> Refused:
        self.tallies.sent_away += 1
        slot_ms = max(self._slot_ms(), 1)
        return Refused("overloaded", f"HQ is busy; come again in {slot_ms} ms", slot_ms=slot_ms)

    async def take(self, sender: AgentName, body: bytes) -> BatchAnswer:
        """Take one packed batch from whoever was shown to have sent it.

        Errors: Refused; StorageBusy; StorageFailed.
        """
        batch = self._read(body)
        enrolled = self._registry.find(sender)
        if enrolled is None or batch.agent != sender:
            raise Refused("agent_mismatch", f"agent {sender!r} sent a batch of agent {batch.agent!r}")
        async with enrolled.turn:
            answer = await self._settle(enrolled.known, batch, body)
        self._registry.heard_from(sender, self._clock.now_ms())
        return answer.model_copy(update={"slot_ms": self._slot_ms(finishing=1)})

    def _read(self, body: bytes) -> Batch:
        try:
            unpacked = self._packing.unpack(body, bytes_max=BATCH_UNPACKED_BYTES_MAX)
            return decode_batch(unpacked, entries_max=BATCH_ENTRIES_MAX)
        except NotPacked as error:
            raise Refused("not_packed", str(error)) from error
        except UnknownVocabulary as error:
            raise Refused("unknown_vocabulary", f"{error}; send it with all names spelt out") from error
        except MalformedBatch as error:
            raise Refused("malformed_batch", str(error)) from error

    async def _settle(self, agent: KnownAgent, batch: Batch, body: bytes) -> BatchAnswer:
        key = LaneKey(batch.agent, batch.lane, batch.epoch)
        for _ in range(_RULINGS_MAX):
            mark = self._marks.get(key) or await self._storage.mark(key)
            admitted = admit(mark, batch)
            if isinstance(admitted, Gap):
                self._remember(key, mark)
                raise Refused(
                    "gap",
                    f"entries from {admitted.expected} on are missing before {batch.first_seq}; send those first",
                    expected=admitted.expected,
                )
            if isinstance(admitted, Known) and await self._is_same(key, admitted):
                self.tallies.repeats += 1
                return BatchAnswer(ack=mark.seq)
            if isinstance(admitted, Known | Diverged):
                _LOG.error(
                    "an agent's history is another", extra={"agent": agent.name, "lane": batch.lane.value}
                )
                raise Refused(
                    "diverged",
                    f"the chain at {admitted.seq} is not the one that HQ has of epoch {batch.epoch}; keep it, and tell HQ",
                    ack=mark.seq,
                )
            if not admitted.entries:
                self.tallies.repeats += 1
                return BatchAnswer(ack=mark.seq)
            self._marks.pop(key, None)  # until it is known again how this one ended
            try:
                answer, after = await self._keep(agent, key, mark, batch, admitted.entries, body)
            except MarkMoved:
                continue
            self._remember(key, after)
            return answer
        raise Refused("overloaded", "the lane is being written by somebody else; come again", slot_ms=1000)

    async def _keep(
        self,
        agent: KnownAgent,
        key: LaneKey,
        mark: LaneTip,
        batch: Batch,
        entries: tuple[Entry, ...],
        body: bytes,
    ) -> tuple[BatchAnswer, LaneTip]:
        zone = self._estate.zone(agent.branch)
        if zone is None:
            raise Refused(
                "branch_unknown", f"HQ does not know branch {agent.branch!r}; keep it, and come again"
            )
        after = LaneTip(entries[-1].seq, entries[-1].head)
        is_whole = len(entries) == len(batch.entries)
        booked = book(entries, zone, written=batch.written if is_whole else ())
        await self._storage.keep(
            Intake(
                key=key,
                branch=agent.branch,
                before=mark,
                after=after,
                segment=body if is_whole else self._packed(batch, mark, entries),
                money=booked.money,
                letters=booked.letters,
                counts=booked.counts,
                received_ms=self._clock.now_ms(),
            )
        )
        self.tallies.batches += 1
        self.tallies.entries += len(entries)
        self.tallies.letters += len(booked.letters)
        refused = tuple(RefusedEntry(seq=letter.seq, code=letter.code) for letter in booked.letters)
        return BatchAnswer(ack=after.seq, refused=refused), after

    def _packed(self, batch: Batch, mark: LaneTip, entries: tuple[Entry, ...]) -> bytes:
        """The new part of a batch that was partly known, so that segments never overlap."""
        tail = Batch(batch.agent, batch.epoch, batch.lane, entries[0].seq, mark.head, entries)
        return self._packing.pack(encode_batch(tail))

    async def _is_same(self, key: LaneKey, known: Known) -> bool:
        """Whether HQ's own copy has this head at this seq."""
        segment = await self._storage.segment(key, known.seq)
        if segment is None:
            return False
        entries = self._read(segment).entries
        return entries[known.seq - entries[0].seq].head == known.head

    def _remember(self, key: LaneKey, mark: LaneTip) -> None:
        self._marks.pop(key, None)
        self._marks[key] = mark
        if len(self._marks) > _MARKS_MAX:
            del self._marks[next(iter(self._marks))]

    def _slot_ms(self, *, finishing: int = 0) -> int:
        """``finishing``: requests in hand that are as good as done."""
        self._pace, slot_ms = next_slot(
            self._pace,
            now_mono_s=self._clock.mono_s(),
            in_hand=self.in_hand - finishing,
            free_until=FREE_UNTIL,
        )
        return slot_ms
