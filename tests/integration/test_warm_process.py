"""A process that ends by itself while somebody signals it: gone before its exit code is known, and no error."""

import os
import signal
from pathlib import Path

from tests.fakes.warm_process import WarmProcess

# About every third one is caught between its end and its exit code.
ENDS = 30


def test_a_signal_to_one_that_has_just_ended_is_no_error(tmp_path: Path) -> None:
    for _ in range(ENDS):
        process = WarmProcess(
            "json.tool", ["--help"], environment=dict(os.environ), output=tmp_path / "output"
        )
        while process.poll() is None:
            process.send_signal(signal.SIGCONT)
        assert process.wait(20) == 0
