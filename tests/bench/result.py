"""One figure of the benchmark, as out/bench.json holds it."""

from statistics import median
from typing import NamedTuple


class Figure(NamedTuple):
    """``ratio`` = value / peer_value; both None where there is no peer."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None

    def as_json(self) -> dict[str, object]:
        ratio = None if self.peer_value is None else round(self.value / self.peer_value, 3)
        rounded_peer = None if self.peer_value is None else float(f"{self.peer_value:.4g}")
        return {
            "name": self.name,
            "value": float(f"{self.value:.4g}"),
            "unit": self.unit,
            "peer": self.peer,
            "peer_value": rounded_peer,
            "ratio": ratio,
        }


def against(name: str, unit: str, ours: list[float], peer: str, theirs: list[float]) -> Figure:
    """Medians of alternated rounds."""
    return Figure(name, median(ours), unit, peer, median(theirs))


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed; nearest rank."""
    ranked = sorted(values)
    return ranked[min(int(len(ranked) * share), len(ranked) - 1)]
