"""Memory that was freed goes back to the system: a C library keeps what lies between things that are still in use."""

import ctypes
from collections.abc import Callable


def _trim() -> Callable[[int], object] | None:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return None
    return found


_TRIM = _trim()


def give_back() -> None:
    """Some ms for each 100 MB. Nothing where the C library is not glibc. Source: malloc_trim(3)."""
    if _TRIM is not None:
        _TRIM(0)
