"""The survey of a store: how strong a beacon was heard by each receiver at spots that somebody walked to."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engagement.ids import LABEL, ZoneName
from engagement.values import Value

# A store is surveyed in metres, not centimetres; this bounds the work of a step.
_SPOTS_MAX = 2000


class SpotReading(Value):
    """``n`` packets heard from the spot by one receiver, their mean in dBm and standard deviation in dB."""

    n: Annotated[int, Field(ge=1)]
    mean_dbm: Annotated[float, Field(ge=-127, le=20)]
    sd_db: Annotated[float, Field(ge=0, le=60)]


class Spot(Value):
    zone: Annotated[ZoneName, LABEL]
    x_m: Annotated[float, Field(allow_inf_nan=False)]
    y_m: Annotated[float, Field(allow_inf_nan=False)]
    readings: dict[str, SpotReading]


class Fingerprints(Value):
    """``receivers`` are adapter names; a receiver without a reading at a spot did not hear it there."""

    version: Literal[1]
    receivers: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    spots: Annotated[tuple[Spot, ...], Field(min_length=1, max_length=_SPOTS_MAX)]

    @model_validator(mode="after")
    def _readings_are_of_receivers(self) -> "Fingerprints":
        unknown = {name for spot in self.spots for name in spot.readings} - set(self.receivers)
        if unknown:
            raise ValueError(f"readings of {', '.join(sorted(unknown))}, not listed under receivers")
        return self
