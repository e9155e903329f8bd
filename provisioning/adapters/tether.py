"""Ties a program to the process that started it, then becomes that program: it is asked to stop when its starter dies.

Run by path, in an interpreter of its own, so that nothing of ours is imported: ``python tether.py STARTER_PID PROGRAM
ARGUMENT...``. Becoming the program keeps the process id. Python's own hook between fork and exec would run in
a copy of a process with threads, which may hang.
"""

import ctypes
import os
import signal
import sys

# Source: linux/prctl.h. The setting survives exec.
_PR_SET_PDEATHSIG = 1


def _tie_and_become(starter: int, argv: list[str]) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # The starter may have died before it was tied to.
    if os.getppid() == starter:
        os.execv(argv[0], argv)  # noqa: S606  # becoming another program is what this file is for


if __name__ == "__main__":
    _tie_and_become(int(sys.argv[1]), sys.argv[2:])
