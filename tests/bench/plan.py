"""From a chain's inventory file to the printed plan: 10,000 branches with 100,000 beacons.

Measured from outside: `beckon plan` as its own process, against a real HQ that wants the chain already, but for every
hundredth branch, which has changed in the file. So the plan has read both sides whole. Beside it the first plan of all,
against an empty HQ. Peak memory is what the kernel says of the process. In between, the memory that HQ keeps of the chain.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.result import Figure
from tests.bench.rig import anon_mb
from tests.fakes.cloud_process import PASSWORD, USER, CloudHome, cloud, desk
from tests.house.tree import ROOT

_BRANCHES = 10_000
_BEACONS_EACH = 10
_CHANGED_EVERY = 100
_ROUNDS = 3
# HQ gives memory back within two seconds of a change.
_SETTLED_S = 5.0
_ZONES = ("entrance", "cafe", "checkout")


class _Round(NamedTuple):
    seconds: float
    mb: float
    lines: int


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as temporary:
        return asyncio.run(_measure(Path(temporary)))


async def _measure(folder: Path) -> list[Figure]:
    inventory = folder / "inventory.yaml"
    inventory.write_text("".join(_text(changed_every=0)), encoding="utf-8")
    (folder / "hq").mkdir()
    home = CloudHome(folder / "hq", laid_out=None)
    async with cloud(home, is_warm=False) as hq:
        first = [await _plan(home, inventory, folder) for _ in range(_ROUNDS)]
        await _apply(home)
        await asyncio.sleep(_SETTLED_S)
        assert hq.process is not None
        applied_mb = anon_mb(hq.process.pid)
        inventory.write_text("".join(_text(changed_every=_CHANGED_EVERY)), encoding="utf-8")
        rounds = [await _plan(home, inventory, folder) for _ in range(_ROUNDS)]
    assert {each.lines for each in first} == {_BRANCHES}
    assert {each.lines for each in rounds} == {_BRANCHES // _CHANGED_EVERY}
    return [
        Figure("plan_10k_branches_s", median(each.seconds for each in rounds), "s"),
        Figure("plan_10k_branches_mb", max(each.mb for each in rounds), "MB"),
        Figure("plan_10k_branches_first_s", median(each.seconds for each in first), "s"),
        Figure("plan_10k_branches_first_mb", max(each.mb for each in first), "MB"),
        Figure("cloud_anon_mb_10k_branches", applied_mb, "MB"),
    ]


def _text(*, changed_every: int) -> Iterator[str]:
    """As somebody's export would write it, a beacon on four lines."""
    yield "version: 1\n\nbranches:\n"
    for number in range(_BRANCHES):
        yield (
            f"  - name: Branch {number}\n    code: B{number:05d}\n    time_zone: Asia/Shanghai\n"
            "    languages: [zh-Hans, en]\n    currency: CNY\n    zones: [entrance, cafe, checkout]\n    beacons:\n"
        )
        for beacon in range(_BEACONS_EACH):
            has_moved = changed_every and number % changed_every == 0 and beacon == 0
            zone = _ZONES[(beacon + bool(has_moved)) % len(_ZONES)]
            yield (
                f"      - name: beacon-{beacon}\n        role: zone\n        zone: {zone}\n        ibeacon: "
                f"{{uuid: 5f2dd896-b886-4549-ae01-e41acd7a354a, major: {number}, minor: {beacon}}}\n"
            )
        yield (
            f"    agents:\n      - name: agent-{number}\n        number: {number + 1}\n        receivers:\n"
            "          - {adapter: hci0, zone: entrance, x_m: 1.0, y_m: 2.0}\n    tills: [till-1]\n"
        )


async def _apply(home: CloudHome) -> None:
    """With secrets that were drawn before: a first `apply` spends its time on 10,000 PINs, on purpose."""
    tills = [{"name": "till-1", "token_sha256": "0" * 64}]
    cashiers = [{"name": "cashier-1", "salt": "0" * 32, "pin_scrypt": "1" * 64}]
    steps = (
        {"step": "put_branch", "branch": _branch(number), "access": {"tills": tills, "cashiers": cashiers}}
        for number in range(_BRANCHES)
    )
    body = b'{"base": 0, "steps": [' + ",".join(map(json.dumps, steps)).encode() + b"]}"
    async with desk(home) as operator:
        await operator.sign_in(certify=False)
        status, answer = await operator.ask("POST", "/v1/estate/changes", raw=body)
        assert status == 200, answer


def _branch(number: int) -> dict[str, object]:
    """What the file says, without changes. As plain values, because this process's own memory must stay below that of
    the one it measures: Linux counts it to the child."""
    beacons = [
        {
            "name": f"beacon-{beacon}",
            "role": "zone",
            "zone": _ZONES[beacon % len(_ZONES)],
            "ibeacon": {"uuid": "5f2dd896-b886-4549-ae01-e41acd7a354a", "major": number, "minor": beacon},
        }
        for beacon in range(_BEACONS_EACH)
    ]
    receiver = {"adapter": "hci0", "zone": "entrance", "x_m": 1.0, "y_m": 2.0}
    return {
        "name": f"Branch {number}",
        "code": f"B{number:05d}",
        "time_zone": "Asia/Shanghai",
        "languages": ["zh-Hans", "en"],
        "currency": "CNY",
        "zones": list(_ZONES),
        "beacons": beacons,
        "agents": [{"name": f"agent-{number}", "number": number + 1, "receivers": [receiver]}],
        "tills": ["till-1"],
    }


async def _plan(home: CloudHome, inventory: Path, folder: Path) -> _Round:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BECKON_")} | {
        "BECKON_HQ_URL": home.url,
        "BECKON_HQ_CA": str(home.folder / "ca.pem"),
        "BECKON_HQ_USER": USER,
        "BECKON_HQ_PASSWORD": PASSWORD,
    }
    printed = folder / "plan.txt"
    return await asyncio.to_thread(_run, inventory, environment, printed)


def _run(inventory: Path, environment: dict[str, str], printed: Path) -> _Round:
    command = [sys.executable, "-m", "provisioning", "plan", str(inventory)]
    with printed.open("wb") as output:
        started_mono_s = time.monotonic()
        pid = os.posix_spawn(
            command[0],
            command,
            environment | {"PYTHONPATH": str(ROOT)},
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)],
        )
        _, status, usage = os.wait4(pid, 0)
        seconds = time.monotonic() - started_mono_s
    assert os.waitstatus_to_exitcode(status) == 0
    lines = printed.read_text(encoding="utf-8").splitlines()
    changed = sum(line.startswith(("  ~", "  +", "  -")) for line in lines)
    return _Round(seconds, usage.ru_maxrss * 1024 / 1e6, changed)
