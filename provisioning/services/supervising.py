"""Keeps one program alive, as systemd would: starts it, waits for its health, starts it again when it dies or hangs.

Decides how long to wait and when to give up. Only silence is hanging: a program that answers anything is left alone, however
slow or unwell it is. A program that has been healthy is started again for ever; one that
never was gets a few tries; one that calls its configuration wrong (exit code 2) gets none.
"""

import asyncio
from dataclasses import dataclass

from provisioning.faults import WorkFailed
from provisioning.ports import Health, Process, Program, Watcher

_CONFIGURATION_WRONG = 2


@dataclass(frozen=True, slots=True)
class Patience:
    """``answer_s``: a start that gives no answer for so long has failed (a ledger of a full store opens in 2 s).
    ``stale_s``: how long the old process id may stand in run.json while a new one starts.
    ``stop_s``: time to stop cleanly before it is killed; 20 s is promised for everything together.
    ``silent_looks``: a program that served and then says nothing at so many looks in a row, ``look_s`` apart, hangs; more than a
    minute, for the slowest disk's sync and the busiest hour are over by then.
    ``tries``: failed starts in a row before the first healthy one.
    ``pause_s`` before a restart doubles with each failed start in a row, up to ``pause_s_max``."""

    answer_s: float = 60.0
    stale_s: float = 10.0
    stop_s: float = 15.0
    poll_s: float = 0.1
    look_s: float = 5.0
    silent_looks: int = 12
    tries: int = 5
    pause_s: float = 0.2
    pause_s_max: float = 30.0


def pause_before_restart_s(patience: Patience, failures: int) -> float:
    return min(patience.pause_s * 2.0 ** min(failures, 30), patience.pause_s_max)


class Supervisor:
    def __init__(self, program: Program, watcher: Watcher, patience: Patience | None = None) -> None:
        self._program = program
        self._watcher = watcher
        self._patience = patience or Patience()

    async def keep_running(self) -> None:
        """Until cancelled; then the program is stopped. Errors: WorkFailed when it cannot be started."""
        failures, ever_healthy = 0, False
        while True:
            was_healthy, code = await self._one_life()
            ever_healthy = ever_healthy or was_healthy
            failures = 0 if was_healthy else failures + 1
            self._judge(code, failures, ever_healthy)
            pause_s = pause_before_restart_s(self._patience, failures)
            self._watcher.say(f"{self._program.name} {_ending(code)}; starting it again in {pause_s:g} s")
            if not was_healthy:
                self._watcher.gone(self._program.name)
            await asyncio.sleep(pause_s)

    async def _one_life(self) -> tuple[bool, int]:
        process = await self._program.start()
        try:
            health = await self._await_health(process)
            if health is None:
                await self._stop(process)
                return False, await process.wait()
            self._watcher.serving(self._program.name, process.pid, health)
            await self._until_it_ends_or_hangs(process)
            await self._stop(process)
            return True, await process.wait()
        finally:
            await self._stop(process)

    async def _await_health(self, process: Process) -> Health | None:
        """Its first health that serves; None when it ended, or gave no answer in time.

        A program that answers and calls itself failing is left to recover, and what it complains of is said once.
        """
        loop, patience = asyncio.get_running_loop(), self._patience
        started_mono_s, said, answered = loop.time(), False, False
        while not await self._ends_within(process, patience.poll_s):
            health = await self._program.health()
            if health is not None and health.serves:
                return health
            answered = answered or health is not None
            waited_s = loop.time() - started_mono_s
            if waited_s > patience.stale_s:
                self._watcher.gone(self._program.name)
                if health is not None and not said:
                    said = True
                    self._watcher.say(f"{self._program.name} is failing: {'; '.join(health.complaints)}")
            if waited_s > patience.answer_s and not answered:
                self._watcher.say(f"{self._program.name} gave no answer for {patience.answer_s:g} s")
                return None
        return None

    async def _until_it_ends_or_hangs(self, process: Process) -> None:
        silent, patience = 0, self._patience
        while silent < patience.silent_looks:
            if await self._ends_within(process, patience.look_s):
                return
            silent = 0 if await self._program.answers() else silent + 1
        self._watcher.say(f"{self._program.name} hangs: it said nothing {silent} times in a row")

    async def _ends_within(self, process: Process, limit_s: float) -> bool:
        # Not asyncio.timeout(): in a task that is being cancelled, Debian 12's Python ends it as cancelled.
        try:
            await asyncio.wait_for(process.wait(), limit_s)
        except TimeoutError:
            return False
        return True

    async def _stop(self, process: Process) -> None:
        """Does nothing to a process that has ended."""
        process.ask_to_stop()
        if not await self._ends_within(process, self._patience.stop_s):
            self._watcher.say(
                f"{self._program.name} did not stop in {self._patience.stop_s:g} s and is killed"
            )
            process.kill()
            await process.wait()

    def _judge(self, code: int, failures: int, ever_healthy: bool) -> None:
        """Errors: WorkFailed where starting again cannot help."""
        name = self._program.name
        if code == _CONFIGURATION_WRONG:
            raise WorkFailed(f"{name} calls its configuration wrong:\n{self._program.last_words()}")
        if failures >= self._patience.tries and not ever_healthy:
            raise WorkFailed(
                f"{name} {_ending(code)}, and could not be started {failures} times in a row:\n"
                f"{self._program.last_words()}"
            )


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
