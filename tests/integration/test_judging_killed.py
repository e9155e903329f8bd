"""Judging dead letters, killed at any moment: each is a letter still or counts once, and in the end all count."""

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from cloud_api.ports.storage import DeadLetter, LetterPlace, Storage
from engagement.settlement.funnel import Counts, Measure, SumKey
from tests.fakes import shop
from tests.fakes.cloud_storages import TODAY, intake, running_sqlite
from tests.fakes.happenings import issued
from tests.fakes.hq import AGENT, Journal, enrol
from tests.house.tree import ROOT

LETTERS = 1500
CLAIMED = SumKey(shop.campaign().id, Measure.CLAIMED)
SEED = 11
# So many chunks it may be ahead of what it told when the kill comes.
AHEAD = 5


async def _given(path: Path) -> None:
    journal = Journal()
    journal.add(*(issued(serial) for serial in range(1, LETTERS + 1)))
    letters = [DeadLetter(entry.seq, "event_unknown", entry.body) for entry in journal.entries()]
    async with running_sqlite(path) as storage:
        await enrol(storage, AGENT)
        await storage.keep(replace(intake(journal), money=(), letters=letters, counts=Counts()))


def _judge(path: Path, *, killed_after: int | None) -> int:
    """Judge in a process of its own, which is killed once it told of so many chunks; how many letters it told of."""
    command = [sys.executable, "-m", "tests.fakes.judging_child", str(path)]
    if killed_after is not None:
        command.append(str(killed_after + AHEAD))
    told = 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for chunk, line in enumerate(child.stdout, 1):
            told += int(line)
            if chunk == killed_after:
                child.kill()
                break
    return told


async def _counted(storage: Storage) -> int:
    """How many letters are gone, if they count, and each as itself."""
    left = await storage.letters(agent=None, after=LetterPlace(0, 0), limit=LETTERS)
    left_seqs = {kept.letter.seq for kept in left}
    for serial in random.Random(SEED).sample(range(1, LETTERS + 1), 200):
        lines = await storage.coupon_lines(1, serial)
        assert len(lines) == (0 if serial in left_seqs else 1)
    totals = await storage.totals(TODAY, TODAY, branch=None)
    assert totals.sums.get(CLAIMED, 0) == LETTERS - len(left)
    return LETTERS - len(left)


async def test_a_kill_in_the_middle_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hq.db"
    await _given(path)
    told = 0
    for killed_after in (1, 2, 5, 13, 40):
        told += _judge(path, killed_after=killed_after)
        async with running_sqlite(path) as storage:
            counted = await _counted(storage)
            assert told <= counted < LETTERS
            told = counted
    assert _judge(path, killed_after=None) == LETTERS - told
    async with running_sqlite(path) as storage:
        assert await _counted(storage) == LETTERS
