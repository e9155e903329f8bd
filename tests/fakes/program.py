"""A program that lives and dies as its script says, and a watcher that remembers what it was told."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from provisioning.ports import Health, Process, Program, Watcher

SERVES = Health("ok", "recording:fake", ())
FAILS = Health("failing", "recording:fake", ("The disk is full. Free some space.",))


@dataclass(frozen=True, slots=True)
class Life:
    """``health``: what it answers all its life; ``code``: how it ends by itself after its first answer, None when it
    does not; ``stubborn``: it stops only when killed; ``says``: whether it answers, look after look, once it serves; the last
    one again and again."""

    health: Health | None = SERVES
    code: int | None = None
    stubborn: bool = False
    says: Sequence[bool] = (True,)


class FakeProcess(Process):
    def __init__(self, pid: int, life: Life) -> None:
        self._pid = pid
        self.life = life
        self.ended = asyncio.Event()
        self.code = 0

    @property
    @override
    def pid(self) -> int:
        return self._pid

    @override
    async def wait(self) -> int:
        await self.ended.wait()
        return self.code

    @override
    def ask_to_stop(self) -> None:
        if not self.life.stubborn:
            self.end(0)

    @override
    def kill(self) -> None:
        self.end(-9)

    def end(self, code: int) -> None:
        if not self.ended.is_set():
            self.code = code
            self.ended.set()


class FakeProgram(Program):
    """Lives the given lives one after the other; the last one again and again."""

    def __init__(self, lives: Sequence[Life]) -> None:
        self._lives = lives
        self.processes: list[FakeProcess] = []
        self.looks = 0

    @property
    @override
    def name(self) -> str:
        return "beckon-fake"

    @override
    async def start(self) -> Process:
        life = self._lives[min(len(self.processes), len(self._lives) - 1)]
        self.looks = 0
        process = FakeProcess(1000 + len(self.processes), life)
        self.processes.append(process)
        return process

    @override
    async def health(self) -> Health | None:
        process = self.processes[-1]
        if process.life.code is not None:
            asyncio.get_running_loop().call_soon(process.end, process.life.code)
        return process.life.health

    @override
    async def answers(self) -> bool:
        says = self.processes[-1].life.says
        self.looks += 1
        return says[min(self.looks, len(says)) - 1]

    @override
    def last_words(self) -> str:
        return "the last words"


class RememberingWatcher(Watcher):
    def __init__(self) -> None:
        self.serving_pids: list[int] = []
        self.run_pid: int | None = None
        self.said: list[str] = []

    @override
    def serving(self, name: str, pid: int, health: Health) -> None:
        self.serving_pids.append(pid)
        self.run_pid = pid

    @override
    def gone(self, name: str) -> None:
        self.run_pid = None

    @override
    def say(self, sentence: str) -> None:
        self.said.append(sentence)
