"""The store in memory: the same semantics as the SQLite one, without files or threads, for virtual time.

``Disk`` is what survives a power cut; everything else of a MemoryStore is lost with it.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from edge_agent.ports import Entropy, StoreClosed, StoreFailed, StoreFull
from edge_agent.services.confirming import NO_MARKS, Confirming, Marks
from edge_agent.services.deciding import Decision, WaitingLine, judge
from engagement.journal.entry import Entry
from engagement.journal.event import Lane
from engagement.journal.tip import EMPTY, Epoch, Tip, unconfirmed
from engagement.ledger.group import Group, RecordUnreadable, read_row, show
from engagement.ledger.lease_number import draw_lease_number
from engagement.ledger.record import Address, Key, Record, Rows, Rule, Ruling

T = TypeVar("T")
R = TypeVar("R", bound=Record)


@dataclass(slots=True)
class Disk:
    """The durable half."""

    epoch: Epoch
    lease_number: int
    rows: dict[Address, str] = field(default_factory=dict)
    journal: dict[Lane, list[Entry]] = field(default_factory=lambda: {lane: [] for lane in Lane})
    confirmed: dict[Lane, int] = field(default_factory=dict)
    tip: Tip = EMPTY

    def keep(self, group: Group, marks: Marks = NO_MARKS) -> None:
        """Make a group durable with the marks that ride along, all of it at once."""
        for address, written in group.writes.items():
            if written is None:
                self.rows.pop(address, None)
            else:
                self.rows[address] = written.body
        for entry in group.entries:
            self.journal[entry.lane].append(entry)
        self.confirmed.update(marks.confirmed)
        for lane, seq in marks.pruned.items():
            journal = self.journal[lane]
            del journal[: bisect_right(journal, seq, key=lambda entry: entry.seq)]
        self.tip = group.tip


def new_disk(entropy: Entropy) -> Disk:
    """An empty disk with an epoch and a lease number of its own."""
    return Disk(epoch=Epoch(entropy.token(8).hex()), lease_number=draw_lease_number(entropy.token(8)))


class MemoryStore:
    """A Store whose commits take ``commit_s()`` seconds of the loop's time. ``run()`` is its writer."""

    def __init__(
        self,
        disk: Disk,
        *,
        commit_s: Callable[[], float] = lambda: 0.0,
        commit_batch_max: int = 512,
        waiting_max: int = 4096,
        set_aside: str | None = None,
    ) -> None:
        self._disk = disk
        self._commit_s = commit_s
        self._commit_batch_max = commit_batch_max
        self._waiting_max = waiting_max
        self._set_aside = set_aside
        self._line = WaitingLine(waiting_max=waiting_max)
        self._confirming = Confirming(disk.confirmed)
        self._has_grown = asyncio.Event()
        self._in_flight: tuple[Group, Marks, list[Decision]] | None = None
        self._unreadable: set[Address] = set()
        self._has_stopped = asyncio.Event()
        self._has_stopped.set()
        self._is_open = self._has_power = True
        self._is_full = False

    async def run(self) -> None:
        """Serve decisions until close() or cancelled; a group in hand is finished first."""
        self._has_stopped.clear()
        try:
            while not self._line.is_closed:
                await self._serve(await self._line.group(size_max=self._commit_batch_max))
        finally:
            self._line.close()
            self._has_stopped.set()

    async def _serve(self, decisions: list[Decision]) -> None:
        if self._is_full:
            for decision in decisions:
                if not decision.essential:
                    decision.refuse(StoreFull())
            decisions = [decision for decision in decisions if decision.essential]
        group = Group(rows=self._load(key for each in decisions for key in each.keys), tip=self._disk.tip)
        outcomes = judge(group, decisions)
        marks = self._confirming.marks()
        self._in_flight = (group, marks, decisions)
        try:
            if group.writes or group.entries or marks:
                await asyncio.sleep(self._commit_s())
        finally:
            if self._has_power:
                self._disk.keep(group, marks)
                self._confirming.made(marks)
                self._in_flight = None
                if group.entries:
                    self._has_grown.set()
                for outcome in outcomes:
                    outcome.tell()

    def _load(self, keys: Iterable[Key[Any]]) -> dict[Address, Any]:
        return {key.address: self._disk.rows.get(key.address) for key in keys}

    async def decide(self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool = False) -> T:
        return await self._line.ask(keys, rule, essential=essential, is_full=lambda: self._is_full)

    async def fetch(self, keys: Iterable[Key[Any]]) -> Rows:
        self._demand_open()
        asked = tuple(keys)
        return show(asked, self._load(asked))

    async def scan(self, of: type[R], *, after_id: str, limit: int) -> list[R]:
        self._demand_open()
        ids = sorted(row_id for kind, row_id in self._disk.rows if kind == of.kind and row_id > after_id)
        found: list[R] = []
        for row_id in ids:
            if len(found) >= limit:
                break
            key = Key(of, row_id)
            try:
                found.append(read_row(key, self._disk.rows[key.address]))
            except RecordUnreadable:
                self._unreadable.add(key.address)
        return found

    async def entries(self, lane: Lane, *, after_seq: int, limit: int) -> list[Entry]:
        self._demand_open()
        journal = self._disk.journal[lane]
        first = bisect_right(journal, after_seq, key=lambda entry: entry.seq)
        return journal[first : first + limit]

    async def grown(self, lane: Lane, *, after_seq: int) -> None:
        while self._disk.tip.lanes[lane].seq <= after_seq:
            self._has_grown.clear()
            await self._has_grown.wait()

    async def confirm(self, lane: Lane, *, up_to_seq: int) -> None:
        self._confirming.confirm(lane, up_to_seq, last_seq=self._disk.tip.lanes[lane].seq)
        await self.decide([], lambda rows: Ruling(None), essential=True)

    async def prune(self, lane: Lane, *, up_to_seq: int) -> None:
        self._confirming.prune(lane, up_to_seq)
        await self.decide([], lambda rows: Ruling(None), essential=True)

    @property
    def confirmed(self) -> Mapping[Lane, int]:
        return self._confirming.confirmed

    def backlog(self) -> Mapping[Lane, int]:
        return unconfirmed(self._disk.tip, self._confirming.confirmed)

    @property
    def epoch(self) -> Epoch:
        return self._disk.epoch

    @property
    def lease_number(self) -> int:
        return self._disk.lease_number

    @property
    def is_full(self) -> bool:
        return self._is_full

    @property
    def set_aside(self) -> str | None:
        return self._set_aside

    @property
    def is_log_too_long(self) -> bool:
        return False

    @property
    def unreadable_rows(self) -> int:
        return len(self._unreadable)

    def fill_disk(self) -> None:
        """From now on only essential decisions pass."""
        self._is_full = True

    def free_disk(self) -> None:
        """There is room again."""
        self._is_full = False

    async def close(self) -> None:
        """Take no more, finish the group in hand, and end run()."""
        self._line.close()
        await self._has_stopped.wait()
        self._is_open = False

    def power_cut(self, *, keeps_unacknowledged: bool) -> "MemoryStore":
        """Cut the power: a new store over what was durable. Cancel the tasks that used this one: it is dead.

        ``keeps_unacknowledged`` says whether the group that was being committed reached the disk, whole, or
        not at all; the simulation draws it.
        """
        self._is_open = self._has_power = False
        self._line.close()
        if self._in_flight is not None:
            group, marks, decisions = self._in_flight
            if keeps_unacknowledged:
                self._disk.keep(group, marks)
            for decision in decisions:
                decision.refuse(StoreFailed())
        return MemoryStore(
            self._disk,
            commit_s=self._commit_s,
            commit_batch_max=self._commit_batch_max,
            waiting_max=self._waiting_max,
            set_aside=self._set_aside,
        )

    def _demand_open(self) -> None:
        if not self._is_open:
            raise StoreClosed
