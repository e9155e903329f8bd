"""What the presence tracker says: one value per change."""

from dataclasses import dataclass
from enum import StrEnum

from engagement.ids import BeaconName, ZoneName


class ChangeKind(StrEnum):
    ENTER = "enter"
    DWELL = "dwell"
    LEAVE = "leave"
    ZONE = "zone"
    UPKEEP = "upkeep"


class UpkeepNeed(StrEnum):
    """What a person should see to; HEARD_AGAIN takes SILENT back."""

    BATTERY_LOW = "battery_low"
    SILENT = "silent"
    HEARD_AGAIN = "heard_again"


@dataclass(frozen=True, slots=True)
class Change:
    """``zone`` None: unsure. ``confidence`` 0..1 that the beacon is in ``zone``, or in the likeliest zone when unsure.

    ``dwell_s``: on dwell the threshold that was reached, on leave the seconds between enter and the last sign of
    life. ``need`` and ``battery_mv`` (with BATTERY_LOW) are set on upkeep alone.
    """

    t_s: float
    kind: ChangeKind
    beacon: BeaconName
    zone: ZoneName | None
    confidence: float
    dwell_s: float | None = None
    need: UpkeepNeed | None = None
    battery_mv: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """One present beacon as of now. ``rssi_dbm``: the smoothed signal at the receiver that hears it best; None when
    no receiver measures."""

    zone: ZoneName | None
    confidence: float
    rssi_dbm: float | None
