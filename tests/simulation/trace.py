"""What a run showed: a trace that hashes alike for alike runs, and everything in it that was wrong."""

import asyncio
from collections import Counter
from hashlib import sha256


class Trace:
    """``violations``: in the order in which they were seen; ``seen``: how often what happened."""

    def __init__(self) -> None:
        self._trace = sha256()
        self.violations: list[str] = []
        self.seen: Counter[str] = Counter()

    @property
    def trace_hash(self) -> str:
        return self._trace.hexdigest()

    def note(self, what: str, *facts: object) -> None:
        """One visible event; all of them together are the trace."""
        self.seen[what] += 1
        line = f"{asyncio.get_running_loop().time():.6f} {what} {' '.join(map(str, facts))}\n"
        self._trace.update(line.encode())

    def demand(self, holds: bool, what: str) -> None:
        if not holds:
            self.note("violation", what)
            self.violations.append(f"at {asyncio.get_running_loop().time():.3f} s: {what}")
