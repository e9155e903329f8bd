"""Writes the recording that a store without a Bluetooth adapter plays: half an hour of its air, made up by seed.

Members and guests walk in with the inventory's tags, linger and leave; the branch's own beacons hang; strangers'
phones pass and change their addresses; some packets are garbage. The same branch and seed give the same bytes.
Signals follow what ``tests/bench/fit_radio.py`` measures on recorded data: the position-annotated RSSI of Danis et
al. (CC0) for the floor, one phone's advertising reports of DP-3T for strangers. What is assumed is said where it
stands. Rotating identities are left out: a recording is played at another time than it was written for.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import count
from math import exp, hypot, log10
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import UUID

from engagement.advertisement.frames import (
    AltBeacon,
    EddystoneTlm,
    EddystoneUid,
    Frame,
    IBeacon,
    encode_frame,
)
from engagement.advertisement.structures import (
    COMPANY_DATA,
    FLAGS,
    SERVICE_DATA_16,
    Structure,
    join_structures,
)
from engagement.estate.beacon import (
    AltBeaconIdentity,
    Beacon,
    EddystoneUidIdentity,
    EidIdentity,
    IBeaconIdentity,
)
from engagement.estate.branch import Branch, Receiver
from engagement.ids import ZoneName

DURATION_S = 1800.0
# The store is empty before the end, so that a recording that is played again begins with people coming in.
_CLOSED_S = 60.0

# Fitted: see the module's docstring.
_PATH_LOSS_EXPONENT = 1.36
_LEVEL_AT_1M_DBM = -62.4
_PLACE_SD_DB = 4.2
_FADING_SD_DB = 3.7
# A level a second's walk further is alike by 0.23 in all, which is 0.44 of the part that depends on the place.
_PLACE_ALIKE_M = 1.3
_TAG_INTERVAL_S = 0.455
_LOST_SHARE = 0.10
_PHONE_ADDRESS_LIFE_S = 540.0
_PHONE_PAYLOAD_LIFE_S = _PHONE_ADDRESS_LIFE_S / 1.66

# Assumed: what a shop front takes away, and where a receiver's hearing ends.
_FRONT_DB = 10.0
_HEARING_DBM, _HEARING_WIDTH_DB = -94.0, 1.5
_PACE_M_PER_S = 1.1
_ADVERT_DELAY_S = 0.010  # the random delay of the Core Specification

# Limits of the file, about 150 bytes a line; a large branch is heard more seldom rather than in a larger file.
_FIXED_LINES_MAX = 12_000
_TAG_LINES_MAX = 22_000
_PHONE_LINES_MAX = 20_000
_FIXED_INTERVAL_S = 2.0
_TELEMETRY_EVERY = 10
_GARBAGE_SHARE = 0.004
# What phones really send every 0.28 s; thinned to keep the file small.
_PHONE_INTERVAL_S = 1.1
_PHONES_AT_ONCE = 8
_PASSING_S = (20.0, 70.0)
_SHOPPING_S = (180.0, 600.0)
_SHOPPING_SHARE = 0.3

# The first tag comes in at once, so that a newcomer sees something happen.
_FIRST_COMES_S = 10.0
_VISIT_S = (150.0, 480.0)
_BREAK_S = (90.0, 400.0)
_LINGER_S = (30.0, 110.0)
_STREET_M = 15.0
_BEACON_POWER_1M_DBM = -59
_BEACON_POWER_0M_DBM = _BEACON_POWER_1M_DBM + 41
_BATTERY_MV, _BATTERY_LOW_MV = 2960, 2440


class _Place(NamedTuple):
    x_m: float
    y_m: float
    is_outside: bool = False


class _Packet(NamedTuple):
    t_s: float
    adapter: str
    address: str
    rssi_dbm: int
    data: bytes


def write_recording(path: Path, branch: Branch, *, seed: int) -> int:
    """Write half an hour at the branch's first agent as JSON lines; the number of lines."""
    # No secret is drawn here: the same seed must give the same air.
    rng = Random(seed)  # noqa: S311
    floor = _Floor(branch)
    tags = [beacon for beacon in branch.beacons if beacon.role == "tag"]
    fixed = [beacon for beacon in branch.beacons if beacon.role == "zone"]
    packets = [
        *_fixed_beacons(fixed, floor, rng),
        *_tags(sorted(tags, key=lambda tag: tag.member is None), floor, rng),
        *_phones(floor, rng),
    ]
    packets += _garbage(packets, rng)
    packets.sort()
    path.write_text("".join(map(_line, packets)), encoding="utf-8")
    return len(packets)


