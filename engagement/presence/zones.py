"""In which zone a tag is, as far as the zones of the receivers tell.

Belief is kept as a share of each zone; ``settle`` turns shares into one zone, slowly enough not to flicker. The
better answer, from a survey of the store, is ``survey``.
"""

from collections.abc import Mapping
from math import exp
from typing import NamedTuple, Protocol

from engagement.ids import ZoneName
from engagement.presence.signal import Signal, fresh

Shares = Mapping[ZoneName, float]


class Guess(NamedTuple):
    """``zone`` None: unsure; ``confidence`` is then the share of the likeliest zone."""

    zone: ZoneName | None
    confidence: float


NOWHERE = Guess(None, 0.0)


class Whereabouts(Protocol):
    """The belief about one tag's place while it is present."""

    def hear(self, adapter: str, rssi_dbm: int) -> None:
        """Note a reading."""

    def step(self, signals: Mapping[str, Signal]) -> Guess:
        """The zone as of now; called once a step."""


def settle(
    shares: Shares, zone: ZoneName | None, *, switch_odds: float, unsure_share: float, sharpness: float = 1.0
) -> Guess:
    """Stay in ``zone`` until another is ``switch_odds`` times as likely; unsure below ``unsure_share``.

    Shares to the power of ``sharpness`` are as often right as they say; that is the confidence.
    """
    if not shares:
        return NOWHERE
    best = max(shares, key=lambda name: (shares[name], name))
    if zone is None or shares[best] > switch_odds * shares.get(zone, 0.0):
        zone = best
    is_sure = shares[zone] >= unsure_share
    whole = sum(share**sharpness for share in shares.values())
    return Guess(zone if is_sure else None, shares[zone if is_sure else best] ** sharpness / whole)


# A receiver speaks for its zone with exp(level / scale), so that several receivers of a zone add up. Scale, switch and
# the smoothing of the signal were chosen on two recorded walks and judged on three others; the switch is a decibel
# wider than walks alone would have it, so that a resting beacon stays where it is.
_SCALE_DB = 3.0
_SWITCH_DB = 4.0
_SWITCH_ODDS = exp(_SWITCH_DB / _SCALE_DB)
_UNSURE_SHARE = 0.1
# What a zone is credited with whose receivers hear nothing.
_FLOOR_DBM = -100.0


class ByReceiver:
    """No survey: the zone of the receiver that hears the tag best."""

    def __init__(self, zones: Mapping[str, ZoneName]) -> None:
        self._zones = zones
        self._all = frozenset(zones.values())
        self._zone: ZoneName | None = None

    def hear(self, adapter: str, rssi_dbm: int) -> None:
        """Nothing to note: the smoothed signals say it all."""

    def step(self, signals: Mapping[str, Signal]) -> Guess:
        weights = dict.fromkeys(self._all, exp(_FLOOR_DBM / _SCALE_DB))
        known = [
            (self._zones[adapter], signal) for adapter, signal in signals.items() if adapter in self._zones
        ]
        heard = fresh(known)
        if not heard:
            self._zone = None
            return NOWHERE
        for zone, signal in heard:
            weights[zone] += exp(signal.level_dbm / _SCALE_DB)
        whole = sum(weights.values())
        shares = {zone: weight / whole for zone, weight in weights.items()}
        guess = settle(
            shares,
            self._zone,
            switch_odds=_SWITCH_ODDS,
            unsure_share=_UNSURE_SHARE,
        )
        self._zone = guess.zone
        return guess
