"""The recorded walks with a true position on every packet (philotuxo), as sightings and fingerprints.

Twelve receivers, named sensor10 to sensor42; the tens digit is the mini-PC, one to a quarter of the floor.
"""

import ast
import csv
from collections import defaultdict
from collections.abc import Iterator
from math import hypot
from pathlib import Path
from typing import NamedTuple

from engagement.advertisement.sighting import Sighting
from engagement.estate.beacon import Beacon, IBeaconIdentity
from engagement.ids import BeaconName, ZoneName
from engagement.presence.fingerprints import Fingerprints, Spot, SpotReading

WALKER = Beacon(
    name=BeaconName("walker"),
    role="tag",
    ibeacon=IBeaconIdentity.model_validate(
        {"uuid": "fda50693-a4e2-4fb1-afcf-c6eb07647825", "major": 1, "minor": 1}
    ),
)


class Place(NamedTuple):
    x_m: float
    y_m: float


class Floor:
    """``quarters``: four zones of three receivers each; otherwise each receiver is a zone of its own."""

    def __init__(self, folder: Path, *, quarters: bool) -> None:
        self._folder = folder
        text = (folder / "cnf" / "tetam.dev").read_text(encoding="utf-8")
        rows = ast.literal_eval(text.split("Dongles:")[1].split("\n")[0].strip())
        self._names: dict[str, str] = {mac: name for mac, (_, _, name) in rows.items()}
        self.places: dict[str, Place] = {name: Place(*place[:2]) for place, _, name in rows.values()}
        self._quarters = quarters

    def zones(self) -> dict[str, ZoneName]:
        return {name: self._zone_of(name) for name in self.places}

    def true_zone(self, place: Place) -> ZoneName:
        """The zone of the nearest receiver, or the quarter of the floor."""
        if self._quarters:
            column = ("1", "2") if place.x_m < 10.05 else ("4", "3")
            return ZoneName(column[place.y_m >= 8.85])
        return self._zone_of(self._nearest(place))

    def fingerprints(self) -> Fingerprints:
        """The survey that was made days before the walks."""
        readings: dict[Place, dict[str, SpotReading]] = defaultdict(dict)
        with (self._folder / "fingerprints_summary.csv").open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                readings[Place(float(row["x"]), float(row["y"]))][row["sensor"]] = SpotReading(
                    n=int(row["n"]), mean_dbm=float(row["mean"]), sd_db=float(row["sd"])
                )
        spots = tuple(
            Spot(zone=self.true_zone(place), x_m=place.x_m, y_m=place.y_m, readings=heard)
            for place, heard in sorted(readings.items())
        )
        return Fingerprints(version=1, receivers=tuple(sorted(self.places)), spots=spots)

    def walk(self, name: str) -> list[tuple[Sighting, Place]]:
        path = self._folder / "trk" / f"{name}_all_sensors.mbd"
        return sorted(self._packets(path))

    def _packets(self, path: Path) -> Iterator[tuple[Sighting, Place]]:
        for line in path.read_text(encoding="utf-8").splitlines():
            t_s, mac, _, rssi, x_m, y_m, *_ = line.split(",")
            sighting = Sighting(float(t_s), WALKER.name, self._names[mac], int(rssi), None)
            yield sighting, Place(float(x_m), float(y_m))

    def _zone_of(self, name: str) -> ZoneName:
        return ZoneName(name.removeprefix("sensor")[0] if self._quarters else name)

    def _nearest(self, place: Place) -> str:
        return min(self.places, key=lambda name: _away_m(self.places[name], place))


def _away_m(one: Place, other: Place) -> float:
    return hypot(one.x_m - other.x_m, one.y_m - other.y_m)
