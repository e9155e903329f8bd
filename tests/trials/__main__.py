"""Run the seeded simulation many times and write what came of it.

``out/trials.json`` depends on the seed alone; how long it took stands in ``out/trials.times.json``.
"""

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

from tests.simulation.chain.mutants import MUTANTS as CHAIN_MUTANTS
from tests.simulation.chain.run import LONG_HOURS, simulate_chain
from tests.simulation.mutants import MUTANTS
from tests.simulation.outcome import Outcome
from tests.simulation.run import simulate

# A planted fault that stays unseen for so many runs is a hole in the simulation.
_PLANTED_RUNS_MAX = 25
_OUT = Path("out")
# A long run takes five times as long as a short one.
_DAYS_DIVISOR = 5
# Violations quoted in the report; the rest repeats them.
_QUOTED_MAX = 10

Trial = dict[str, Any]
Run = Callable[[int], Outcome]


def well(name: str, run: Run, seed: int, runs: int) -> Trial:
    """Runs with seeds ``seed`` to ``seed + runs - 1``; the trace hash is over all of theirs."""
    outcomes: list[Outcome] = []
    for number in range(seed, seed + runs):
        outcomes.append(run(number))
        for violation in outcomes[-1].violations:
            print(f"seed {number}: {violation}", file=sys.stderr)
    violations = [f"seed {each.seed}: {text}" for each in outcomes for text in each.violations]
    events = sum((each.seen for each in outcomes), Counter[str]())
    return {
        "name": name,
        "seed": seed,
        "runs": runs,
        "violations": len(violations),
        "trace_hash": _hash_of(outcomes),
        "first_violations": violations[:_QUOTED_MAX],
        "events": dict(sorted(events.items())),
    }


def planted(fault: str, run: Run, seed: int) -> Trial:
    """Runs until the planted fault is seen; that it stays unseen is the violation."""
    outcomes: list[Outcome] = []
    while not (outcomes and outcomes[-1].violations) and len(outcomes) < _PLANTED_RUNS_MAX:
        outcomes.append(run(seed + len(outcomes)))
    seen = outcomes[-1].violations
    return {
        "name": f"planted fault: {fault}",
        "seed": seed,
        "runs": len(outcomes),
        "violations": 0 if seen else 1,
        "trace_hash": _hash_of(outcomes),
        "caught_by": seen[0] if seen else None,
    }


def _hash_of(outcomes: list[Outcome]) -> str:
    return sha256("\n".join(each.trace_hash for each in outcomes).encode()).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trials", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="first seed (default 1)")
    parser.add_argument("--runs", type=int, default=50, help="runs without a planted fault (default 50)")
    asked = parser.parse_args()
    if asked.runs < 1:
        parser.error(f"--runs: {asked.runs}, must be 1 or more")
    # What simulated programs complain of is what was done to them.
    logging.disable()
    seed, runs = asked.seed, asked.runs
    a_day = partial(simulate_chain, hours=LONG_HOURS)
    jobs: list[Callable[[], Trial]] = [
        lambda: well("one store, three days", simulate, seed, runs),
        lambda: well("a chain and its HQ, five hours", simulate_chain, seed, runs),
        lambda: well("a chain and its HQ, a day without a line", a_day, seed, max(1, runs // _DAYS_DIVISOR)),
        *(
            partial(planted, f"an agent that {fault}", partial(simulate, build=build), seed)
            for fault, build in MUTANTS.items()
        ),
        *(
            partial(planted, fault, partial(simulate_chain, build=build), seed)
            for fault, build in CHAIN_MUTANTS.items()
        ),
    ]
    trials: list[Trial] = []
    times: list[dict[str, Any]] = []
    for job in jobs:
        began_s = monotonic()
        trials.append(job())
        times.append({"name": trials[-1]["name"], "wall_s": round(monotonic() - began_s, 3)})
        print(f"{trials[-1]['name']}: {trials[-1]['violations']} violations in {trials[-1]['runs']} runs")
    _OUT.mkdir(exist_ok=True)
    for name, content in (("trials.json", trials), ("trials.times.json", times)):
        (_OUT / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return 1 if any(trial["violations"] for trial in trials) else 0


if __name__ == "__main__":
    sys.exit(main())
