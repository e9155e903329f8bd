"""A hybrid logical clock: timestamps that follow the wall clock and never run backwards.

Source: Kulkarni et al., Logical Physical Clocks (OPODIS 2014).
"""

from typing import NamedTuple


class HybridTime(NamedTuple):
    """Ordered first by ``wall_ms`` (Unix milliseconds), then by ``counter`` among equal milliseconds."""

    wall_ms: int
    counter: int


def tick(last: HybridTime, wall_ms: int) -> HybridTime:
    """The stamp of the next local event; greater than ``last`` even when the wall clock went back."""
    if wall_ms > last.wall_ms:
        return HybridTime(wall_ms, 0)
    return HybridTime(last.wall_ms, last.counter + 1)
