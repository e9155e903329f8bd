"""Which of a branch's beacons sent an advertisement.

An unmoving beacon repeats its payload, and so does a stranger's phone for minutes: what a payload means is kept, in
a bounded cache, under its raw bytes. Presence is left to ``engagement.presence``.
"""

from collections.abc import Iterable
from typing import NamedTuple

from engagement.advertisement.eid import EidKey, EidTable
from engagement.advertisement.frames import (
    AltBeacon,
    EddystoneEid,
    EddystoneTlm,
    EddystoneUid,
    Frame,
    IBeacon,
    read_frames,
)
from engagement.advertisement.packet import Advertisement
from engagement.advertisement.sighting import Sighting
from engagement.estate.beacon import (
    AltBeaconIdentity,
    Beacon,
    EddystoneUidIdentity,
    EidIdentity,
    IBeaconIdentity,
)
from engagement.ids import BeaconName

# Two generations of this size are kept: about 1.3 MB for a crowd in which every phone has a payload of its own.
_PAYLOADS_MAX = 4096
# Telemetry carries no identity and alternates with frames that do, so its sender was heard moments ago. A beacon
# changes its address no faster than every 10 minutes or so.
_ADDRESS_GOOD_S = 60.0
_ADDRESSES_MAX = 4096
# Radios say "not measured" by -127 or 127; the Core Specification ends the scale at 20 dBm.
_RSSI_NOT_MEASURED_DBM = -127
_RSSI_DBM_MAX = 20


class Match(NamedTuple):
    """What a payload says. ``beacon`` None: telemetry that only its address can tie to a beacon."""

    beacon: BeaconName | None
    telemetry: EddystoneTlm | None


class BeaconIndex:
    """The beacons of one branch, found by what they send.

    ``unix_s`` is needed where rotating identities are provisioned; ``tick`` moves it on.
    """

    def __init__(
        self, beacons: Iterable[Beacon], *, unix_s: float = 0.0, payloads_max: int = _PAYLOADS_MAX
    ) -> None:
        self._names: dict[tuple[object, ...], BeaconName] = {}
        keys: list[EidKey] = []
        for beacon in beacons:
            identity = beacon.identity
            if isinstance(identity, EidIdentity):
                key = bytes.fromhex(identity.identity_key)
                keys.append(EidKey(beacon.name, key, identity.rotation_exponent, identity.clock_offset_s))
            else:
                self._names[_provisioned(identity)] = beacon.name
        self._eids = EidTable(keys)
        self._eids.refresh(unix_s)
        self._payloads_max = payloads_max
        self._young: dict[bytes, Match | None] = {}
        self._old: dict[bytes, Match | None] = {}
        self._heard_at: dict[str, tuple[float, BeaconName]] = {}

    def tick(self, unix_s: float) -> None:
        """Follow the time; without rotating identities there is nothing to do."""
        if self._eids.refresh(unix_s):
            self._young, self._old = {}, {}

    def match(self, data: bytes) -> Match | None:
        """What one of our beacons says with this payload; None when it is a stranger's or says nothing."""
        try:
            return self._young[data]
        except KeyError:
            pass
        match = self._old[data] if data in self._old else self._read(data)
        if len(self._young) >= self._payloads_max:
            self._young, self._old = {}, self._young
        self._young[data] = match
        return match

    def sight(self, advertisement: Advertisement) -> Sighting | None:
        """The same for a whole advertisement, with telemetry tied to the beacon last heard from its address."""
        t_s, adapter, address, rssi_dbm, data = advertisement
        match = self.match(data)
        if match is None:
            return None
        beacon, telemetry = match
        if beacon is None:
            last = self._heard_at.get(address)
            if last is None or t_s - last[0] > _ADDRESS_GOOD_S:
                return None
            beacon = last[1]
        else:
            if len(self._heard_at) >= _ADDRESSES_MAX and address not in self._heard_at:
                self._heard_at.clear()
            self._heard_at[address] = (t_s, beacon)
        if rssi_dbm is not None and not _RSSI_NOT_MEASURED_DBM < rssi_dbm <= _RSSI_DBM_MAX:
            rssi_dbm = None
        return Sighting(t_s, beacon, adapter, rssi_dbm, telemetry)

    def _read(self, data: bytes) -> Match | None:
        frames = read_frames(data).frames
        beacon = next((name for name in map(self._name, frames) if name is not None), None)
        telemetry = next((frame for frame in frames if isinstance(frame, EddystoneTlm)), None)
        if beacon is None and telemetry is None:
            return None
        return Match(beacon, telemetry)

    def _name(self, frame: Frame) -> BeaconName | None:
        if isinstance(frame, EddystoneEid):
            resolved = self._eids.resolve(frame.eid)
            return None if resolved is None else resolved.beacon
        return self._names.get(_heard(frame))


def _provisioned(identity: IBeaconIdentity | EddystoneUidIdentity | AltBeaconIdentity) -> tuple[object, ...]:
    if isinstance(identity, IBeaconIdentity):
        return ("ibeacon", identity.uuid, identity.major, identity.minor)
    if isinstance(identity, EddystoneUidIdentity):
        return ("uid", bytes.fromhex(identity.namespace), bytes.fromhex(identity.instance))
    return ("altbeacon", bytes.fromhex(identity.id))


def _heard(frame: Frame) -> tuple[object, ...]:
    if isinstance(frame, IBeacon):
        return ("ibeacon", frame.uuid, frame.major, frame.minor)
    if isinstance(frame, EddystoneUid):
        return ("uid", frame.namespace, frame.instance)
    if isinstance(frame, AltBeacon):
        return ("altbeacon", frame.id)
    return ()
