"""What one simulated run came to."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """``seen``: how often each kind of event was seen."""

    seed: int
    violations: tuple[str, ...]
    trace_hash: str
    seen: Counter[str]
