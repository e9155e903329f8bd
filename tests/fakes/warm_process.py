"""A program of ours that starts within milliseconds: forked off a process that has imported it once for all tests.

It runs as ``python -m`` does, in a process of its own, with its signals, files and exit code. Spared is what a fresh
interpreter does before that, which costs more than most tests do.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection, get_context
from pathlib import Path
from runpy import run_module
from threading import Lock

from tests.house.tree import ROOT

_FORKS = get_context("forkserver")
# All that the programs import; not their __main__, which each process runs anew.
_FORKS.set_forkserver_preload(
    [
        __name__,
        *("cloud_api.app", "edge_agent.app", "provisioning.app", "typer", "uvloop"),
        *(
            f"provisioning.commands.{name}"
            for name in ("agents", "campaigns", "certifying", "hq", "planning")
        ),
    ]
)
# An exit code can be read once; and whoever starts a process reads those of all others, in whichever thread they are waited for.
_ONE_AT_A_TIME = Lock()


class WarmProcess:
    """Like ``Popen``, of ``python -m program arguments`` in ``folder``.

    ``output``: where it appends what it says; ``errors``: what of that goes to standard error, if it is not the same file.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: Path,
        errors: Path | None = None,
        folder: Path = ROOT,
    ) -> None:
        job = (program, list(arguments), dict(environment), output, errors or output, folder)
        self._process = _FORKS.Process(target=_live, args=job, daemon=True)
        with _ONE_AT_A_TIME:
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
        with _ONE_AT_A_TIME:
            return self._process.exitcode

    def wait(self, timeout_s: float) -> int:
        """Its exit code, as above. Errors: TimeoutExpired."""
        connection.wait([self._process.sentinel], timeout_s)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout_s)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            # One that has just ended is gone before its exit code is here: whoever forked it waits for it, not we.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _live(
    program: str, arguments: list[str], environment: dict[str, str], output: Path, errors: Path, folder: Path
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), stream)
    sys.argv[1:] = arguments
    run_module(program, run_name="__main__", alter_sys=True)
