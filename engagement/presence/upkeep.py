"""What a beacon needs from a person: a battery, or a look at why it went silent."""

from engagement.advertisement.frames import EddystoneTlm

# A CR2032 holds 3.0 V for most of its life and falls off steeply below 2.5 V; 2.0 V is where radios brown out.
BATTERY_LOW_MV = 2500
# A cold night lowers a battery by about this much; only a new one rises further.
_BATTERY_RECOVERY_MV = 200
# A hanging beacon sends at least every few seconds; ten minutes outlast a delivery parked in front of it.
SILENT_S = 600.0


class Battery:
    """Says once that a battery is low, and again only after it was changed."""

    __slots__ = ("is_low",)

    def __init__(self) -> None:
        self.is_low = False

    def read(self, telemetry: EddystoneTlm) -> bool:
        """Whether this reading is the first low one."""
        battery_mv = telemetry.battery_mv
        if battery_mv is None:
            return False
        if self.is_low:
            self.is_low = battery_mv < BATTERY_LOW_MV + _BATTERY_RECOVERY_MV
            return False
        self.is_low = battery_mv < BATTERY_LOW_MV
        return self.is_low
