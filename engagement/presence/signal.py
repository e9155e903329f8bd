"""One beacon's signal at one receiver, smoothed."""

from collections.abc import Iterable
from typing import TypeVar

W = TypeVar("W")

# Short enough to follow a walker: chosen with the constants of zones. Presence, which must not flap, asks besides
# that a faded signal stays faded.
SMOOTHING_S = 1.5
# A receiver that heard a beacon so much earlier than another says nothing about where it is now. Counted from the
# last packet, not from now: a slow beacon keeps its place between two packets.
_FRESH_S = 10.0
# Two packets of one burst are not two independent readings.
_GAP_S_MIN = 0.05


class Signal:
    """``level_dbm``: the exponentially weighted mean; ``heard_s``: when it was last fed."""

    __slots__ = ("heard_s", "level_dbm")

    def __init__(self, t_s: float, rssi_dbm: int) -> None:
        self.level_dbm = float(rssi_dbm)
        self.heard_s = t_s

    def feed(self, t_s: float, rssi_dbm: int) -> None:
        gap_s = t_s - self.heard_s
        if gap_s < _GAP_S_MIN:
            gap_s = _GAP_S_MIN
        self.level_dbm += (rssi_dbm - self.level_dbm) * gap_s / (SMOOTHING_S + gap_s)
        self.heard_s = t_s


def fresh(signals: Iterable[tuple[W, Signal]]) -> list[tuple[W, Signal]]:
    """Those of one beacon that tell about now, each with whatever it came with."""
    listed = list(signals)
    newest_s = max((signal.heard_s for _, signal in listed), default=0.0)
    return [(what, signal) for what, signal in listed if newest_s - signal.heard_s <= _FRESH_S]
