"""``make bench``: every figure, side by side with its peer in the same run, into out/bench.json.

``python -m tests.bench portal start`` measures only the groups that are named.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.bench import adverts, cloud, drain, ingest, plan, sync_lag, wire
from tests.bench.durable import measure_durable
from tests.bench.portal import measure_portal, measure_start
from tests.bench.result import Figure
from tests.bench.rig import Home, lay_home

OUT = Path("out/bench.json")

# Each may ask for a home of `beckon up`, which is laid when the first does.
_GROUPS: dict[str, Callable[[Callable[[], Home]], list[Figure]]] = {
    "portal": lambda home: measure_portal(home()),
    "start": lambda home: measure_start(home()),
    "durable": lambda home: measure_durable(home()),
    "adverts": lambda home: adverts.measure(),
    "wire": lambda home: wire.measure(),
    "plan": lambda home: plan.measure(),
    "ingest": lambda home: ingest.measure(),
    "drain": lambda home: drain.measure(),
    "cloud": lambda home: cloud.measure(),
    "lag": lambda home: sync_lag.measure(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*_GROUPS, []], help="default: all")
    wanted = parser.parse_args().groups or list(_GROUPS)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as temporary:
        home = cache(lambda: lay_home(Path(temporary) / "home"))
        for group in wanted:
            for figure in _GROUPS[group](home):
                print(json.dumps(figure.as_json()))
                figures.append(figure)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([figure.as_json() for figure in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
