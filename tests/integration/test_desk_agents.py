"""`beckon agent` as real processes against a real cloud."""

import asyncio
from pathlib import Path

from tests.fakes.cloud_process import CloudHome, cloud, desk
from tests.fakes.hq import AGENT, HARBOUR, OTHER
from tests.fakes.operator import Operator


async def test_agents_are_listed_revoked_and_written_off(tmp_path: Path) -> None:
    (tmp_path / "hq").mkdir()
    home = CloudHome(tmp_path / "hq")
    async with cloud(home) as running:
        async with desk(home) as visitor:
            await visitor.sign_in()
        operator = Operator(tmp_path / "desk", home)

        async def beckon(*words: str) -> tuple[int, str, str]:
            ended = await asyncio.to_thread(operator.beckon, "agent", *words)
            return ended.returncode, ended.stdout, ended.stderr

        code, told, _ = await beckon("list")
        assert code == 0
        assert [line.split("\t") for line in told.splitlines()] == [
            [AGENT, "HARBOUR", "unclaimed", "never", "0", "-"],
            [OTHER, "PARK", "unclaimed", "never", "0", "-"],
        ]
        code, _, complaint = await beckon("write-off", AGENT, "nobody")
        assert (code, "nothing was done" in complaint, "nobody" in complaint) == (1, True, True)

        copy = str(tmp_path / "hq.backup")
        assert (await home.tell("backup", copy)).returncode == 0
        running.stop()
        assert (await home.tell("restore", copy, "--also", "mistyped")).returncode == 0
        await running.run()
        _, told, _ = await beckon("list")
        assert told.splitlines()[-1].endswith(f"really gone: {AGENT}, mistyped, {OTHER}")
        code, told, _ = await beckon("write-off", AGENT, "mistyped", OTHER)
        assert (code, "paid for twice" in told) == (0, True)
        _, told, _ = await beckon("list")
        assert "written off" not in told
        code, told, _ = await beckon("write-off", AGENT)
        assert (code, "paid for twice" in told) == (0, False)


async def test_a_revoked_agent_is_listed_as_one(tmp_path: Path) -> None:
    (tmp_path / "hq").mkdir()
    home = CloudHome(tmp_path / "hq")
    async with cloud(home):
        async with desk(home) as visitor:
            await visitor.sign_in()
            await visitor.enrol(HARBOUR, AGENT)
        operator = Operator(tmp_path / "desk", home)
        assert (await asyncio.to_thread(operator.beckon, "agent", "revoke", AGENT)).returncode == 0
        told = (await asyncio.to_thread(operator.beckon, "agent", "list")).stdout
        assert f"{AGENT}\tHARBOUR\trevoked" in told
