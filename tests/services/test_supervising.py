"""A supervised program's lives: healthy, dying, never healthy, misconfigured, stubborn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from provisioning.faults import WorkFailed
from provisioning.services.supervising import Patience, Supervisor, pause_before_restart_s
from tests.eventually import eventually
from tests.fakes.program import FAILS, FakeProgram, Life, RememberingWatcher

QUICK = Patience(
    answer_s=0.2, stale_s=0.1, stop_s=0.1, poll_s=0.005, tries=2, pause_s=0.01, look_s=0.005, silent_looks=3
)


@asynccontextmanager
async def running(program: FakeProgram, watcher: RememberingWatcher) -> AsyncIterator[None]:
    task = asyncio.create_task(Supervisor(program, watcher, QUICK).keep_running())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_healthy_program_is_reported_and_stopped_at_the_end() -> None:
    program, watcher = FakeProgram([Life()]), RememberingWatcher()
    async with running(program, watcher):
        await eventually(lambda: watcher.run_pid == 1000)
    assert [process.code for process in program.processes] == [0]
    assert watcher.said == []


async def test_a_program_that_dies_is_started_again_under_its_new_process_id() -> None:
    program, watcher = FakeProgram([Life()]), RememberingWatcher()
    async with running(program, watcher):
        await eventually(lambda: watcher.run_pid == 1000)
        program.processes[0].end(-9)
        await eventually(lambda: watcher.run_pid == 1001)
    assert watcher.said == ["beckon-fake was killed by signal 9; starting it again in 0.01 s"]


async def test_one_that_was_healthy_once_is_started_again_for_ever() -> None:
    lives = [Life(), *[Life(health=None, code=1)] * (QUICK.tries + 1), Life()]
    program, watcher = FakeProgram(lives), RememberingWatcher()
    async with running(program, watcher):
        await eventually(lambda: watcher.run_pid == 1000)
        program.processes[0].end(1)
        await eventually(lambda: watcher.run_pid == 1000 + len(lives) - 1)


async def test_the_old_process_id_is_withdrawn_when_a_restart_fails() -> None:
    program, watcher = FakeProgram([Life(), Life(health=None, code=1)]), RememberingWatcher()
    async with running(program, watcher):
        await eventually(lambda: watcher.run_pid == 1000)
        program.processes[0].end(1)
        await eventually(lambda: watcher.run_pid is None)


async def test_one_that_was_never_healthy_is_given_up_with_its_last_words() -> None:
    program, watcher = FakeProgram([Life(health=None, code=1)]), RememberingWatcher()
    with pytest.raises(WorkFailed, match=r"(?s)ended with code 1.* 2 times in a row.*the last words"):
        await Supervisor(program, watcher, QUICK).keep_running()
    assert len(program.processes) == QUICK.tries


async def test_a_wrong_configuration_is_not_tried_again() -> None:
    program, watcher = FakeProgram([Life(health=None, code=2)]), RememberingWatcher()
    with pytest.raises(WorkFailed, match=r"(?s)configuration wrong.*the last words"):
        await Supervisor(program, watcher, QUICK).keep_running()
    assert len(program.processes) == 1


async def test_a_program_that_gives_no_answer_is_stopped_and_counts_as_failed() -> None:
    program, watcher = FakeProgram([Life(health=None)]), RememberingWatcher()
    with pytest.raises(WorkFailed, match="2 times in a row"):
        await Supervisor(program, watcher, QUICK).keep_running()
    assert watcher.said[0] == "beckon-fake gave no answer for 0.2 s"


async def test_a_failing_program_is_left_to_recover_and_told_of_once() -> None:
    program, watcher = FakeProgram([Life(health=FAILS)]), RememberingWatcher()
    async with running(program, watcher):
        await eventually(lambda: bool(watcher.said))
        before = asyncio.get_running_loop().time()
        await eventually(lambda: asyncio.get_running_loop().time() > before + 2 * QUICK.answer_s)
    assert watcher.said == ["beckon-fake is failing: The disk is full. Free some space."]
    assert len(program.processes) == 1


async def test_one_that_hangs_is_replaced() -> None:
    program = FakeProgram([Life(says=(True, False, False, False), stubborn=True), Life()])
    watcher = RememberingWatcher()
    async with running(program, watcher):
        await eventually(lambda: watcher.run_pid == 1001)
    assert watcher.said[0] == "beckon-fake hangs: it said nothing 3 times in a row"
    assert program.processes[0].code == -9


async def test_one_that_is_slow_now_and_then_is_left_alone() -> None:
    program = FakeProgram([Life(says=(False, False, True) * 20)])
    async with running(program, watcher := RememberingWatcher()):
        await eventually(lambda: program.looks >= 60)
    assert len(program.processes) == 1
    assert watcher.said == []


async def test_a_stubborn_program_is_killed_at_the_end() -> None:
    program, watcher = FakeProgram([Life(stubborn=True)]), RememberingWatcher()
    async with running(program, watcher):
        await eventually(lambda: watcher.run_pid == 1000)
    assert program.processes[0].code == -9


def test_the_pause_doubles_up_to_its_limit() -> None:
    pauses = [pause_before_restart_s(Patience(), failures) for failures in range(12)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[-1] == 30.0
    assert pause_before_restart_s(Patience(), 10_000) == 30.0
