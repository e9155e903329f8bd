"""A real agent process on a home of its own, without `beckon up` around it: tests start, kill and stop it."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.adapters.home import Home
from provisioning.adapters.yaml_files import read_campaigns, read_inventory
from provisioning.services.chain_secrets import ChainSecrets
from provisioning.services.seeding import CASHIER, HomeSecrets, chain_secrets
from provisioning.services.store_address import portal_name
from tests.fakes.local_bundle import local_bundle
from tests.fakes.warm_process import WarmProcess

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "edge_agent"
# How the environment's names of its settings begin.
_SETTINGS = "BECKON_AGENT_"
# Below the ports that the kernel gives to outgoing connections: a dead agent's port stays free for the next one.
_PORTS = range(20_000, 32_000)
_PORTS_APART = (0, 10, 11, 12)
# The promise: a stop is over after this long.
STOP_S_MAX = 20.0
# A start takes 1 s on a machine of its own, and 10 s on one core that six others use.
START_S_MAX = 60.0


@dataclass(frozen=True)
class Access:
    """Where a store answers and what opens it. ``till_tokens``: by till."""

    guest_url: str
    staff_url: str
    ca_file: Path
    till_tokens: Mapping[str, str]
    cashier: str
    cashier_pin: str
    member_code: str


@dataclass(frozen=True)
class AgentHome:
    folder: Path
    settings: Mapping[str, object]
    access: Access

    @property
    def settings_file(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def ledger(self) -> Path:
        return self.folder / "agent" / "ledger.db"

    def write_settings(self, **changes: object) -> None:
        """The home's own settings with these instead; None leaves a key out."""
        settings = {**self.settings, **changes}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items() if value is not None]
        self.settings_file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def free_base_port() -> int:
    """A base whose four ports (itself, 10, 11 and 12 above it) are free at the moment."""
    for _ in range(200):
        base = random.choice(_PORTS)
        if all(_is_free(base + offset) for offset in _PORTS_APART):
            return base
    raise AssertionError("no four free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def seed_sure_store(folder: Path) -> Home:
    """The shipped files with two tills, and a shake of which each visitor's three plays a day all win."""
    home = Home(folder)
    home.make_folders()
    home.seed_files()
    _change(home.inventory_file, {"tills: [till-1]": "tills: [till-1, till-2]"})
    _change(
        home.campaigns_folder / "shake.yaml",
        {"win_bps: 5000": "win_bps: 10000", "issue_per_day: 1": "issue_per_day: 3", "_day: 5": "_day: 3"},
    )
    return home


def _change(path: Path, changes: Mapping[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1, f"{path.name} no longer has one {old!r}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def lay_agent_home(folder: Path) -> AgentHome:
    """What `beckon up` gives its agent, on free ports, with two tills and a shake that always wins."""
    home, base = seed_sure_store(folder), free_base_port()
    inventory = read_inventory(home.inventory_file)
    branch = inventory.branches[0]
    known = chain_secrets(ChainSecrets(), HomeSecrets(), inventory)
    bundle = local_bundle(inventory, read_campaigns(home.campaign_files()), known)
    bundle_file = folder / "bundle.json"
    bundle_file.write_text(bundle.model_dump_json(), encoding="utf-8")
    home.ensure_certificates(portal_name(branch))
    settings = {
        "home": str(home.agent_folder),
        "bundle": str(bundle_file),
        "guest_http_port": base + 10,
        "guest_https_port": base + 11,
        "staff_https_port": base + 12,
        "tls_certificate": str(home.tls_folder / "server.pem"),
        "tls_key": str(home.tls_folder / "server-key.pem"),
        "radio": "none",
    }
    access = Access(
        guest_url=f"https://127.0.0.1:{base + 11}",
        staff_url=f"https://127.0.0.1:{base + 12}",
        ca_file=home.ca_file,
        till_tokens={str(name): token for name, token in known.of(branch.code).till_tokens.items()},
        cashier=CASHIER,
        cashier_pin=known.of(branch.code).cashiers[CASHIER].pin,
        member_code=next(iter(known.member_codes.values())),
    )
    laid = AgentHome(folder, settings, access)
    laid.write_settings()
    return laid


def agent_command(home: AgentHome) -> list[str]:
    return [sys.executable, "-m", PROGRAM, "run", "--config", str(home.settings_file)]


def agent_environment() -> dict[str, str]:
    """Ours without the settings of somebody else's agent."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}


class AgentProcess:
    """``run()`` starts it, again after it has ended. What it says goes into ``output``.

    ``is_warm``: it is spared the second of a fresh interpreter, for tests that start it again and again.
    """

    def __init__(self, home: AgentHome, *, is_warm: bool = False) -> None:
        self.home = home
        self.output = home.folder / "agent-output.txt"
        self._is_warm = is_warm
        self._process: WarmProcess | subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> WarmProcess | subprocess.Popen[bytes]:
        assert self._process is not None, "it was never started"
        return self._process

    @property
    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def run(self, command: list[str] | None = None) -> None:
        assert self._process is None or self._process.poll() is not None, "it runs"
        if self._is_warm and command is None:
            words = agent_command(self.home)[3:]
            self._process = WarmProcess(PROGRAM, words, environment=agent_environment(), output=self.output)
            return
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                command or agent_command(self.home),
                cwd=ROOT,
                env=agent_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """At once, as a cut of power would: nothing of it runs when this returns."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_S_MAX)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code. Errors: TimeoutExpired when the stop takes longer than promised."""
        self.process.send_signal(number)
        return self.process.wait(STOP_S_MAX)

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None


@contextmanager
def agent_on(
    home: AgentHome, command: list[str] | None = None, *, is_warm: bool = False
) -> Iterator[AgentProcess]:
    """An agent that has been started, and does not outlive the block."""
    agent = AgentProcess(home, is_warm=is_warm)
    agent.run(command)
    try:
        yield agent
    finally:
        if not agent.has_ended:
            agent.kill()


def access_of(facts: Mapping[str, Any]) -> Access:
    """From what `beckon up` wrote into run.json."""
    return Access(
        guest_url=facts["shopper_https_url"].rstrip("/"),
        staff_url=facts["staff_api_url"].rstrip("/"),
        ca_file=Path(facts["ca_file"]),
        till_tokens={"till-1": facts["till_token"]},
        cashier=facts["cashier"],
        cashier_pin=facts["cashier_pin"],
        member_code=facts["member_code"],
    )
