"""Measures on recorded data what the generated recording imitates; ``python -m tests.bench.fit_radio`` prints it.

The constants of ``provisioning.recording`` are these figures. Floor data: position-annotated RSSI of Danis et al.
(philotuxo, CC0). Strangers: one phone's advertising reports from DP-3T (CC BY-ND, measured, not copied).
"""

import csv
import json
import math
import os
import struct
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, linear_regression, median, pstdev

from engagement.advertisement.frames import read_frames
from engagement.advertisement.structures import COMPANY_DATA, SERVICE_DATA_16, cut_structures
from tests.fakes.tracks import Floor, Place

# Below this receivers lose packets, so what was heard there is too strong on average.
_CENSORED_DBM = -85.0
_ADDRESSES_HEARD_MIN = 20


def _share(values: Iterable[bool]) -> float:
    listed = list(values)
    return round(sum(listed) / len(listed), 3)


def _distances(floor: Floor, folder: Path) -> tuple[list[float], list[float]]:
    """log10 of metres and mean level, for every surveyed spot and receiver heard well there."""
    logs, levels = [], []
    with (folder / "fingerprints_summary.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            there = floor.places[row["sensor"]]
            away_m = max(0.5, math.hypot(there.x_m - float(row["x"]), there.y_m - float(row["y"])))
            if float(row["mean"]) > _CENSORED_DBM:
                logs.append(math.log10(away_m))
                levels.append(float(row["mean"]))
    return logs, levels


def fit_floor(folder: Path) -> dict[str, float]:
    """Path loss, its spread from place to place, the fading of a still and of a walking beacon."""
    floor = Floor(folder, quarters=False)
    logs, levels = _distances(floor, folder)
    slope, level_at_1m = linear_regression(logs, levels)
    residuals = [level - level_at_1m - slope * log for log, level in zip(logs, levels, strict=True)]
    still, gaps_s = _still_links(folder)
    walking, correlation = _walking_links(floor, slope, level_at_1m)
    interval_s = median(gap_s for gap_s in gaps_s if gap_s > 0.2)
    return {
        "path_loss_exponent": round(-slope / 10, 2),
        "level_at_1m_dbm": round(level_at_1m, 1),
        "shadowing_sd_db": round(pstdev(residuals), 1),
        "still_fading_sd_db": round(fmean(still), 1),
        "walking_residual_sd_db": round(walking, 1),
        "walking_correlation_at_1s": round(correlation, 2),
        "interval_s": round(interval_s, 3),
        "lost_share": _share(gap_s > 1.5 * interval_s for gap_s in gaps_s),
    }


def _still_links(folder: Path) -> tuple[list[float], list[float]]:
    deviations, gaps_s = [], []
    for path in sorted((folder / "hst" / "static_samples").glob("*.mbd")):
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        deviations.append(pstdev(int(row[3]) for row in rows))
        gaps_s += [float(later[0]) - float(earlier[0]) for earlier, later in pairwise(rows)]
    return deviations, gaps_s


def _walking_links(floor: Floor, slope: float, level_at_1m: float) -> tuple[float, float]:
    """What path loss does not explain on the walks: its deviation, and how alike it is about a second later."""
    residuals: list[float] = []
    now, later = [], []
    for walk in ("zigzagging_without_rotation", "rectangular_without_rotation", "straight_01"):
        by_receiver: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for sighting, place in floor.walk(walk):
            assert sighting.rssi_dbm is not None
            expected_dbm = level_at_1m + slope * math.log10(
                max(0.5, _away_m(floor.places[sighting.adapter], place))
            )
            by_receiver[sighting.adapter].append((sighting.t_s, sighting.rssi_dbm - expected_dbm))
        for heard in by_receiver.values():
            mean = fmean(residual for _, residual in heard)
            residuals += [residual - mean for _, residual in heard]
            pairs = _a_second_apart(heard)
            now += [one - mean for one, _ in pairs]
            later += [other - mean for _, other in pairs]
    alike = fmean(one * other for one, other in zip(now, later, strict=True))
    return pstdev(residuals), alike / (pstdev(now) * pstdev(later))


def _a_second_apart(heard: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [
        (residual, heard[index + 2][1])
        for index, (t_s, residual) in enumerate(heard[:-2])
        if 0.7 < heard[index + 2][0] - t_s < 1.3
    ]


def _away_m(one: Place, other: Place) -> float:
    return math.hypot(one.x_m - other.x_m, one.y_m - other.y_m)


def fit_strangers(path: Path) -> dict[str, object]:
    """How passers-by's phones advertise: intervals, how long an address lives, levels and kinds of payload."""
    by_address: dict[bytes, list[tuple[float, int, bytes]]] = defaultdict(list)
    kinds: dict[str, int] = defaultdict(int)
    for t_s, address, rssi_dbm, data in _reports(path):
        by_address[address].append((t_s, rssi_dbm, data))
        kinds[_kind(data)] += 1
    often = [heard for heard in by_address.values() if len(heard) >= _ADDRESSES_HEARD_MIN]
    gaps_s = [later[0] - earlier[0] for heard in often for earlier, later in pairwise(heard)]
    lives_s = [heard[-1][0] - heard[0][0] for heard in often]
    total = sum(kinds.values())
    return {
        "addresses": len(by_address),
        "gap_median_s": round(median(gaps_s), 3),
        "address_life_median_s": round(median(lives_s)),
        "level_median_dbm": median(row[1] for heard in by_address.values() for row in heard),
        "payloads_per_address": round(fmean(len({row[2] for row in heard}) for heard in often), 2),
        "kinds": {kind: round(count / total, 2) for kind, count in sorted(kinds.items())},
    }


def _kind(data: bytes) -> str:
    if read_frames(data).frames:
        return "beacon"
    for kind, content in cut_structures(data):
        if kind == SERVICE_DATA_16 and content[:2] == b"\x6f\xfd":
            return "exposure_notification"
        if kind == COMPANY_DATA and content[:2] == b"\x4c\x00":
            return "apple"
    return "other"


def _reports(path: Path) -> Iterable[tuple[float, bytes, int, bytes]]:
    """Legacy advertising reports of a btsnoop file in H4 framing, one report an event as phones write them."""
    raw = path.read_bytes()
    at = 16
    while at + 24 <= len(raw):
        _, length, _, _, stamp_us = struct.unpack_from(">IIIIq", raw, at)
        packet = raw[at + 24 : at + 24 + length]
        at += 24 + length
        if packet[:1] == b"\x04" and packet[1] == 0x3E and packet[3] == 0x02:
            data = packet[14 : 14 + packet[13]]
            yield stamp_us / 1e6, packet[7:13], packet[14 + len(data)] - 256, data


def main() -> None:
    data = Path(os.environ.get("BECKON_DATA") or "../shared/data")
    if not data.exists():
        sys.exit(f"no recordings at {data}; BECKON_DATA names their folder")
    fitted = {
        "floor": fit_floor(data / "philotuxo"),
        "strangers": fit_strangers(data / "dp3t_btsnoop" / "exp34_pcaps_20.btsnoop"),
    }
    print(json.dumps(fitted, indent=1))


if __name__ == "__main__":
    main()
