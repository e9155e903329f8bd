"""Presence from a recording, on the recording's own time: what the agent would have seen.

Reading the recording is left to an adapter, telling the lines to the command.
"""

from collections.abc import Iterator

from engagement.advertisement.matching import BeaconIndex
from engagement.advertisement.packet import Advertisement
from engagement.estate.branch import Branch
from engagement.ids import ZoneName
from engagement.presence.change import Change, Standing
from engagement.presence.fingerprints import Fingerprints
from engagement.presence.tracker import PresenceTracker

# Contract's precision: signals are whole decibels, and nobody acts on a thousandth of a share.
_SHARE_DIGITS = 3
_DBM_DIGITS = 1
_TIME_DIGITS = 6

Line = dict[str, object]


def ambiguous_receivers(branch: Branch) -> list[str]:
    """Adapter names that stand in more than one zone, because each of several agents has one of that name."""
    zones: dict[str, set[ZoneName]] = {}
    for agent in branch.agents:
        for receiver in agent.receivers:
            zones.setdefault(receiver.adapter, set()).add(receiver.zone)
    return sorted(adapter for adapter, places in zones.items() if len(places) > 1)


def receiver_zones(branch: Branch) -> dict[str, ZoneName]:
    """Each receiver's zone by its adapter name; of several agents with the same name for one, the first listed."""
    zones: dict[str, ZoneName] = {}
    for agent in branch.agents:
        for receiver in agent.receivers:
            zones.setdefault(receiver.adapter, receiver.zone)
    return zones


class Replay:
    """``take`` the advertisements in order; each gives the lines that the contract describes, in order of ``t``.

    ``state_every_s`` None: no state lines. The first comes that long after the first advertisement. The end of a
    recording is no event: ``finish`` tells only what is due at the last advertisement's time.
    """

    def __init__(
        self, branch: Branch, *, fingerprints: Fingerprints | None, state_every_s: float | None
    ) -> None:
        self._index = BeaconIndex(branch.beacons)
        self._tracker = PresenceTracker(branch.beacons, receiver_zones(branch), fingerprints=fingerprints)
        self._state_every_s = state_every_s
        self._first_s: float | None = None
        self._states = 0
        self._reached_s = 0.0

    def take(self, advertisement: Advertisement) -> Iterator[Line]:
        t_s = advertisement.t_s
        if self._first_s is None:
            self._first_s = t_s
        yield from self._states_before(t_s)
        # A recording's time is Unix time where it has rotating identities; for all others it does not matter.
        self._index.tick(t_s)
        sighting = self._index.sight(advertisement)
        if sighting is not None:
            self._tracker.hear(sighting)
        self._reached_s = t_s
        yield from map(_change_line, self._tracker.advance(t_s))

    def finish(self) -> Iterator[Line]:
        due_s = self._state_due_s()
        if due_s is not None and due_s <= self._reached_s:
            yield self._state_line(due_s)

    def _states_before(self, t_s: float) -> Iterator[Line]:
        """States of instants that no further advertisement can change."""
        while (due_s := self._state_due_s()) is not None and due_s < t_s:
            yield from map(_change_line, self._tracker.advance(due_s))
            yield self._state_line(due_s)

    def _state_due_s(self) -> float | None:
        if self._state_every_s is None or self._first_s is None:
            return None
        # A product, not a sum: rounding does not add up.
        return self._first_s + (self._states + 1) * self._state_every_s

    def _state_line(self, t_s: float) -> Line:
        self._states += 1
        standings = sorted(self._tracker.present().items())
        beacons = {str(name): _standing_line(standing) for name, standing in standings}
        return {"t": round(t_s, _TIME_DIGITS), "kind": "state", "beacons": beacons}


def _change_line(change: Change) -> Line:
    line: Line = {
        "t": round(change.t_s, _TIME_DIGITS),
        "kind": str(change.kind),
        "beacon": change.beacon,
        "zone": change.zone,
        "confidence": round(change.confidence, _SHARE_DIGITS),
    }
    if change.dwell_s is not None:
        line["dwell_s"] = round(change.dwell_s, _SHARE_DIGITS)
    if change.need is not None:
        line["need"] = str(change.need)
    if change.battery_mv is not None:
        line["battery_mv"] = change.battery_mv
    return line


def _standing_line(standing: Standing) -> Line:
    return {
        "zone": standing.zone,
        "confidence": round(standing.confidence, _SHARE_DIGITS),
        "rssi": None if standing.rssi_dbm is None else round(standing.rssi_dbm, _DBM_DIGITS),
    }
