"""When an agent may come again: at once while HQ is idle, else one after the other at the rate that HQ manages.

Slots are handed out like numbers at a counter, so a herd that comes back after an outage is served at full speed and
nobody asks twice in vain. Pure: the time and what was measured are given.
"""

from typing import NamedTuple

from engagement.line.answers import SLOT_MS_MAX

# Before anything was measured: 2 ms a batch, what a small machine manages.
FIRST_GAP_S = 0.002
# Slow enough to even out a group commit, which finishes dozens at once and then none for a while.
_WEIGHT = 0.02
# Pauses longer than this are idleness that was missed, not work.
_GAP_S_MAX = 1.0


class Pace(NamedTuple):
    """``gap_s``: mean time from one finished batch to the next while others waited; ``promised_mono_s``: up to when
    slots were handed out."""

    gap_s: float = FIRST_GAP_S
    promised_mono_s: float = 0.0


def finished(pace: Pace, *, gap_s: float) -> Pace:
    """Learn from one more batch that was finished ``gap_s`` after the one before it, while others waited."""
    return pace._replace(gap_s=pace.gap_s + _WEIGHT * (min(gap_s, _GAP_S_MAX) - pace.gap_s))


def next_slot(pace: Pace, *, now_mono_s: float, in_hand: int, free_until: int) -> tuple[Pace, int]:
    """How many ms to stay away, and the pace with that slot taken.

    ``in_hand``: batches that are being worked on; up to ``free_until`` of them nobody is sent away, unless slots were
    promised to others and their time has not come.
    """
    if in_hand <= free_until and pace.promised_mono_s <= now_mono_s:
        return pace, 0
    slot_mono_s = max(pace.promised_mono_s, now_mono_s + in_hand * pace.gap_s)
    slot_ms = min(round((slot_mono_s - now_mono_s) * 1000), SLOT_MS_MAX)
    taken_mono_s = min(slot_mono_s + pace.gap_s, now_mono_s + SLOT_MS_MAX / 1000)
    return pace._replace(promised_mono_s=taken_mono_s), max(slot_ms, 1)
