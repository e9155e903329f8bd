"""A program that stands still without ending is replaced by whoever keeps it running; one that is merely unwell is not."""

import asyncio
import os
import signal
from pathlib import Path

from provisioning.adapters.health_probe import is_answered
from provisioning.adapters.programs import ChildProgram
from provisioning.services.supervising import Patience, Supervisor
from tests.eventually import eventually
from tests.fakes.agent_process import START_S_MAX, AgentHome, lay_agent_home
from tests.fakes.program import RememberingWatcher

HASTY = Patience(look_s=0.2, silent_looks=2, stop_s=1.0)


def kept(home: AgentHome) -> ChildProgram:
    return ChildProgram(
        program="beckon-agent",
        module="edge_agent",
        arguments=("run", "--config", str(home.settings_file)),
        log=home.folder / "agent.log",
        health_url=home.access.staff_url + "/health",
        ca_file=home.access.ca_file,
    )


async def test_an_agent_that_hangs_is_replaced_and_serves_again(tmp_path: Path) -> None:
    home, watcher = lay_agent_home(tmp_path / "home"), RememberingWatcher()
    running = asyncio.create_task(Supervisor(kept(home), watcher, HASTY).keep_running())
    try:
        await eventually(lambda: watcher.run_pid, within_s=START_S_MAX)
        first = watcher.run_pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await eventually(lambda: watcher.run_pid not in (None, first), within_s=START_S_MAX)
        assert watcher.said[0].startswith("beckon-agent hangs")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_whoever_answers_does_not_hang_whatever_it_says(unused_tcp_port: int) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no TLS at all")
        writer.close()

    url = f"https://127.0.0.1:{unused_tcp_port}/health"
    assert not await asyncio.to_thread(is_answered, url)
    server = await asyncio.start_server(refuse, "127.0.0.1", unused_tcp_port)
    async with server:
        assert await asyncio.to_thread(is_answered, url)