def _line(packet: _Packet) -> str:
    t_s, adapter, address, rssi_dbm, data = packet
    return (
        f'{{"t": {t_s:.3f}, "adapter": {json.dumps(adapter)}, "address": "{address}", '
        f'"rssi": {rssi_dbm}, "data": "{data.hex()}"}}\n'
    )


class _Floor:
    """Where receivers and zones are. A zone without a receiver lies beside those that have one."""

    def __init__(self, branch: Branch) -> None:
        receivers = next((agent.receivers for agent in branch.agents if agent.receivers), ())
        zones = [zone.name for zone in branch.zones] or [ZoneName("store")]
        self.receivers = receivers or (Receiver(adapter="hci0", zone=zones[0]),)
        self.zones: dict[ZoneName, _Place] = {}
        middle = _middle(self.receivers)
        for number, zone in enumerate(zones):
            inside = [receiver for receiver in self.receivers if receiver.zone == zone]
            beside_m = 5.0 * (1 if number % 2 else -1)
            self.zones[zone] = (
                _middle(inside) if inside else _Place(middle.x_m + beside_m, middle.y_m - beside_m)
            )
        self.door = self.zones[zones[0]]
        away_m = hypot(self.door.x_m - middle.x_m, self.door.y_m - middle.y_m) or 1.0
        out_x, out_y = (
            (self.door.x_m - middle.x_m) / away_m or 0.0,
            (self.door.y_m - middle.y_m) / away_m or -1.0,
        )
        self.street = _Place(
            self.door.x_m + out_x * _STREET_M, self.door.y_m + out_y * _STREET_M, is_outside=True
        )

    def near(self, zone: ZoneName, rng: Random) -> _Place:
        """Somewhere in a zone."""
        centre = self.zones[zone]
        return _Place(centre.x_m + rng.uniform(-2.0, 2.0), centre.y_m + rng.uniform(-2.0, 2.0))

    def anywhere(self, rng: Random) -> _Place:
        return self.near(rng.choice(list(self.zones)), rng)


def _middle(receivers: Iterable[Receiver]) -> _Place:
    places = [(receiver.x_m, receiver.y_m) for receiver in receivers]
    return _Place(sum(x_m for x_m, _ in places) / len(places), sum(y_m for _, y_m in places) / len(places))


class _Sender:
    """One transmitter and its fading towards each receiver."""

    def __init__(self, floor: _Floor, rng: Random) -> None:
        self._floor = floor
        self._rng = rng
        self._at: _Place | None = None
        self._of_place_db = [rng.gauss(0.0, _PLACE_SD_DB) for _ in floor.receivers]

    def send(self, t_s: float, place: _Place, address: str, data: bytes) -> Iterator[_Packet]:
        """What each receiver hears of one packet."""
        self._move(place)
        front_db = _FRONT_DB if place.is_outside else 0.0
        gauss, random = self._rng.gauss, self._rng.random
        for receiver, of_place_db in zip(self._floor.receivers, self._of_place_db, strict=True):
            away_m = max(0.5, hypot(place.x_m - receiver.x_m, place.y_m - receiver.y_m))
            level_dbm = _LEVEL_AT_1M_DBM - 10 * _PATH_LOSS_EXPONENT * log10(away_m) - front_db + of_place_db
            level_dbm += gauss(0.0, _FADING_SD_DB)
            heard_share = (1 - _LOST_SHARE) / (1 + exp((_HEARING_DBM - level_dbm) / _HEARING_WIDTH_DB))
            if random() < heard_share:
                yield _Packet(round(t_s, 3), receiver.adapter, address, min(0, round(level_dbm)), data)

    def _move(self, place: _Place) -> None:
        last, self._at = self._at, place
        if last is None or last == place:
            return
        kept = exp(-hypot(place.x_m - last.x_m, place.y_m - last.y_m) / _PLACE_ALIKE_M)
        fresh_db = _PLACE_SD_DB * (1 - kept**2) ** 0.5
        self._of_place_db = [kept * db + self._rng.gauss(0.0, fresh_db) for db in self._of_place_db]


