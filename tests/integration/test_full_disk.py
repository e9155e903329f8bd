"""A volume that is really full: new decisions are refused, essential ones go on, and all resumes by itself."""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from edge_agent.adapters.ballast import SpaceLimits
from edge_agent.adapters.sqlite_store import SqliteStore, StoreOptions
from edge_agent.ports import StoreFull
from engagement.journal.event import Lane
from engagement.journal.tip import LaneTip, first_break
from engagement.ledger.record import Key, Rows, Ruling
from tests.eventually import eventually
from tests.fakes.ledger import Counter, HandClock, Note, add, played, put
from tests.fakes.store_places import SqlitePlace, running
from tests.needs import needs, needs_root

HITS = Key(Counter, "hits")
KIB = 1024
SPACE = SpaceLimits(ballast_bytes=1024 * KIB, full_below_bytes=512 * KIB, resume_above_bytes=1024 * KIB)
WATCHING = StoreOptions(look_every_s=0.02, checkpoint_pages=100, space=SPACE)
# Never looks, so that SQLite is the first to notice.
BLIND = StoreOptions(look_every_s=3600, checkpoint_pages=100, space=SPACE)


class RunningClock(HandClock):
    @override
    def mono_s(self) -> float:
        return time.monotonic()


class Volume:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, *, leave_bytes: int = 0) -> None:
        spare = self.folder / "spare"
        spare.write_bytes(bytes(leave_bytes))
        self._write_filler()
        spare.unlink()

    def _write_filler(self) -> None:
        with self._filler.open("ab", buffering=0) as filler:
            for size in (256 * KIB, 4 * KIB, 1):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    continue

    def free(self) -> None:
        self._filler.unlink()

    @property
    def free_bytes(self) -> int:
        seen = os.statvfs(self.folder)
        return seen.f_bavail * seen.f_frsize

    @property
    def ballast_bytes(self) -> int:
        ballast = self.folder / "ledger.db.ballast"
        return ballast.stat().st_blocks * 512 if ballast.exists() else 0


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    needs_root()
    folder = tmp_path / "volume"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False)
    needs("mounting a tmpfs", mounted.returncode == 0)
    try:
        yield Volume(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # also when a failing test left a file open


def place_on(volume: Volume, options: StoreOptions) -> SqlitePlace:
    return SqlitePlace(volume.folder, options=options, clock=RunningClock())


@asynccontextmanager
async def started(volume: Volume, options: StoreOptions) -> AsyncIterator[SqliteStore]:
    async with running(place_on(volume, options)) as store:
        await store.decide([HITS], add(HITS))
        assert not store.is_full
        assert volume.ballast_bytes == SPACE.ballast_bytes
        yield store


async def redeem(store: SqliteStore, number: int) -> int:
    """About as much as a redemption writes: two rows and an event."""

    def rule(rows: Rows) -> Ruling[int]:
        counted = add(HITS)(rows)
        note = Note(id=f"r{number:05}", text="x" * 300)
        return Ruling(counted.answer, writes=(*counted.writes, note), events=(played(number),))

    return await store.decide([HITS], rule, essential=True)


async def test_a_full_volume_refuses_new_decisions_and_still_redeems(volume: Volume) -> None:
    async with started(volume, WATCHING) as store:
        volume.fill()
        assert volume.free_bytes == 0
        await eventually(lambda: store.is_full, what="a full store")
        with pytest.raises(StoreFull):
            await store.decide([HITS], add(HITS))
        answers = [await redeem(store, number) for number in range(300)]
        assert answers == list(range(2, 302))
        assert store.is_full
        volume.free()
        await eventually(lambda: not store.is_full, what="a store that takes everything again")
        assert await store.decide([HITS], add(HITS)) == 302
        assert volume.ballast_bytes == SPACE.ballast_bytes
    await _check_journal(place_on(volume, WATCHING), 300)


async def test_a_group_that_meets_the_end_of_the_disk_keeps_its_essential_part(volume: Volume) -> None:
    async with started(volume, BLIND) as store:
        volume.fill()
        big = put(Note(id="big", text="x" * 600_000))
        answers = await asyncio.gather(
            store.decide([], big),
            redeem(store, 1),
            store.decide([], big),
            redeem(store, 2),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [StoreFull, int, StoreFull, int]
        assert volume.ballast_bytes == 0
        assert (await store.fetch([Key(Note, "big")])).get(Key(Note, "big")) is None
    await _check_journal(place_on(volume, BLIND), 2)


async def test_who_waits_behind_the_end_of_the_disk_is_refused_untried(volume: Volume) -> None:
    one_by_one = replace(BLIND, commit_batch_max=1)
    async with started(volume, one_by_one) as store:
        volume.fill(leave_bytes=256 * KIB)
        big = put(Note(id="big", text="x" * 600_000))
        answers = await asyncio.gather(
            store.decide([], big), store.decide([HITS], add(HITS)), redeem(store, 1), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [StoreFull, StoreFull, int]


async def test_what_is_not_essential_never_costs_the_ballast(volume: Volume) -> None:
    async with started(volume, BLIND) as store:
        volume.fill()
        with pytest.raises(StoreFull):
            await store.decide([], put(Note(id="big", text="x" * 600_000)))
        assert store.is_full
        assert volume.ballast_bytes == SPACE.ballast_bytes
        assert await redeem(store, 1) == 2


async def test_a_store_opens_and_redeems_on_a_full_volume(volume: Volume) -> None:
    async with started(volume, WATCHING):
        pass
    volume.fill()
    async with running(place_on(volume, WATCHING)) as store:
        assert store.is_full
        assert store.set_aside is None
        assert [await redeem(store, number) for number in range(50)] == list(range(2, 52))
        volume.free()
        await eventually(lambda: not store.is_full, what="a store that takes everything again")
        assert volume.ballast_bytes == SPACE.ballast_bytes


async def test_when_even_the_ballast_is_used_up_what_was_acknowledged_stays(volume: Volume) -> None:
    kept = 1
    async with started(volume, WATCHING) as store:
        volume.fill()
        await eventually(lambda: store.is_full, what="a full store")
        while (answer := await _redeem_or_full(store, kept)) is not None:
            kept = answer
        assert kept > 500
        volume.free()
        await eventually(lambda: not store.is_full, what="a store that takes everything again")
        assert await redeem(store, 100_001) == kept + 1
    await _check_journal(place_on(volume, WATCHING), kept)


async def _redeem_or_full(store: SqliteStore, number: int) -> int | None:
    try:
        return await redeem(store, number)
    except StoreFull:
        return None


async def _check_journal(place: SqlitePlace, count: int) -> None:
    async with running(place) as store:
        entries = await store.entries(Lane.ENGAGEMENT, after_seq=0, limit=10**6)
        assert [entry.seq for entry in entries] == list(range(1, count + 1))
        assert first_break(entries, LaneTip()) is None
