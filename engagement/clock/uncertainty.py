"""How far a wall clock may be wrong, judged from readings alone.

A jump that boottime does not explain only widens the error; only a clock that the system calls synchronised, or
HQ's signed time, narrows it again. A clock below the floor (the newest instant on disk) is certainly wrong.
"""

from typing import NamedTuple

# What an unsynchronised but sane clock is trusted to: a mini-PC's drift of 20 ppm over half a year.
UNSYNCHRONISED_ERROR_MS = 5 * 60_000
# Steps smaller than this are slewing or scheduling, not a jump.
JUMP_MS_MIN = 2_000


class Reading(NamedTuple):
    """``max_error_ms``: what the system vouches for; None when it does not call its clock synchronised."""

    wall_ms: int
    boottime_ms: int
    max_error_ms: int | None


class Trust(NamedTuple):
    """What is believed after a reading: corrected wall time, its error, and the reading it is anchored to."""

    wall_ms: int
    error_ms: int
    anchor: Reading
    widened_ms: int


def first_trust(reading: Reading, floor_ms: int) -> Trust:
    """Belief at the start. ``floor_ms``: an instant that has certainly passed."""
    anchor = Reading(reading.wall_ms, reading.boottime_ms, reading.max_error_ms)
    return _believe(reading, anchor, widened_ms=0, floor_ms=floor_ms)


def next_trust(before: Trust, reading: Reading, floor_ms: int) -> Trust:
    """Belief after another reading of the same boot."""
    if reading.max_error_ms is not None:
        return _believe(reading, reading, widened_ms=0, floor_ms=floor_ms)
    passed_ms = reading.boottime_ms - before.anchor.boottime_ms
    jumped_ms = abs(reading.wall_ms - before.anchor.wall_ms - passed_ms)
    if jumped_ms < JUMP_MS_MIN:
        return _believe(reading, before.anchor, widened_ms=before.widened_ms, floor_ms=floor_ms)
    return _believe(reading, reading, widened_ms=before.widened_ms + jumped_ms, floor_ms=floor_ms)


def _believe(reading: Reading, anchor: Reading, *, widened_ms: int, floor_ms: int) -> Trust:
    vouched_ms = reading.max_error_ms if reading.max_error_ms is not None else UNSYNCHRONISED_ERROR_MS
    below_ms = max(floor_ms - reading.wall_ms, 0)
    return Trust(
        wall_ms=reading.wall_ms + below_ms,
        error_ms=vouched_ms + widened_ms + below_ms,
        anchor=anchor,
        widened_ms=widened_ms,
    )
