"""What deploy/ gives to systemd: units that it takes, hardened alike, and settings that the programs take."""

import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from cloud_api.config import Settings as CloudSettings
from edge_agent.config import Settings as AgentSettings
from tests.house.tree import ROOT
from tests.needs import needs_command

_UNITS = ROOT / "deploy" / "systemd"
_SERVICES = ("beckon-agent.service", "beckon-cloud.service", "beckon-cloud-backup.service")
_INSTALLED = "/opt/beckon/.venv/bin/"
# Lines that make a service harder to misuse; what differs on purpose is not among them.
_HARDENED = (
    *("CapabilityBoundingSet", "AmbientCapabilities", "NoNewPrivileges", "LockPersonality", "PrivateDevices"),
    *("PrivateTmp", "ProcSubset", "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname"),
    *("ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem"),
    *("RemoveIPC", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures"),
    *("SystemCallFilter", "UMask", "DynamicUser", "StateDirectoryMode"),
)
# Of 10, where 0 exposes nothing: `systemd-analyze security` calls less than 2 OK.
_EXPOSURE_TENTHS_MAX = 20


def lines(unit: str) -> dict[str, list[str]]:
    """Every value of each key, in order."""
    found = defaultdict(list)
    for line in (_UNITS / unit).read_text(encoding="utf-8").splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found[key].append(value)
    return found


@pytest.mark.parametrize("unit", _SERVICES)
def test_every_service_is_hardened_as_the_agents_is(unit: str) -> None:
    agents, its = lines("beckon-agent.service"), lines(unit)
    assert {key: its[key] for key in _HARDENED} == {key: agents[key] for key in _HARDENED}
    assert all(agents[key] for key in _HARDENED)


@pytest.mark.parametrize("unit", _SERVICES)
def test_a_service_calls_a_command_that_there_is(unit: str) -> None:
    (command,) = lines(unit)["ExecStart"]
    program, _, rest = command.partition(_INSTALLED)[2].partition(" ")
    module = {"beckon-agent": "edge_agent", "beckon-cloud": "cloud_api"}[program]
    words = [sys.executable, "-m", module, rest.split()[0], "--help"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "--config" in told


@pytest.mark.parametrize(
    ("example", "settings"), [("agent.example.toml", AgentSettings), ("cloud.example.toml", CloudSettings)]
)
def test_an_example_of_settings_is_taken(
    example: str, settings: type[AgentSettings] | type[CloudSettings]
) -> None:
    written = (_UNITS / example).read_text(encoding="utf-8")
    settings(**tomllib.loads(written))
    settings(**tomllib.loads(written.replace("# tls_", "tls_")))


def test_systemd_takes_the_units_and_finds_them_safe(tmp_path: Path) -> None:
    needs_command("systemd-analyze")
    for unit in _UNITS.glob("beckon-*"):
        text = unit.read_text(encoding="utf-8")
        for program in ("beckon-agent", "beckon-cloud"):
            text = text.replace(f"{_INSTALLED}{program}", "/bin/true")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    units = sorted(tmp_path.iterdir())
    assert len(units) == 4
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={_EXPOSURE_TENTHS_MAX}"]
        + [str(tmp_path / unit) for unit in _SERVICES],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert judged.returncode == 0, judged.stdout
