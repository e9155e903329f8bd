"""A mini-PC fresh from its box: the desk enrols it over the LAN, and it opens as the branch's agent without a restart."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.eventually import eventually
from tests.fakes.agent_process import ROOT, START_S_MAX, AgentProcess, agent_on, lay_agent_home
from tests.fakes.callers import callers
from tests.fakes.cloud_process import PASSWORD, USER, CloudHome, cloud, desk
from tests.fakes.hq import AGENT, HARBOUR

OPENS_WITHIN_S = 60.0


def _beckon(home: CloudHome, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BECKON_")}
    environment |= {"BECKON_HQ_USER": USER, "BECKON_HQ_PASSWORD": PASSWORD}
    at_hq = ("--hq", home.url, "--hq-ca", str(home.folder / "ca.pem"))
    return subprocess.run(
        [sys.executable, "-m", "provisioning", *words, *at_hq],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
    )


async def _fingerprint_in(agent: AgentProcess) -> str:
    """As its log shows it to whoever stands beside the box."""
    shown = re.compile(r"fingerprint='?([0-9A-Z]{4}-[0-9A-Z]{4})")
    await eventually(lambda: shown.search(agent.text), within_s=START_S_MAX, what="the fingerprint")
    found = shown.search(agent.text)
    assert found is not None
    return found[1]


async def test_a_new_box_is_enrolled_by_its_fingerprint_and_opens(tmp_path: Path) -> None:
    hq, box = CloudHome(tmp_path), lay_agent_home(tmp_path / "box")
    box.write_settings(bundle=None, tls_certificate=None, tls_key=None)
    assert not (box.folder / "agent").exists() or not list((box.folder / "agent").iterdir())
    async with cloud(hq), desk(hq) as operator:
        await operator.sign_in(certify=False)
        certified = await asyncio.to_thread(_beckon, hq, ("hq", "certify", "--root", str(hq.folder)))
        assert certified.returncode == 0, certified.stderr
        with agent_on(box) as agent:
            fingerprint = await _fingerprint_in(agent)
            where = box.access.staff_url.removeprefix("https://")
            words = ("enrol", HARBOUR, AGENT, "--at", where, "--box", fingerprint)
            enrolled = await asyncio.to_thread(_beckon, hq, words)
            assert enrolled.returncode == 0, enrolled.stderr + agent.text
            assert f"Done: {AGENT} is enrolled" in enrolled.stdout
            await eventually(lambda: "serving" in agent.text, within_s=OPENS_WITHIN_S, what="the store")
            own = replace(box.access, ca_file=box.folder / "agent" / "own-tls.pem")
            async with callers(own) as all_callers:
                health = (await (await all_callers.till()).ask("GET", "/health")).json
            assert (health["branch"], health["agent"]) == (HARBOUR, AGENT)
            assert "certificate_own" in {issue["code"] for issue in health["issues"]}
        _, answer = await operator.ask("GET", "/v1/agents")
        (shown,) = [each for each in answer["agents"] if each["name"] == AGENT]
        assert shown["state"] == "active"
