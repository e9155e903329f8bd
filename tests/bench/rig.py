"""A real agent on a home that `beckon up` laid, with the environment that a measurement wants."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_START_S_MAX = 60.0
_POLL_S = 0.005
_AS_LAID = "agent-as-laid"


@dataclass(frozen=True)
class Home:
    """``facts``: what run.json said while the store was up; ``settings``: the agent's TOML file."""

    folder: Path
    facts: Mapping[str, Any]
    settings: Path

    def port(self, url_key: str) -> int:
        port: int | None = urlsplit(self.facts[url_key]).port
        assert port is not None
        return port


@contextmanager
def up_and_running(folder: Path) -> Iterator[Path]:
    """A store that `beckon up` runs on free ports, until the block ends; its run.json."""
    base_port = next(base for base in range(18_600, 60_000, 100) if not _in_use(base))
    environment = {**os.environ, "BECKON_HOME": str(folder), "BECKON_PORT": str(base_port)}
    up = subprocess.Popen(
        [sys.executable, "-m", "provisioning", "up"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        run_file = folder / "run.json"
        deadline = time.monotonic() + _START_S_MAX
        while not run_file.exists():
            if up.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"`beckon up` did not come up: exit code {up.poll()}")
            time.sleep(_POLL_S)
        yield run_file
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(30)


def lay_home(folder: Path) -> Home:
    """Let `beckon up` make a home, then stop it again: its agent has its bundle and its first rights, and nobody came yet."""
    with up_and_running(folder) as run_file:
        facts = json.loads(run_file.read_text())
    home = Home(folder, facts, next(folder.rglob("agent.toml")))
    keep_ledger(home, _AS_LAID)
    return home


def _in_use(base_port: int) -> bool:
    """Whether anybody listens on a port that the store or a measurement's peer would take."""
    for port in range(base_port, base_port + 60):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                return True
    return False


@dataclass
class Agent:
    pid: int
    home: Home
    start_s: float

    def anon_mb(self) -> float:
        return anon_mb(self.pid)


def anon_mb(pid: int) -> float:
    """Anonymous memory of a process, in units of 10**6 bytes. Source: /proc/PID/smaps_rollup."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("no Anonymous line in smaps_rollup")


def keep_ledger(home: Home, name: str) -> Path:
    """Copy the stopped agent's folder aside, for later blocks to begin from."""
    kept = home.folder / name
    shutil.copytree(home.folder / "agent", kept)
    return kept


@contextmanager
def running_agent(home: Home, *, begin_from: Path | None = None, **environment: str) -> Iterator[Agent]:
    """Run the agent without its HQ, on a copy of a kept folder or else as it was laid; stopped at the block's end."""
    ledger = home.folder / "agent"
    shutil.rmtree(ledger)
    shutil.copytree(begin_from or home.folder / _AS_LAID, ledger)
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "run", "--config", str(home.settings)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = home.port("health_url")
        while not _answers(port):
            if process.poll() is not None or time.monotonic() - began > _START_S_MAX:
                raise RuntimeError(f"the agent did not start: exit code {process.poll()}")
            time.sleep(_POLL_S)
        yield Agent(process.pid, home, time.monotonic() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _answers(port: int) -> bool:
    """Whether GET /health is answered with 200 over TLS."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            trusting().wrap_socket(plain) as secure,
        ):
            secure.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return b" 200 " in secure.recv(64)
    except OSError:
        return False


def trusting() -> ssl.SSLContext:
    """A client that checks nothing: what is measured is the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def build_slow_sync(folder: Path) -> Path:
    """Compile the slow disk. Errors: CalledProcessError, FileNotFoundError when there is no C compiler."""
    library = folder / "slow_sync.so"
    source = Path(__file__).with_name("slow_sync.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library
