"""Which of our beacons are here, and what changed: enter, dwell, leave, zone, upkeep.

Memory is bounded by the inventory: only provisioned beacons are tracked. Time comes with the sightings and with
``advance``; what happens at an instant does not depend on how often anybody asked.
"""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
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
        self.name = beacon.name
        # Where a hanging beacon hangs; None for a tag.
        self.zone: ZoneName | None = beacon.zone if beacon.role == "zone" else None
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

    def level_dbm(self) -> float | None:
        """The best smoothed signal; None when no receiver measured one."""
        return max((signal.level_dbm for _, signal in fresh(self.signals.items())), default=None)


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
        self._only_zone = next(iter(zones.values())) if len(set(zones.values())) == 1 else None
        self._dwells_s = sorted(set(dwell_s), reverse=True)
        self._survey = None if fingerprints is None else Survey(fingerprints)
        self._now_s: float | None = None
        self._changes: list[Change] = []
        self._tasks: list[tuple[float, int, _Track, _Task, int]] = []
        self._tasks_made = 0

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
        for track in self._tracks.values():
            if track.zone is not None:
                self._plan(t_s + SILENT_S, track, "silent")

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
        if track.zone is not None:
            track.guess = Guess(track.zone, 1.0)
        elif self._survey is not None:
            track.whereabouts = BySurvey(self._survey)
        elif self._only_zone is not None:
            track.guess = Guess(self._only_zone, 1.0)
        else:
            track.whereabouts = ByReceiver(self._zones)
        self._say(t_s, ChangeKind.ENTER, track)
        track.dwells_s = self._dwells_s.copy()
        track.dwell_due_s = t_s + track.dwells_s[-1] if track.dwells_s else inf
        self._plan((floor((t_s + _FIRST_STEP_S) / _STEP_S) + 1) * _STEP_S, track, "step")

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
