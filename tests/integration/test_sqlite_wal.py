"""A commit that was being written when the power went is never taken for a damaged log.

The states after a cut are modelled as SQLite leaves them: the header is synced by itself before the frames of a new
round; of the frames of the last commit each 512-byte sector is the old or the new one.
"""

import shutil
from itertools import pairwise
from pathlib import Path
from random import Random

from edge_agent.adapters.sqlite_store import StoreOptions
from edge_agent.adapters.sqlite_wal import has_lost_commits
from engagement.ledger.record import Key
from tests.fakes.ledger import Counter, Note, put
from tests.fakes.store_places import SqlitePlace, running

COMMITS = Key(Counter, "commits")
SECTOR = 512
HEADER = 32
SEED = 7


async def _images(folder: Path, commits: int) -> list[tuple[bytes, bytes]]:
    """File and log after each commit; the log starts over every few commits, above what it held before."""
    place = SqlitePlace(folder, options=StoreOptions(checkpoint_pages=30))
    images = []
    async with running(place) as store:
        for commit in range(1, commits + 1):
            note = Note(id=str(commit % 7), text="x" * (3_000 * (commit % 4)))
            await store.decide([], put(Counter(id="commits", count=commit), note))
            await store.fetch([COMMITS])  # waits for the checkpoint that the commit may have made due
            log = place.path.with_name("ledger.db-wal")
            images.append((place.path.read_bytes(), log.read_bytes()))
    return images


def _torn(before: bytes, after: bytes, random: Random) -> bytes:
    """The new header, and of all behind it a mixture of sectors."""
    length = random.choice([len(after), random.randint(min(len(before), len(after)), len(after))])
    mixed = bytearray(after[:length])
    for start in range(0, length, SECTOR):
        end = min(start + SECTOR, length)
        if random.random() < 0.3:
            mixed[start:end] = before[start:end].ljust(end - start, b"\0")
    mixed[:HEADER] = after[:HEADER]
    return bytes(mixed)


async def test_a_commit_torn_by_a_power_cut_is_no_damage(tmp_path: Path) -> None:
    random = Random(SEED)
    (tmp_path / "live").mkdir()
    images = await _images(tmp_path / "live", 40)
    log = tmp_path / "torn-wal"
    torn_states = 0
    for (_, before), (_, after) in pairwise(images):
        for _ in range(20):
            log.write_bytes(_torn(before, after, random))
            torn_states += log.read_bytes() != after
            assert not has_lost_commits(log)
    assert torn_states > 500


async def test_after_a_torn_commit_the_one_before_it_is_found(tmp_path: Path) -> None:
    random = Random(SEED)
    (tmp_path / "live").mkdir()
    images = await _images(tmp_path / "live", 40)
    for commit, ((file, before), (_, after)) in enumerate(pairwise(images), start=1):
        folder = tmp_path / str(commit)
        folder.mkdir()
        (folder / "ledger.db").write_bytes(file)
        (folder / "ledger.db-wal").write_bytes(_torn(before, after, random))
        async with running(SqlitePlace(folder)) as store:
            assert store.set_aside is None
            row = (await store.fetch([COMMITS])).get(COMMITS)
            assert row is not None
            assert row.count in (commit, commit + 1)
        shutil.rmtree(folder)
