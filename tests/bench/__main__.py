"""``make bench``: every figure, side by side with its peer in the same run, into out/bench.json.

``python -m tests.bench portal start`` measures only the groups that are named.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import adverts, cloud, drain, ingest, plan, wire
from tests.bench.durable import measure_durable
from tests.bench.portal import measure_portal, measure_start
from tests.bench.result import Figure
from tests.bench.rig import Home, lay_home

OUT = Path("out/bench.json")

_GROUPS: dict[str, Callable[[Home], list[Figure]]] = {
    "portal": measure_portal,
    "start": measure_start,
    "durable": measure_durable,
    "adverts": lambda home: adverts.measure(),
    "wire": lambda home: wire.measure(),
    "plan": lambda home: plan.measure(),
    "ingest": lambda home: ingest.measure(),
    "drain": lambda home: drain.measure(),
    "cloud": lambda home: cloud.measure(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*_GROUPS, []], help="default: all")
    wanted = parser.parse_args().groups or list(_GROUPS)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as temporary:
        home = lay_home(Path(temporary) / "home")
        for group in wanted:
            for figure in _GROUPS[group](home):
                print(json.dumps(figure.as_json()))
                figures.append(figure)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([figure.as_json() for figure in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
