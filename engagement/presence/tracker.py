"""Which of our beacons are here, and what changed: enter, dwell, leave, zone, upkeep.

Memory is bounded by the inventory: only provisioned beacons are tracked. Time comes with the sightings and with
``advance``; what happens at an instant does not depend on how often anybody asked. The inventory may change meanwhile:
what did not change in it stays present.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from math import floor, inf
from typing import Literal

from engagement.advertisement.frames import EddystoneTlm
from engagement.advertisement.sighting import Sighting
from engagement.estate.beacon import Beacon
from engagement.ids import BeaconName, ZoneName
from engagement.presence.change import Change, ChangeKind, Standing, UpkeepNeed
from engagement.presence.fingerprints import Fingerprints
from engagement.presence.signal import Signal, fresh
from engagement.presence.silence import Rhythm
from engagement.presence.survey import BySurvey, Survey
from engagement.presence.upkeep import SILENT_S, Battery
from engagement.presence.zones import NOWHERE, ByReceiver, Guess, Whereabouts

# A tag in a back pocket at the far end of a store is heard at about -85 dBm; radios give up at about -97.
ENTER_DBM = -88.0
# A resting beacon crosses a threshold at its own mean 1289 times an hour; ten decibels of hysteresis on a signal
# smoothed over seconds make that none (756 receiver-hours of the data set of Danis et al.).
LEAVE_DBM = ENTER_DBM - 10.0
_FADED_STEPS = 5
DWELL_S = (60.0,)
# How often a present beacon is looked at: signal faded, zone changed, silent for too long.
_STEP_S = 1.0
# The first look waits for this, so that the receivers that hear the same packet a moment later have their say.
_FIRST_STEP_S = 0.5
# A radio that is not in the inventory is heard too; their number stays bounded.
_RECEIVERS_MAX = 64

_Task = Literal["step", "silent"]


class _Track:
    """What is known of one beacon."""

    __slots__ = (
        "battery",
        "beacon",
        "dwell_due_s",
        "dwells_s",
        "entered_s",
        "faded",
        "guess",
        "heard_s",
        "is_silent",
        "name",
        "rhythm",
        "signals",
        "visit",
        "whereabouts",
        "zone",
    )

    def __init__(self, beacon: Beacon) -> None:
        self.beacon = beacon
        self.name = beacon.name
        self.zone = _hanging_zone(beacon)
        self.signals: dict[str, Signal] = {}
        self.rhythm = Rhythm()
        self.battery = Battery()
        self.heard_s: float | None = None
        # None while absent; ``visit`` numbers the stays, so that a deadline of an earlier one is known as such.
        self.entered_s: float | None = None
        self.visit = 0
        # The stays not yet reported, longest first, and when the next is reached.
        self.dwells_s: list[float] = []
        self.dwell_due_s = inf
        self.guess = NOWHERE
        # Steps in a row in which the signal was below the threshold.
        self.faded = 0
        self.whereabouts: Whereabouts | None = None
        self.is_silent = False

    def hang(self, beacon: Beacon) -> None:
        """What the inventory says of it from now on."""
        self.beacon, self.zone = beacon, _hanging_zone(beacon)

    def is_of(self, beacon: Beacon) -> bool:
        """Whether this is the same transmitter, wherever it hangs now and whoever carries it."""
        return self.beacon.identity == beacon.identity and self.beacon.role == beacon.role

    def level_dbm(self) -> float | None:
        """The best smoothed signal; None when no receiver measured one."""
        return max((signal.level_dbm for _, signal in fresh(self.signals.items())), default=None)


def _hanging_zone(beacon: Beacon) -> ZoneName | None:
    """Where a hanging beacon hangs; None for a tag."""
    return beacon.zone if beacon.role == "zone" else None


def _kept_or_new(track: _Track | None, beacon: Beacon) -> _Track:
    return track if track is not None and track.is_of(beacon) else _Track(beacon)


class PresenceTracker:
    """``zones`` gives each receiver's zone by adapter name; ``dwell_s`` the stays to report, each once a visit.

    Sightings come in order of time; one that is late counts as of the time already reached.
    """

    def __init__(
        self,
        beacons: Iterable[Beacon],
        zones: Mapping[str, ZoneName],
        *,
        dwell_s: Iterable[float] = DWELL_S,
        fingerprints: Fingerprints | None = None,
    ) -> None:
        self._tracks = {beacon.name: _Track(beacon) for beacon in beacons}
        self._zones = dict(zones)
        self._dwells_s = sorted(set(dwell_s), reverse=True)
        self._survey = None if fingerprints is None else Survey(fingerprints)
        self._now_s: float | None = None
        self._changes: list[Change] = []
        self._tasks: list[tuple[float, int, _Track, _Task, int]] = []
        self._tasks_made = 0

    def renew(
        self, beacons: Iterable[Beacon], zones: Mapping[str, ZoneName], *, dwell_s: Iterable[float] = DWELL_S
    ) -> None:
        """Track these from the time reached on; what it changes comes with the next ``advance``.

        A transmitter that is still listed keeps its presence. One that is not leaves; so does one whose name has
        become another's. A stay that is new to report, and already passed, is not reported for this visit.
        """
        beacons, before, zones_before = tuple(beacons), self._tracks, self._zones
        thresholds_before, self._dwells_s = self._dwells_s, sorted(set(dwell_s), reverse=True)
        self._zones = dict(zones)
        self._tracks = {beacon.name: _kept_or_new(before.get(beacon.name), beacon) for beacon in beacons}
        self._drop([track for name, track in before.items() if self._tracks.get(name) is not track])
        for beacon in beacons:
            track = self._tracks[beacon.name]
            if track is not before.get(beacon.name):
                self._await_first_sign(track)
            elif track.entered_s is not None:
                self._reckon_dwells(track, thresholds_before)
                self._relocate(track, beacon, is_anew=self._zones != zones_before)
            track.hang(beacon)

    def hear(self, sighting: Sighting) -> None:
        """Take a sighting in; what it changes comes with the next ``advance``."""
        t_s, name, adapter, rssi_dbm, telemetry = sighting
        t_s = self._reach(t_s)
        track = self._tracks.get(name)
        if track is None:
            return
        if track.heard_s is not None:
            track.rhythm.feed(t_s - track.heard_s)
        track.heard_s = t_s
        is_strong = not track.signals
        if rssi_dbm is not None:
            signal = track.signals.get(adapter)
            if signal is not None:
                signal.feed(t_s, rssi_dbm)
            elif len(track.signals) < _RECEIVERS_MAX:
                signal = track.signals[adapter] = Signal(t_s, rssi_dbm)
            is_strong = signal is not None and signal.level_dbm >= ENTER_DBM
        if track.entered_s is None and is_strong:
            self._enter(track, t_s)
        if track.dwell_due_s <= t_s:
            self._dwell(track, t_s)
        if track.whereabouts is not None and rssi_dbm is not None:
            track.whereabouts.hear(adapter, rssi_dbm)
        if telemetry is not None:
            self._read_telemetry(track, t_s, telemetry)
        if track.is_silent:
            self._hear_again(track, t_s)

    def advance(self, t_s: float) -> list[Change]:
        """What changed until ``t_s`` (or the time already reached) and was not handed out before, in order of time."""
        self._reach(t_s)
        changes, self._changes = self._changes, []
        return changes

    def present(self) -> dict[BeaconName, Standing]:
        """The beacons that are here as of the time reached."""
        return {
            track.name: Standing(*track.guess, track.level_dbm())
            for track in self._tracks.values()
            if track.entered_s is not None
        }

    def _reach(self, t_s: float) -> float:
        """Let everything happen that was due until ``t_s``; the time reached, which never goes back."""
        now_s = self._now_s
        if now_s is None:
            self._start(t_s)
        elif t_s <= now_s:
            return now_s
        tasks = self._tasks
        while tasks and tasks[0][0] <= t_s:
            due_s, _, track, task, visit = heappop(tasks)
            if task == "silent":
                self._check_silence(track, due_s)
            elif visit == track.visit and track.entered_s is not None:
                self._step(track, due_s)
        self._now_s = t_s
        return t_s

    def _start(self, t_s: float) -> None:
        self._now_s = t_s
        for track in self._tracks.values():
            self._await_first_sign(track)

    def _await_first_sign(self, track: _Track) -> None:
        """A hanging beacon that is never heard is told of; a tag may be anywhere."""
        if self._now_s is not None and track.zone is not None:
            self._plan(self._now_s + SILENT_S, track, "silent")

    def _plan(self, due_s: float, track: _Track, task: _Task) -> None:
        # The count keeps tasks of one instant in the order in which they were planned.
        self._tasks_made += 1
        heappush(self._tasks, (due_s, self._tasks_made, track, task, track.visit))

    def _say(
        self,
        t_s: float,
        kind: ChangeKind,
        track: _Track,
        *,
        dwell_s: float | None = None,
        need: UpkeepNeed | None = None,
        battery_mv: int | None = None,
    ) -> None:
        zone, confidence = track.guess if track.zone is None else (track.zone, 1.0)
        self._changes.append(Change(t_s, kind, track.name, zone, confidence, dwell_s, need, battery_mv))

    def _enter(self, track: _Track, t_s: float) -> None:
        track.entered_s = t_s
        track.visit += 1
        self._locate(track)
        self._say(t_s, ChangeKind.ENTER, track)
        track.dwells_s = self._dwells_s.copy()
        track.dwell_due_s = t_s + track.dwells_s[-1] if track.dwells_s else inf
        self._plan((floor((t_s + _FIRST_STEP_S) / _STEP_S) + 1) * _STEP_S, track, "step")

    def _locate(self, track: _Track) -> None:
        """Where a beacon is as far as the inventory alone tells, and by what the rest will be told."""
        track.whereabouts, track.guess = None, NOWHERE
        in_zones = set(self._zones.values())
        if track.zone is not None:
            track.guess = Guess(track.zone, 1.0)
        elif self._survey is not None:
            track.whereabouts = BySurvey(self._survey)
        elif len(in_zones) == 1:
            track.guess = Guess(in_zones.pop(), 1.0)
        else:
            track.whereabouts = ByReceiver(self._zones)

    def _relocate(self, track: _Track, beacon: Beacon, *, is_anew: bool) -> None:
        """Say where a present beacon is now that it hangs elsewhere, or that the receivers do."""
        assert self._now_s is not None
        was = track.guess.zone
        is_moved = track.zone != _hanging_zone(beacon)
        is_guessed = track.zone is None and self._survey is None
        if not is_moved and not (is_anew and is_guessed):
            return
        track.hang(beacon)
        self._locate(track)
        if track.whereabouts is not None:
            track.guess = track.whereabouts.step(track.signals)
        if track.guess.zone != was:
            self._say(self._now_s, ChangeKind.ZONE, track)

    def _reckon_dwells(self, track: _Track, thresholds_before: Sequence[float]) -> None:
        """Of the new thresholds, those that this visit has still to reach; what was due by the old ones stays due."""
        assert self._now_s is not None
        assert track.entered_s is not None
        stay_s = self._now_s - track.entered_s
        track.dwells_s = [
            dwell_s
            for dwell_s in self._dwells_s
            if (dwell_s in track.dwells_s if dwell_s in thresholds_before else dwell_s > stay_s)
        ]
        track.dwell_due_s = track.entered_s + track.dwells_s[-1] if track.dwells_s else inf

    def _drop(self, tracks: Sequence[_Track]) -> None:
        """Forget beacons that are no longer ours; those that are here leave."""
        for track in tracks:
            if track.entered_s is not None:
                assert self._now_s is not None
                self._leave(track, self._now_s)
        gone = set(tracks)
        self._tasks = [task for task in self._tasks if task[2] not in gone]
        heapify(self._tasks)

    def _dwell(self, track: _Track, t_s: float) -> None:
        """Report what is reached at this sign of life; silence, which may be a leave, adds nothing to a stay."""
        assert track.entered_s is not None
        while track.dwell_due_s <= t_s:
            self._say(t_s, ChangeKind.DWELL, track, dwell_s=track.dwells_s.pop())
            track.dwell_due_s = track.entered_s + track.dwells_s[-1] if track.dwells_s else inf

    def _leave(self, track: _Track, t_s: float) -> None:
        assert track.entered_s is not None
        assert track.heard_s is not None
        self._say(t_s, ChangeKind.LEAVE, track, dwell_s=track.heard_s - track.entered_s)
        track.entered_s = None
        track.dwell_due_s = inf
        track.whereabouts = None
        track.guess = NOWHERE
        track.faded = 0
        track.signals.clear()

    def _step(self, track: _Track, t_s: float) -> None:
        """Look at a present beacon: gone, faded, or elsewhere."""
        assert track.heard_s is not None
        if t_s - track.heard_s >= track.rhythm.leave_s:
            self._leave(track, t_s)
            return
        level_dbm = track.level_dbm()
        is_faded = level_dbm is not None and level_dbm < LEAVE_DBM
        track.faded = track.faded + 1 if is_faded else 0
        if track.faded >= _FADED_STEPS:
            self._leave(track, t_s)
            return
        if track.whereabouts is not None:
            was = track.guess.zone
            track.guess = track.whereabouts.step(track.signals)
            if track.guess.zone != was:
                self._say(t_s, ChangeKind.ZONE, track)
        self._plan(t_s + _STEP_S, track, "step")

    def _check_silence(self, track: _Track, t_s: float) -> None:
        due_s = t_s if track.heard_s is None else track.heard_s + SILENT_S
        if due_s > t_s:
            self._plan(due_s, track, "silent")
            return
        track.is_silent = True
        self._say(t_s, ChangeKind.UPKEEP, track, need=UpkeepNeed.SILENT)

    def _hear_again(self, track: _Track, t_s: float) -> None:
        track.is_silent = False
        self._say(t_s, ChangeKind.UPKEEP, track, need=UpkeepNeed.HEARD_AGAIN)
        self._plan(t_s + SILENT_S, track, "silent")

    def _read_telemetry(self, track: _Track, t_s: float, telemetry: EddystoneTlm) -> None:
        if track.battery.read(telemetry):
            self._say(
                t_s, ChangeKind.UPKEEP, track, need=UpkeepNeed.BATTERY_LOW, battery_mv=telemetry.battery_mv
            )