class _Walk:
    """A way through places with times; ``at`` is asked with times that rise."""

    def __init__(self, start_s: float, start: _Place) -> None:
        self._stops: list[tuple[float, _Place]] = [(start_s, start)]
        self._next = 1

    @property
    def end_s(self) -> float:
        return self._stops[-1][0]

    def go(self, place: _Place) -> None:
        t_s, last = self._stops[-1]
        self._stops.append((t_s + hypot(place.x_m - last.x_m, place.y_m - last.y_m) / _PACE_M_PER_S, place))

    def linger(self, seconds: float) -> None:
        t_s, last = self._stops[-1]
        self._stops.append((t_s + seconds, last))

    def at(self, t_s: float) -> _Place:
        while self._next < len(self._stops) - 1 and self._stops[self._next][0] <= t_s:
            self._next += 1
        (from_s, one), (to_s, other) = self._stops[self._next - 1 : self._next + 1]
        share = min(1.0, max(0.0, (t_s - from_s) / (to_s - from_s))) if to_s > from_s else 1.0
        x_m, y_m = one.x_m + share * (other.x_m - one.x_m), one.y_m + share * (other.y_m - one.y_m)
        # Between street and door the front is passed at the door itself.
        return _Place(x_m, y_m, (one.is_outside or other.is_outside) and share < 1.0)


def _fixed_beacons(beacons: list[Beacon], floor: _Floor, rng: Random) -> Iterator[_Packet]:
    """Hanging beacons, heard all the time; the last Eddystone one is in want of a battery."""
    heard = len(beacons) * len(floor.receivers) * DURATION_S
    interval_s = max(_FIXED_INTERVAL_S, heard / _FIXED_LINES_MAX)
    eddystone = [beacon.name for beacon in beacons if beacon.eddystone_uid is not None]
    for beacon in beacons:
        frame = _frame_of(beacon)
        if frame is None or beacon.zone is None:
            continue
        is_low = beacon.name == eddystone[-1] if eddystone else False
        battery_mv = _BATTERY_LOW_MV if is_low else _BATTERY_MV
        sender, place, address = _Sender(floor, rng), floor.near(beacon.zone, rng), _address(rng)
        payload = encode_frame(frame)
        for number, t_s in enumerate(_instants(0.0, DURATION_S, interval_s, rng)):
            data = payload
            if isinstance(frame, EddystoneUid) and number % _TELEMETRY_EVERY == _TELEMETRY_EVERY - 1:
                data = encode_frame(
                    EddystoneTlm(battery_mv, 21.5, 1_000_000 + number, 3_000_000.0 + round(t_s))
                )
            yield from sender.send(t_s, place, address, data)


def _tags(tags: list[Beacon], floor: _Floor, rng: Random) -> Iterator[_Packet]:
    """Tags of members first, then the others: each comes, lingers in some zones, goes, and may come again."""
    lines = 0
    for number, tag in enumerate(tags):
        frame = _frame_of(tag)
        if frame is None:
            continue
        payload, address = encode_frame(frame), _address(rng)
        comes_s = (
            _FIRST_COMES_S if number == 0 else rng.uniform(30.0, 60.0 + 150.0 * number) % (DURATION_S / 2)
        )
        while lines < _TAG_LINES_MAX:
            walk = _visit(comes_s, floor, rng)
            if walk.end_s > DURATION_S - _CLOSED_S:
                break
            sender = _Sender(floor, rng)
            for t_s in _instants(comes_s, walk.end_s, _TAG_INTERVAL_S, rng):
                for packet in sender.send(t_s, walk.at(t_s), address, payload):
                    lines += 1
                    yield packet
            comes_s = walk.end_s + rng.uniform(*_BREAK_S)


def _visit(comes_s: float, floor: _Floor, rng: Random) -> _Walk:
    walk = _Walk(comes_s, floor.street)
    walk.go(floor.door)
    goes_s = walk.end_s + rng.uniform(*_VISIT_S)
    while walk.end_s < goes_s:
        walk.go(floor.anywhere(rng))
        walk.linger(rng.uniform(*_LINGER_S))
    walk.go(floor.door)
    walk.go(floor.street)
    return walk


def _phones(floor: _Floor, rng: Random) -> Iterator[_Packet]:
    """Strangers: most pass by outside, some shop."""
    mean_stay_s = (1 - _SHOPPING_SHARE) * sum(_PASSING_S) / 2 + _SHOPPING_SHARE * sum(_SHOPPING_S) / 2
    comes_s = -mean_stay_s
    lines = 0
    while lines < _PHONE_LINES_MAX:
        comes_s += rng.expovariate(_PHONES_AT_ONCE / mean_stay_s)
        if comes_s > DURATION_S:
            return
        is_shopping = rng.random() < _SHOPPING_SHARE
        stay_s = rng.uniform(*(_SHOPPING_S if is_shopping else _PASSING_S))
        place = floor.anywhere(rng) if is_shopping else floor.street
        for packet in _phone(comes_s, min(comes_s + stay_s, DURATION_S), place, floor, rng):
            lines += 1
            yield packet


