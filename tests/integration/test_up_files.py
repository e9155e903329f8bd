"""`beckon up` and the files that people change: they count from the next start, at HQ and in the store."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fakes.agent_process import free_base_port
from tests.fakes.whole_store import LINE_S, START_S, Hq, Up, ask, get, redeem_welcome, running, sell, until
from tests.house.tree import ROOT


def rewrite(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def beckon(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BECKON_")}
    return subprocess.run(
        [sys.executable, "-m", "provisioning", *map(str, arguments)],
        cwd=home,
        env=environment | {"BECKON_HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def stopped(up: Up) -> None:
    assert up.stop() == 0


def campaigns(facts: dict[str, Any], token: str) -> dict[str, Any]:
    status, body = ask("GET", f"{facts['staff_api_url']}/v1/campaigns", facts["ca_file"], token=token)
    assert status == 200, body
    return {each["id"]: each for each in json.loads(body)["campaigns"]}


def test_changed_files_count_from_the_next_start(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base_port()
    with running(home, base) as up:
        first = up.facts()
        assert redeem_welcome(first, "127.7.8.1")["discount_minor"] == 2_000
        told = beckon(home, "plan", home / "inventory.yaml")
        assert (told.returncode, "Nothing to change" in told.stdout) == (0, True), told
        stopped(up)
    rewrite(home / "inventory.yaml", ("tills: [till-1]", "tills: [till-1, till-2]"))
    rewrite(
        home / "campaigns" / "welcome.yaml",
        ("edition: 1", "edition: 2"),
        ("value_minor: 2000", "value_minor: 1500"),
    )
    with running(home, base) as up:
        second = up.facts()
        assert "till till-2 gets a token" in up.text
        assert "~ campaign welcome: edition 2 instead of 1: offer" in up.text
        assert redeem_welcome(second, "127.7.8.2")["discount_minor"] == 1_500
        assert second["till_token"] == first["till_token"]
        kept = json.loads((home / "inventory.yaml.secrets.json").read_text())
        assert campaigns(second, kept["branches"]["HARBOUR"]["till_tokens"]["till-2"])
        stopped(up)


def test_terms_that_changed_within_an_edition_are_refused(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base_port()
    with running(home, base) as up:
        up.facts()
        stopped(up)
    rewrite(home / "campaigns" / "welcome.yaml", ("value_minor: 2000", "value_minor: 1500"))
    with running(home, base) as up:
        until(lambda: up.process.poll() is not None, START_S, lambda: up.text)
        assert up.process.returncode == 2, up.text
        assert "campaign 'welcome' changed, but its edition is still 1" in up.text
        assert up.facts_now() is None


def test_another_branch_and_agent_are_enrolled_anew_and_the_first_may_come_back(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base_port()
    with running(home, base) as up:
        sell(up, "127.7.8.3", 1)
        stopped(up)
    before = (home / "inventory.yaml").read_text(encoding="utf-8")
    # Its number is the old agent's for good.
    agent = ("name: harbour-1\n        number: 1\n", "name: pier-1\n")
    rewrite(home / "inventory.yaml", ("code: HARBOUR", "code: PIER"), agent)
    with running(home, base) as up:
        facts = up.facts()
        assert facts["branch"] == "PIER"
        health = json.loads(get(facts["health_url"], facts["ca_file"])[1])
        assert (health["branch"], health["agent"]) == ("PIER", "pier-1")
        states = {each["name"]: each["state"] for each in Hq(facts).get("/v1/agents")["agents"]}
        assert states["pier-1"] == "active"
        sell(up, "127.7.8.3", 2)
        stopped(up)
    assert "harbour-1 of HARBOUR ran here before" in up.text
    (home / "inventory.yaml").write_text(before, encoding="utf-8")
    with running(home, base) as up:
        sell(up, "127.7.8.4", 3)
        assert "claim code" not in up.text
        stopped(up)


def test_what_operators_do_at_hq_reaches_the_running_store_and_outlives_a_restart(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base_port()
    with running(home, base) as up:
        facts = up.facts()
        token = facts["till_token"]
        told = beckon(home, "campaign", "stop", "shake")
        assert told.returncode == 0, told
        until(lambda: campaigns(facts, token)["shake"]["state"] == "stopped", 2 * LINE_S, lambda: up.text)
        stopped(up)
    with running(home, base) as up:
        facts = up.facts()
        assert campaigns(facts, token)["shake"]["state"] == "stopped"
        assert "HQ now wants" not in up.text
        stopped(up)


def test_the_store_opens_from_its_kept_bundle_without_hq(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base_port()
    with running(home, base) as up:
        facts = up.facts()
        stopped(up)
    command = [sys.executable, "-m", "edge_agent", "run", "--config", str(home / "agent.toml")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BECKON_")}
    with (tmp_path / "agent.txt").open("wb") as output:
        agent = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        until(lambda: _serves(facts), START_S, (tmp_path / "agent.txt").read_text)
        # Rights that it had borrowed already are good for sales without a line.
        assert redeem_welcome(facts, "127.7.9.1")["decision"] == "accepted"
    finally:
        agent.terminate()
        assert agent.wait(20) == 0


def _serves(facts: dict[str, Any]) -> bool:
    try:
        return get(facts["health_url"], facts["ca_file"])[0] == 200
    except OSError:
        return False
