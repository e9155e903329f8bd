"""A program of ours that starts within milliseconds: forked off a process that has imported it once for all tests.

It runs its own ``main()`` in a process of its own, with signals, files and an exit code as ever. Spared is what a fresh
interpreter does before that, which costs more than most tests do.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from tests.house.tree import ROOT

_FORKS = get_context("forkserver")
# The mains, and what they import only once they are called.
_FORKS.set_forkserver_preload(
    [__name__, "cloud_api.__main__", "cloud_api.app", "edge_agent.__main__", "edge_agent.app"]
)


class WarmProcess:
    """Like ``Popen``, of ``python -m program arguments``. ``output``: where it appends what it says."""

    def __init__(self, program: str, arguments: Sequence[str], output: Path, *, hidden: str) -> None:
        """``hidden``: how those variables of the environment begin that it does not see."""
        job = (program, list(arguments), str(output), hidden)
        self._process = _FORKS.Process(target=_live, args=job, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        """Its exit code, the signal's number below zero when it was killed; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout_s: float) -> int:
        """Its exit code, as above. Errors: TimeoutExpired."""
        self._process.join(timeout_s)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout_s)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _live(program: str, arguments: list[str], output: str, hidden: str) -> None:
    os.chdir(ROOT)
    for name in [name for name in os.environ if name.startswith(hidden)]:
        del os.environ[name]
    said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    main: Callable[[list[str]], int] = import_module(f"{program}.__main__").main
    sys.exit(main(arguments))
