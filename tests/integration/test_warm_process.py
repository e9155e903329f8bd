"""A process that ends while somebody signals it, or while others are started: no error, and its exit code is its own."""

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fakes.warm_process import WarmProcess

# About every third one is caught between its end and its exit code.
ENDS = 30
# Of so many in so many threads, several ends fall into the start of another.
RUNS, AT_ONCE = 400, 6


@pytest.fixture
def restless_threads() -> Iterator[None]:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before_s)


def test_a_signal_to_one_that_has_just_ended_is_no_error(tmp_path: Path) -> None:
    for _ in range(ENDS):
        process = WarmProcess(
            "json.tool", ["--help"], environment=dict(os.environ), output=tmp_path / "output"
        )
        while process.poll() is None:
            process.send_signal(signal.SIGCONT)
        assert process.wait(20) == 0


@pytest.mark.usefixtures("restless_threads")
def test_those_that_run_at_once_each_tell_their_own_exit_code(tmp_path: Path) -> None:
    def run(number: int) -> int:
        words = ["--help"] if number % 2 else ["--nonsense"]
        process = WarmProcess(
            "json.tool", words, environment=dict(os.environ), output=tmp_path / f"output-{number}"
        )
        return process.wait(60)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert list(threads.map(run, range(RUNS))) == [2, 0] * (RUNS // 2)
