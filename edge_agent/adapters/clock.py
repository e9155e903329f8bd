"""The machine's clocks. The only place that reads them."""

import ctypes
import time
from pathlib import Path
from typing import Final

from edge_agent.ports import Clock
from engagement.clock.moment import Moment
from engagement.clock.uncertainty import Reading, Trust, first_trust, next_trust

# Above this the kernel itself no longer believes its clock. Source: Linux NTP_PHASE_LIMIT, 16 s.
_MAX_ERROR_US: Final = 16_000_000
# The kernel's estimate is asked this often; a jump is seen at once from the clocks themselves.
_ADJTIMEX_EVERY_MS: Final = 10_000
# Offset of maxerror in struct timex (LP64): modes int + pad, offset, freq, then maxerror. Source: linux/timex.h.
_TIMEX_BYTES: Final = 256
_MAXERROR_OFFSET: Final = 24


class SystemClock(Clock):
    """``floor_ms``: an instant that has certainly passed, such as the newest one in the ledger (Unix ms)."""

    def __init__(self, floor_ms: int = 0) -> None:
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._floor_ms = floor_ms
        self._vouched_ms: int | None = None
        self._vouched_at_ms = -_ADJTIMEX_EVERY_MS
        self._trust: Trust = first_trust(self._read(), floor_ms)

    def raise_floor(self, floor_ms: int) -> None:
        """Learn of an instant that has certainly passed."""
        self._floor_ms = max(self._floor_ms, floor_ms)

    def now(self) -> Moment:
        reading = self._read()
        self._trust = next_trust(self._trust, reading, self._floor_ms)
        return Moment(
            wall_ms=self._trust.wall_ms,
            error_ms=self._trust.error_ms,
            boot_id=self._boot_id,
            boottime_ms=reading.boottime_ms,
        )

    def mono_s(self) -> float:
        return time.monotonic()

    def _read(self) -> Reading:
        boottime_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        wall_ms = time.time_ns() // 1_000_000
        if boottime_ms - self._vouched_at_ms >= _ADJTIMEX_EVERY_MS:
            self._vouched_ms, self._vouched_at_ms = self._max_error_ms(), boottime_ms
        return Reading(wall_ms, boottime_ms, self._vouched_ms)

    def _max_error_ms(self) -> int | None:
        """The kernel's bound on its clock's error; None when it calls the clock unsynchronised."""
        timex = ctypes.create_string_buffer(_TIMEX_BYTES)
        if self._libc.adjtimex(timex) < 0:
            return None
        max_error_us = ctypes.c_long.from_buffer(timex, _MAXERROR_OFFSET).value
        return None if max_error_us >= _MAX_ERROR_US else max_error_us // 1000 + 1
