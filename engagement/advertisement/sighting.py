"""An advertisement that one of our beacons sent."""

from typing import NamedTuple

from engagement.advertisement.frames import EddystoneTlm
from engagement.ids import BeaconName


class Sighting(NamedTuple):
    """``t_s``, ``adapter`` and ``rssi_dbm`` as in the advertisement; ``telemetry`` when it carried any.

    It has no address: from here on a transmitter is known by its name in the inventory alone.
    """

    t_s: float
    beacon: BeaconName
    adapter: str
    rssi_dbm: int | None
    telemetry: EddystoneTlm | None
