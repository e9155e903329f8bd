"""Durable issues and redemptions per second on a slow disk, with group commit and with a commit per decision."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.result import Figure, against
from tests.bench.rig import Home, build_slow_sync, keep_ledger, running_agent

ROUNDS = 5
SYNC_US = 5_000
_SECONDS = 4.0
# Enough that no round runs out, at the fastest rate seen.
_COUPONS = 6_000
_PEER = "the same agent with a commit per decision"


def measure_durable(home: Home) -> list[Figure]:
    """Alternated rounds; every round of a kind starts from the same ledger."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        slow = {"LD_PRELOAD": str(build_slow_sync(folder)), "SLOW_SYNC_US": str(SYNC_US)}
        each_alone = {**slow, "BECKON_AGENT_COMMIT_BATCH_MAX": "1"}
        issues = [(_issue_rate(home, slow), _issue_rate(home, each_alone)) for _ in range(ROUNDS)]
        coupons = _issue_coupons(home, folder)
        redeems = [
            (_redeem_rate(home, slow, coupons), _redeem_rate(home, each_alone, coupons))
            for _ in range(ROUNDS)
        ]
    return [
        against(name, "1/s", [ours for ours, _ in rounds], _PEER, [theirs for _, theirs in rounds])
        for name, rounds in (("issue_durable_per_s", issues), ("redeem_durable_per_s", redeems))
    ]


@dataclass(frozen=True)
class _Coupons:
    """``ledger``: the agent's folder once all of them were issued."""

    codes: Path
    token: Path
    ledger: Path


def _issue_rate(home: Home, environment: dict[str, str]) -> float:
    with running_agent(home, begin_from=None, **environment):
        return float(_load(home, "issue", "--first", "100000", "--seconds", str(_SECONDS))["per_s"])


def _issue_coupons(home: Home, folder: Path) -> _Coupons:
    """On the fast disk: issuing them is no part of the measurement."""
    codes, token = folder / "codes.json", folder / "token"
    token.write_text(home.facts["till_token"])
    with running_agent(home):
        collected = _load(home, "collect", "--first", "1000", "--count", str(_COUPONS))
    codes.write_text(json.dumps(collected["codes"]))
    return _Coupons(codes, token, keep_ledger(home, "agent.issued"))


def _redeem_rate(home: Home, environment: dict[str, str], coupons: _Coupons) -> float:
    arguments = ("--codes", str(coupons.codes), "--token-file", str(coupons.token))
    with running_agent(home, begin_from=coupons.ledger, **environment):
        return float(_load(home, "redeem", *arguments, "--seconds", str(_SECONDS))["per_s"])


def _load(home: Home, work: str, *arguments: str) -> dict[str, Any]:
    command = [
        *(sys.executable, "-m", "tests.bench.tills", work),
        *("--guest-url", home.facts["shopper_https_url"]),
        *("--staff-url", home.facts["staff_api_url"]),
        *arguments,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
