"""The machine's clocks. HQ's wall clock is kept by its operating system; rules never rest on it alone."""

import time

from cloud_api.ports.machine import Clock


class SystemClock(Clock):
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_s(self) -> float:
        return time.monotonic()
