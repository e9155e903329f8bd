"""`kill -9` of a real agent, between any two steps of the shopper's and the cashier's way and in the middle of each.

What was answered must still be there afterwards, byte for byte. A step that was cut off is asked for again with the
same ids, as a page or a till would, and must then have happened once.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from aiohttp import ClientConnectionError, ClientPayloadError

from tests.e2e.shopping import STEPS, Shopping, Step, today
from tests.eventually import eventually
from tests.fakes.agent_process import (
    AgentProcess,
    access_of,
    agent_on,
    free_base_port,
    lay_agent_home,
    seed_sure_store,
)
from tests.fakes.callers import Answer, callers
from tests.fakes.whole_store import START_S, Up, running, until

# A step takes some 10 ms; kills are to fall before, into and after its commit.
_IN_THE_MIDDLE_S_MAX = 0.01


@asynccontextmanager
async def _shopping(folder: Path) -> AsyncIterator[tuple[AgentProcess, Shopping]]:
    home = lay_agent_home(folder / "home")
    with agent_on(home, is_warm=True) as agent:
        async with callers(home.access) as all_callers:
            yield agent, await Shopping.begin(all_callers)


async def test_a_kill_at_any_moment_of_any_step_loses_nothing_shown(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    random = Random(seed)
    print(f"seed {seed}")
    async with _shopping(tmp_path) as (agent, shopping):
        for step in STEPS:
            day, before = today(), await shopping.picture()
            answered = await _cut_off(agent, shopping, step, random.uniform(0, _IN_THE_MIDDLE_S_MAX))
            agent.run()
            between = await shopping.picture()
            again = await shopping.take(step)
            after = await shopping.picture()
            if today() != day:
                continue  # pages tell of days; the next step's check still counts what this one did
            undone, done = _differences(before, between), _differences(between, after)
            print(f"{step.name}: {'answered' if answered else 'cut off'}, {'done' if undone else 'not done'}")
            if step.is_one_decision:
                assert not undone or not done, f"{step.name!r} was half done: {undone} and {done}"
            if answered is not None:
                assert not done, f"{step.name!r} was answered, and was lost in part: {done}"
                assert (again.status, again.body) == (answered.status, answered.body), step.name
            await shopping.check_counts()
        assert agent.stop() == 0


def _differences(
    first: Mapping[str, object], second: Mapping[str, object]
) -> list[tuple[object, object, object]]:
    """The views of the first picture that look otherwise in the second."""
    return [(view, seen, second.get(view)) for view, seen in first.items() if second.get(view) != seen]


async def _cut_off(agent: AgentProcess, shopping: Shopping, step: Step, after_s: float) -> Answer | None:
    """Kill the agent so long after the step was begun; its answer, when it came before."""
    asked = asyncio.create_task(shopping.once(step))
    asyncio.get_running_loop().call_later(after_s, agent.kill)
    try:
        return await asked
    except (ClientConnectionError, ClientPayloadError):
        return None
    finally:
        await eventually(lambda: agent.has_ended)


async def test_an_agent_kept_by_beckon_up_comes_back_with_everything(tmp_path: Path) -> None:
    seed_sure_store(tmp_path / "home")
    with running(tmp_path / "home", free_base_port()) as up:
        async with callers(access_of(up.facts())) as all_callers:
            shopping = await Shopping.begin(all_callers)
            for steps in (STEPS[:8], STEPS[8:]):
                for step in steps:
                    await shopping.take(step)
                day, before = today(), await shopping.picture()
                await _kill_the_agent_of(up)
                lost = _differences(before, await shopping.picture())
                assert not lost or today() != day
                await shopping.check_counts()
        assert up.stop() == 0


async def _kill_the_agent_of(up: Up) -> None:
    killed = _agent_of(up)
    assert killed is not None, up.text
    os.kill(killed, signal.SIGKILL)
    until(lambda: _agent_of(up) not in (None, killed), START_S, lambda: up.text)


def _agent_of(up: Up) -> int | None:
    facts = up.facts_now()
    return None if facts is None else facts["pids"]["beckon-agent"]
