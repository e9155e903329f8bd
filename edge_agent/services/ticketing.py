"""Gives tickets for zones to phones that just heard a zone's rotating identity.

A fixed identity proves nothing, because whoever read it once can repeat it for ever from anywhere: beacons that send
one are left out. A rotating identity is known only to those who are near the beacon while it bears it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edge_agent.services.premises import MadeOfBundle, Premises
from edge_agent.services.visit_keys import VisitKeys
from engagement.advertisement.eid import EidKey, EidTable
from engagement.advertisement.frames import EddystoneEid, read_frames
from engagement.estate.beacon import Beacon
from engagement.estate.bundle import Bundle
from engagement.ids import BeaconName, ZoneName
from engagement.visitor.ticket import TICKET_LIFE_MS, zone_of_ticket, zone_ticket

# What a phone heard longer ago says nothing about where it is.
HEARD_AGE_MS_MAX = 30_000
# A beacon's crystal loses up to 13 s a day; a quarter of an hour is two months of that. Wider, and an identity that
# was carried out of the store would go on proving presence; a beacon that lags more is registered anew.
BEACON_CLOCK_ERROR_S_MAX = 900


@dataclass(frozen=True)
class Heard:
    """An advertisement as the phone tells it: ``data`` the AD structures, heard ``age_ms`` ago."""

    data: bytes
    age_ms: int


@dataclass(frozen=True)
class Ticket:
    zone: ZoneName
    text: str
    expires_ms: int


class Ticketing:
    def __init__(self, premises: Premises, keys: VisitKeys) -> None:
        self._premises = premises
        self._keys = keys
        self._proofs = MadeOfBundle(premises, _proofs)

    def tickets(self, heard: Iterable[Heard]) -> list[Ticket]:
        """One ticket for each zone that is proved, in the order of first proof."""
        now_ms = self._premises.clock.now().wall_ms
        zones, identities = self._proofs.now
        identities.refresh(now_ms / 1000)
        proved = {
            zones[beacon]: None
            for each in heard
            if each.age_ms <= HEARD_AGE_MS_MAX
            for beacon in _beacons_in(each.data, identities)
        }
        expires_ms = now_ms + TICKET_LIFE_MS
        return [
            Ticket(zone, zone_ticket(self._keys.cookie_key, zone, expires_ms), expires_ms) for zone in proved
        ]

    def zone_of(self, ticket: str) -> ZoneName | None:
        """The zone that a ticket of ours proves now; None for any other text."""
        return zone_of_ticket(self._keys.cookie_key, ticket, self._premises.clock.now())


def _proofs(bundle: Bundle) -> tuple[dict[BeaconName, ZoneName], EidTable]:
    """The zones that rotating identities prove, by beacon, and those identities."""
    rotating = [beacon for beacon in bundle.branch.beacons if beacon.role == "zone" and beacon.eid]
    zones = {beacon.name: beacon.zone for beacon in rotating if beacon.zone is not None}
    return zones, EidTable(map(_eid_key, rotating), drift_s=BEACON_CLOCK_ERROR_S_MAX)


def _beacons_in(data: bytes, identities: EidTable) -> list[BeaconName]:
    return [
        resolved.beacon
        for frame in read_frames(data).frames
        if isinstance(frame, EddystoneEid) and (resolved := identities.resolve(frame.eid)) is not None
    ]


def _eid_key(beacon: Beacon) -> EidKey:
    assert beacon.eid is not None
    key = bytes.fromhex(beacon.eid.identity_key)
    return EidKey(beacon.name, key, beacon.eid.rotation_exponent, beacon.eid.clock_offset_s)
