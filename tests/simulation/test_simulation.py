"""Seeded runs of one whole store through crashes, power cuts, full disks and clock jumps; every planted fault is caught.

A seed that fails here is run again with ``python -m tests.trials --seed N --runs 1``.
"""

import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.outcome import Outcome
from tests.simulation.run import simulate

SEEDS = range(8)
# Every planted fault shows within this many runs; most do in the first.
RUNS_MAX = 8
_ROOT = Path(__file__).parents[2]


@cache
def run(seed: int) -> Outcome:
    return simulate(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_told_is_ever_broken(seed: int) -> None:
    assert run(seed).violations == ()


def test_the_runs_contain_what_they_claim() -> None:
    seen = sum((run(seed).seen for seed in SEEDS), Counter[str]())
    rare = {
        "crash", "power cut", "disk", "full", "no answer", "wrong code", "undone", "order", "stop", "played",
        "refused", "issue refused", "accepted",
    }  # fmt: skip
    assert all(seen[kind] >= len(SEEDS) for kind in rare), seen


def test_one_seed_has_one_trace_in_every_process() -> None:
    program = "from tests.simulation.run import simulate; print(simulate(3).trace_hash)"
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=_ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert printed == {run(3).trace_hash}


def test_other_seeds_have_other_traces() -> None:
    assert len({run(seed).trace_hash for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    assert any(simulate(seed, MUTANTS[fault]).violations for seed in range(RUNS_MAX)), (
        f"an agent that {fault} went unnoticed for {RUNS_MAX} runs"
    )
