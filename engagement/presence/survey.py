"""In which zone a tag is, by a survey of the store: a forward filter of a hidden Markov model over surveyed spots.

On recorded tracks with twelve receivers this is right far more often, and sooner, than any rule that picks the
strongest receiver (tests/integration/test_recorded_tracks.py states how often).
"""

from collections.abc import Iterable, Mapping
from math import exp, hypot, log

from engagement.ids import ZoneName
from engagement.presence.fingerprints import Fingerprints, SpotReading
from engagement.presence.signal import Signal
from engagement.presence.zones import Guess, settle

# The four numbers below were chosen on two of the recorded walks and judged on the other three.
# A walker's pace, over one step of a second; beyond three standard deviations nobody gets in that time.
_PACE_M = 1.5
_REACH_M = 3 * _PACE_M
# Readings share their fading for seconds, so each weighs far less than if it were independent of the others.
_TRUST = 0.15
# No single reading may rule a spot out: bodies and doors get in the way.
_LOG_LIKELIHOOD_MIN = -5.0
_SWITCH_ODDS = 2.0
# A quiet minute of survey shows less spread than a crowd does.
_SD_DB_MIN = 3.0
# What a receiver that never heard a spot would have heard there.
_UNHEARD = SpotReading(n=1, mean_dbm=-90.0, sd_db=6.0)
# Beliefs below this are not spread: they cost time and decide nothing.
_NEGLIGIBLE = 1e-6
_UNSURE_SHARE = 0.2
# Readings that are trusted so little leave a belief flatter than it is right; on the held-out walks confidence is off
# by 0.05 (four zones) and 0.10 (twelve) on average.
_SHARPNESS = 1.6


class Survey:
    """Fingerprints made ready for filtering; one for a store, shared by all its tags."""

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._spots = fingerprints.spots
        self._fits: dict[tuple[str, int], list[float]] = {}
        self.receivers = frozenset(fingerprints.receivers)
        self.zones = tuple(spot.zone for spot in fingerprints.spots)
        self.steps = tuple(self._reachable())

    def _reachable(self) -> Iterable[tuple[tuple[int, float], ...]]:
        """From each spot: which spots a walker may be at one step later, and how likely."""
        for here in self._spots:
            away_m = [hypot(here.x_m - there.x_m, here.y_m - there.y_m) for there in self._spots]
            near = {
                spot: exp(-(d_m**2) / (2 * _PACE_M**2)) for spot, d_m in enumerate(away_m) if d_m <= _REACH_M
            }
            whole = sum(near.values())
            yield tuple((spot, weight / whole) for spot, weight in near.items())

    def fit(self, adapter: str, rssi_dbm: int) -> list[float]:
        """For each spot, the log-likelihood of this reading there, by its weight."""
        known = self._fits.get((adapter, rssi_dbm))
        if known is None:
            readings = (spot.readings.get(adapter, _UNHEARD) for spot in self._spots)
            known = self._fits[adapter, rssi_dbm] = [_TRUST * _fit(reading, rssi_dbm) for reading in readings]
        return known


def _fit(reading: SpotReading, rssi_dbm: int) -> float:
    sd_db = max(_SD_DB_MIN, reading.sd_db)
    return max(-0.5 * ((rssi_dbm - reading.mean_dbm) / sd_db) ** 2 - log(sd_db), _LOG_LIKELIHOOD_MIN)


class BySurvey:
    """One tag's belief over the surveyed spots."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._belief = [1 / len(survey.zones)] * len(survey.zones)
        self._heard: list[tuple[str, int]] = []
        self._zone: ZoneName | None = None

    def hear(self, adapter: str, rssi_dbm: int) -> None:
        if adapter in self._survey.receivers:
            self._heard.append((adapter, rssi_dbm))

    def step(self, signals: Mapping[str, Signal]) -> Guess:
        belief = self._walk()
        if self._heard:
            belief = self._weigh(belief)
        self._belief = belief
        shares: dict[ZoneName, float] = {}
        for zone, share in zip(self._survey.zones, belief, strict=True):
            shares[zone] = shares.get(zone, 0.0) + share
        guess = settle(
            shares, self._zone, switch_odds=_SWITCH_ODDS, unsure_share=_UNSURE_SHARE, sharpness=_SHARPNESS
        )
        self._zone = guess.zone
        return guess

    def _walk(self) -> list[float]:
        moved = [0.0] * len(self._belief)
        for share, steps in zip(self._belief, self._survey.steps, strict=True):
            if share > _NEGLIGIBLE:
                for spot, chance in steps:
                    moved[spot] += share * chance
        return moved

    def _weigh(self, belief: list[float]) -> list[float]:
        fit = self._survey.fit
        per_reading = [fit(adapter, rssi_dbm) for adapter, rssi_dbm in self._heard]
        self._heard.clear()
        logs = list(map(sum, zip(*per_reading, strict=True)))
        best = max(logs)
        weighed = [
            share * exp(log_likelihood - best) for share, log_likelihood in zip(belief, logs, strict=True)
        ]
        whole = sum(weighed)
        if whole <= 0.0:
            # The tag is where the walk could not have brought it: start over from what is heard now.
            weighed = [exp(log_likelihood - best) for log_likelihood in logs]
            whole = sum(weighed)
        return [share / whole for share in weighed]
