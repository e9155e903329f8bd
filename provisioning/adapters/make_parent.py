"""Notices when the ``make`` that started us is interrupted alone.

At a terminal, Ctrl-C reaches make and its children together. A SIGINT sent to make only does not: GNU make then waits
for its children without telling them, for ever. From its handler on, make no longer catches SIGINT, and that can be
read in /proc. Source: GNU make 4.3, commands.c, fatal_error_signal.
"""

import os
import signal
from pathlib import Path

_SIGINT_BIT = 1 << (signal.SIGINT - 1)


class MakeParent:
    """Our parent, if it is make; otherwise never interrupted and never gone."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._is_make = _status(self._pid).get("Name") in ("make", "gmake")
        self._caught = self._is_make and self._catches_sigint()

    def has_stopped_us(self) -> bool:
        """Whether make was interrupted, or has died without stopping us."""
        if not self._is_make:
            return False
        return os.getppid() != self._pid or (self._caught and not self._catches_sigint())

    def _catches_sigint(self) -> bool:
        return bool(int(_status(self._pid).get("SigCgt", "0"), 16) & _SIGINT_BIT)


def _status(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
