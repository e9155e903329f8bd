"""What ``make trials`` writes of its runs, which scripts read."""

import json
from collections import Counter

from tests.simulation.outcome import Outcome
from tests.trials.__main__ import planted, well

KEYS = {"name", "seed", "runs", "violations", "trace_hash"}


def run(seed: int, *, broken_from: int = 3) -> Outcome:
    """Every seed from there on ends with a coupon too many."""
    violations = ("one coupon too many",) if seed >= broken_from else ()
    return Outcome(seed, violations, f"trace {seed}", Counter(issued=seed))


def test_runs_that_ought_to_go_well_are_counted_with_what_went_wrong() -> None:
    told = well("a store", run, 1, 4)
    assert set(told) > KEYS
    assert (told["name"], told["seed"], told["runs"], told["violations"]) == ("a store", 1, 4, 2)
    assert told["first_violations"] == ["seed 3: one coupon too many", "seed 4: one coupon too many"]
    assert told["events"] == {"issued": 10}


def test_a_planted_fault_is_run_until_it_is_seen_and_unseen_is_the_violation() -> None:
    told = planted("doubles", run, 1)
    assert set(told) > KEYS
    assert (told["runs"], told["violations"], told["caught_by"]) == (3, 0, "one coupon too many")
    unseen = planted("doubles", lambda seed: run(seed, broken_from=1000), 1)
    assert (unseen["violations"], unseen["caught_by"]) == (1, None)


def test_the_same_seed_gives_the_same_trace_and_the_same_file() -> None:
    assert json.dumps(well("a store", run, 1, 4)) == json.dumps(well("a store", run, 1, 4))
    hashes = {well("a store", run, seed, runs)["trace_hash"] for seed, runs in ((1, 4), (1, 3), (2, 4))}
    assert len(hashes) == 3
