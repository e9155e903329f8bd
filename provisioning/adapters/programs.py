"""Programs of ours as child processes of this one, each in a session of its own, logging to a file of its own.

A session of its own, so that a Ctrl-C at the terminal reaches only the parent, which stops the children in order.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from typing_extensions import override

from provisioning.adapters import tether
from provisioning.adapters.health_probe import ask_health, is_answered
from provisioning.ports import Health, Process, Program

# A log beyond this is put aside at the next start; one older log is kept.
_LOG_BYTES_MAX = 10_000_000
_LAST_WORDS_BYTES = 2_000


class ChildProcess(Process):
    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @property
    @override
    def pid(self) -> int:
        return self._child.pid

    @override
    async def wait(self) -> int:
        return await self._child.wait()

    @override
    def ask_to_stop(self) -> None:
        self._signal(signal.SIGTERM)

    @override
    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # asyncio forgets the process id once the process has ended, so that no stranger is ever signalled.
        with suppress(ProcessLookupError):
            self._child.send_signal(number)


@dataclass(slots=True)
class ChildProgram(Program):
    """``module`` is run by this interpreter; ``arguments`` are visible to all users and hold no secret;
    ``without``: environment variables that are not handed down."""

    program: str
    module: str
    arguments: Sequence[str]
    log: Path
    health_url: str
    ca_file: Path
    without: frozenset[str] = frozenset()
    _life_begins_at_byte: int = field(default=0, init=False)

    @property
    @override
    def name(self) -> str:
        return self.program

    @override
    async def start(self) -> Process:
        argv = [sys.executable, "-m", self.module, *self.arguments]
        with self._open_log() as log:
            self._life_begins_at_byte = log.tell()
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={name: value for name, value in os.environ.items() if name not in self.without},
                start_new_session=True,
            )
        return ChildProcess(child)

    @override
    async def health(self) -> Health | None:
        return await asyncio.to_thread(ask_health, self.health_url, self.ca_file)

    @override
    async def answers(self) -> bool:
        return await asyncio.to_thread(is_answered, self.health_url)

    @override
    def last_words(self) -> str:
        with suppress(OSError), self.log.open("rb") as log:
            log.seek(max(self._life_begins_at_byte, self.log.stat().st_size - _LAST_WORDS_BYTES))
            return log.read().decode(errors="replace").strip()
        return ""

    def _open_log(self) -> BinaryIO:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        return os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
