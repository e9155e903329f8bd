"""The live picture of who and what is near, for the staff page. In memory only: it is gone with the process."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

from edge_agent.ports import Clock
from engagement.estate.beacon import Beacon
from engagement.ids import BeaconName, MemberId, ZoneName
from engagement.presence.change import Change, ChangeKind, Standing

# Lines of the page's log; a shop's last quarter of an hour.
RECENT_MAX = 50


@dataclass(frozen=True, slots=True)
class Present:
    """One beacon that is here. ``since_ms``: Unix ms of its enter; ``dwell_s``: how long it has been here;
    ``rssi_dbm``: smoothed, at the receiver that hears it best."""

    beacon: BeaconName
    role: str
    member: MemberId | None
    zone: ZoneName | None
    confidence: float
    since_ms: int
    dwell_s: float
    rssi_dbm: float | None


@dataclass(frozen=True, slots=True)
class Happened:
    """A change, for the log under the picture. ``zone`` None: unsure."""

    at_ms: int
    beacon: BeaconName
    kind: ChangeKind
    zone: ZoneName | None
    dwell_s: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """``present``: by name; ``recent``: newest first. ``version`` rises with every change."""

    version: int
    present: tuple[Present, ...]
    recent: tuple[Happened, ...]


class Board:
    """Written by hearing, read by the staff page; a reader that is slow sees the latest picture, not every one."""

    def __init__(self, beacons: Iterable[Beacon], clock: Clock) -> None:
        self._beacons = {beacon.name: beacon for beacon in beacons}
        self._clock = clock
        self._entered: dict[BeaconName, tuple[float, int]] = {}
        self._standing: Mapping[BeaconName, Standing] = {}
        self._recent: deque[Happened] = deque(maxlen=RECENT_MAX)
        self._version = 0
        self._changed = asyncio.Event()

    def renew(self, beacons: Iterable[Beacon], standing: Mapping[BeaconName, Standing]) -> None:
        """These are the beacons from now on, and this is where they are; the log keeps what was."""
        self._beacons = {beacon.name: beacon for beacon in beacons}
        self._standing = standing
        self._turn()

    def note(self, change: Change) -> None:
        """Take a change into the log."""
        now_ms = self._clock.now().wall_ms
        if change.kind is ChangeKind.ENTER:
            self._entered[change.beacon] = (change.t_s, now_ms)
        elif change.kind is ChangeKind.LEAVE:
            self._entered.pop(change.beacon, None)
        self._recent.appendleft(Happened(now_ms, change.beacon, change.kind, change.zone, change.dwell_s))
        self._turn()

    def update(self, standing: Mapping[BeaconName, Standing]) -> None:
        """Take over where everything is and how strong; readers are woken by changes alone."""
        self._standing = standing

    def picture(self) -> Picture:
        mono_s = self._clock.mono_s()
        present = [
            self._present(self._beacons[name], standing, mono_s)
            for name, standing in sorted(self._standing.items())
        ]
        return Picture(self._version, tuple(present), tuple(self._recent))

    async def pictures(self, *, every_s: float) -> AsyncIterator[Picture]:
        """A picture now, after every change, and at the latest every ``every_s`` seconds."""
        while True:
            changed = self._changed
            yield self.picture()
            try:
                async with asyncio.timeout(every_s):
                    await changed.wait()
            except TimeoutError:
                continue

    def _turn(self) -> None:
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _present(self, beacon: Beacon, standing: Standing, mono_s: float) -> Present:
        entered_s, since_ms = self._entered.get(beacon.name, (mono_s, self._clock.now().wall_ms))
        return Present(
            beacon=beacon.name,
            role=beacon.role,
            member=beacon.member,
            zone=standing.zone,
            confidence=standing.confidence,
            since_ms=since_ms,
            dwell_s=max(mono_s - entered_s, 0.0),
            rssi_dbm=standing.rssi_dbm,
        )