def _phone(comes_s: float, goes_s: float, place: _Place, floor: _Floor, rng: Random) -> Iterator[_Packet]:
    """One phone: its address changes now and then, its payload more often."""
    kind = rng.choices(_PHONE_KINDS, _PHONE_KIND_WEIGHTS)[0]
    sender = _Sender(floor, rng)
    address_until_s = payload_until_s = comes_s
    address, payload = "", b""
    for t_s in _instants(comes_s, goes_s, _PHONE_INTERVAL_S, rng):
        is_new = t_s >= address_until_s
        if is_new:
            address, address_until_s = _address(rng), t_s + rng.expovariate(0.69 / _PHONE_ADDRESS_LIFE_S)
        if is_new or t_s >= payload_until_s:
            payload, payload_until_s = (
                _phone_payload(kind, rng),
                t_s + rng.expovariate(1 / _PHONE_PAYLOAD_LIFE_S),
            )
        if t_s >= 0:
            yield from sender.send(t_s, place, address, payload)


# The street of 2026 rather than that of 2020, when most of what phones sent were exposure notifications.
_PHONE_KINDS = ("apple", "other", "exposure", "beacon")
_PHONE_KIND_WEIGHTS = (0.45, 0.47, 0.05, 0.03)


def _phone_payload(kind: str, rng: Random) -> bytes:
    flags = Structure(FLAGS, b"\x1a")
    if kind == "apple":
        nearby = Structure(COMPANY_DATA, b"\x4c\x00\x10\x05" + rng.randbytes(5))
        return join_structures((flags, nearby))
    if kind == "exposure":
        return join_structures((flags, Structure(SERVICE_DATA_16, b"\x6f\xfd" + rng.randbytes(20))))
    if kind == "beacon":
        return encode_frame(IBeacon(UUID(bytes=rng.randbytes(16)), rng.randrange(9), rng.randrange(99), -59))
    company = rng.choice((b"\x06\x00", b"\x75\x00", b"\xe0\x00", b"\x7d\x02"))
    return join_structures((flags, Structure(COMPANY_DATA, company + rng.randbytes(rng.randrange(4, 22)))))


# Whole AD structures around frames that break their own rules: a URL without text, telemetry of a version that does
# not exist, an iBeacon cut short.
_MALFORMED = tuple(
    map(bytes.fromhex, ("0303aafe0416aafe10", "0303aafe0516aafe2002", "02010607ff4c0002150102"))
)


def _garbage(packets: list[_Packet], rng: Random) -> list[_Packet]:
    """Cut, bent and senseless packets between the good ones."""
    spoiled: list[_Packet] = []
    for packet in rng.sample(packets, round(len(packets) * _GARBAGE_SHARE)):
        bent = bytearray(packet.data)
        bent[rng.randrange(len(bent))] ^= 1 << rng.randrange(8)
        cut = packet.data[: rng.randrange(len(packet.data))]
        data = rng.choice((cut, bytes(bent), rng.randbytes(31), b"", *_MALFORMED))
        spoiled.append(packet._replace(address=_address(rng), data=data))
    return spoiled


def _frame_of(beacon: Beacon) -> Frame | None:
    """What a beacon sends; None for a rotating identity."""
    identity = beacon.identity
    if isinstance(identity, IBeaconIdentity):
        return IBeacon(identity.uuid, identity.major, identity.minor, _BEACON_POWER_1M_DBM)
    if isinstance(identity, EddystoneUidIdentity):
        namespace, instance = bytes.fromhex(identity.namespace), bytes.fromhex(identity.instance)
        return EddystoneUid(_BEACON_POWER_0M_DBM, namespace, instance)
    if isinstance(identity, AltBeaconIdentity):
        return AltBeacon(0x0118, bytes.fromhex(identity.id), _BEACON_POWER_1M_DBM, 0)
    assert isinstance(identity, EidIdentity)
    return None


def _instants(from_s: float, until_s: float, interval_s: float, rng: Random) -> Iterator[float]:
    start_s = from_s + rng.uniform(0.0, interval_s)
    for number in count():
        t_s = start_s + number * interval_s + rng.uniform(0.0, _ADVERT_DELAY_S)
        if t_s >= until_s:
            return
        yield t_s


def _address(rng: Random) -> str:
    """A random static address: the two highest bits are set."""
    first, *rest = rng.randbytes(6)
    return ":".join(f"{byte:02X}" for byte in (first | 0xC0, *rest))
