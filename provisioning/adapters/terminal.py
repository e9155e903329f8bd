"""What a person reads on the terminal; plain text, so that it reads the same through a pipe."""

import sys
from contextlib import suppress
from typing import TextIO


def say(text: str) -> None:
    _write(sys.stdout, text)


def is_private() -> bool:
    """Whether a person's own screen reads what ``say`` writes."""
    return sys.stdout.isatty()


def complain(text: str) -> None:
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    # Whoever read our output may have gone; that is no reason to stop a store.
    with suppress(OSError):
        stream.write(f"{text}\n")
        stream.flush()
