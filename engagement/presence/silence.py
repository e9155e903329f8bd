"""How long a beacon may be silent before it has left: learned from its own rhythm."""

# Ten seconds of silence are 0.016 false leaves per hour and link, sixty are none (756 receiver-hours
# of the data set of Danis et al.).
LEAVE_S_MIN = 10.0
LEAVE_S_MAX = 60.0
# Until its rhythm is known.
LEAVE_S_UNKNOWN = 30.0
_GAPS_TO_KNOW = 8
# At a third of packets lost, three in a row go missing every half minute: leave after thrice the longest gap seen.
_GAPS_TO_LEAVE = 3.0
# The longest gap is forgotten over this time, so that one outage does not slow every later leave.
_MEMORY_S = 120.0


class Rhythm:
    """The gaps between a beacon's packets, whichever receiver heard them."""

    __slots__ = ("_gaps", "_longest_s")

    def __init__(self) -> None:
        self._gaps = 0
        self._longest_s = 0.0

    def feed(self, gap_s: float) -> None:
        if gap_s > LEAVE_S_MAX:
            return
        self._gaps += 1
        if gap_s >= self._longest_s:
            self._longest_s = gap_s
        else:
            self._longest_s -= self._longest_s * gap_s / _MEMORY_S

    @property
    def leave_s(self) -> float:
        """Silence after which the beacon has left."""
        at_least_s = LEAVE_S_MIN if self._gaps >= _GAPS_TO_KNOW else LEAVE_S_UNKNOWN
        return min(max(self._longest_s * _GAPS_TO_LEAVE, at_least_s), LEAVE_S_MAX)
