"""Figures of the welcome page and of the agent's footprint: 200 phones at once, memory, start, weight."""

import json
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from tests.bench.result import Figure, against, percentile
from tests.bench.rig import Home, running_agent

PHONES = 200
ROUNDS = 10
_STARTS = 5
_PEER_HTTP_OFFSET, _PEER_HTTPS_OFFSET = 40, 41
# Memory is read once the start's own garbage has been collected and the radio has been heard for a while.
_IDLE_S = 10.0


def measure_portal(home: Home) -> list[Figure]:
    """Alternated rounds of joins at our agent and at the bare peer; memory before and after them."""
    ours: list[float] = []
    theirs: list[float] = []
    with running_agent(home) as agent:
        time.sleep(_IDLE_S)
        idle_mb = agent.anon_mb()
        http_port = home.port("shopper_url")
        warm = _crowd(http_port, 1)
        page_bytes = warm["page_bytes"]
        with _bare_portal(home, page_bytes) as peer_port:
            _crowd(peer_port, 1)
            for _ in range(ROUNDS):
                ours.append(_p99_s(_crowd(http_port, PHONES)))
                theirs.append(_p99_s(_crowd(peer_port, PHONES)))
        after_mb = agent.anon_mb()
    return [
        against(
            "portal_joins_200_p99_s", "s", ours, "bare aiohttp and uvloop, a page of the same size", theirs
        ),
        Figure("agent_anon_mb_idle", idle_mb, "MB"),
        Figure("agent_anon_mb_after_200", after_mb, "MB"),
        Figure("first_offer_kb", page_bytes / 1000, "kB"),
    ]


def measure_start(home: Home) -> list[Figure]:
    """From the start of the process to its first healthy answer; median."""
    starts: list[float] = []
    for _ in range(_STARTS):
        with running_agent(home) as agent:
            starts.append(agent.start_s)
    return [Figure("agent_start_s", median(starts), "s")]


def _p99_s(crowd: dict[str, Any]) -> float:
    if crowd["failures"]:
        raise RuntimeError(f"{crowd['failures']} of {PHONES} phones were not served")
    return percentile(crowd["durations_s"], 0.99)


def _crowd(http_port: int, count: int) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "tests.bench.phones",
        "--http-port",
        str(http_port),
        "--count",
        str(count),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def _bare_portal(home: Home, page_bytes: int) -> Iterator[int]:
    """The peer's http port."""
    settings = tomllib.loads(home.settings.read_text())
    base = home.port("shopper_url")
    http_port, https_port = base + _PEER_HTTP_OFFSET, base + _PEER_HTTPS_OFFSET
    command = [
        *(sys.executable, "-m", "tests.bench.bare_portal"),
        *("--http-port", str(http_port), "--https-port", str(https_port)),
        *("--page-bytes", str(page_bytes)),
        *("--certificate", settings["tls_certificate"], "--key", settings["tls_key"]),
    ]
    peer = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 30
        while not _listens(https_port):
            if time.monotonic() > deadline:
                raise RuntimeError("the peer did not start")
            time.sleep(0.01)
        yield http_port
    finally:
        peer.terminate()
        peer.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
