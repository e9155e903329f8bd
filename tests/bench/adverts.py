"""Advertisements per second through parse, match and presence on one core, beside beacontools' parser alone.

The air of a very large branch: 1,000 beacons of ours that repeat themselves every second at two receivers, strangers
who change their payload now and then, telemetry, garbage. Both sides get the same payloads in alternated rounds.
"""

import gc
import time
from random import Random
from uuid import UUID

from beacontools import parse_packet  # type: ignore[import-untyped]

from engagement.advertisement.frames import (
    AltBeacon,
    EddystoneTlm,
    EddystoneUid,
    Frame,
    IBeacon,
    encode_frame,
)
from engagement.advertisement.matching import BeaconIndex
from engagement.advertisement.packet import Advertisement
from engagement.estate.beacon import AltBeaconIdentity, Beacon, EddystoneUidIdentity, IBeaconIdentity
from engagement.ids import BeaconName, ZoneName
from engagement.presence.tracker import PresenceTracker
from tests.bench.result import Figure, against

_UUID = UUID("fda50693-a4e2-4fb1-afcf-c6eb07647825")
_BEACONS = 1000
_STRANGERS = 400
_SECONDS = 60
_ROUNDS = 5
# One payload in so many keeps the peer's round about as long as ours.
_PEER_SHARE = 20
_ZONES = {"hci0": ZoneName("door"), "hci1": ZoneName("shelf")}
# As often as the agent empties its line.
_ADVANCE_EVERY_S = 0.2


def measure() -> list[Figure]:
    rng = Random(1)
    frames = [_frame(number) for number in range(_BEACONS)]
    beacons = [_beacon(number, frame) for number, frame in enumerate(frames)]
    air = _air(frames, rng)
    payloads = [bytes(advertisement.data) for advertisement in air[::_PEER_SHARE]]
    ours, theirs = [], []
    for _ in range(_ROUNDS):
        ours.append(_ours(beacons, air))
        theirs.append(_theirs(payloads))
    return [against("adverts_per_s", "1/s", ours, "beacontools parse_packet", theirs)]


def _ours(beacons: list[Beacon], air: list[Advertisement]) -> float:
    index = BeaconIndex(beacons)
    tracker = PresenceTracker(beacons, _ZONES)
    gc.collect()
    began_s = time.perf_counter()
    changes = 0
    advance_s = 0.0
    for advertisement in air:
        sighting = index.sight(advertisement)
        if sighting is not None:
            tracker.hear(sighting)
        if advertisement.t_s >= advance_s:
            advance_s = advertisement.t_s + _ADVANCE_EVERY_S
            changes += len(tracker.advance(advertisement.t_s))
    per_s = len(air) / (time.perf_counter() - began_s)
    assert changes >= 2 * _BEACONS, "every beacon enters and finds its zone"
    return per_s


def _theirs(payloads: list[bytes]) -> float:
    gc.collect()
    began_s = time.perf_counter()
    understood = 0
    for payload in payloads:
        understood += parse_packet(payload) is not None
    per_s = len(payloads) / (time.perf_counter() - began_s)
    assert understood > len(payloads) / 3
    return per_s


def _frame(number: int) -> Frame:
    if number % 10 < 6:
        return IBeacon(_UUID, 1, number, -59)
    if number % 10 < 9:
        return EddystoneUid(-18, bytes(10), number.to_bytes(6, "big"))
    return AltBeacon(0x0118, number.to_bytes(20, "big"), -59, 0)


def _beacon(number: int, frame: Frame) -> Beacon:
    return Beacon(
        name=BeaconName(f"tag-{number}"),
        role="tag",
        ibeacon=IBeaconIdentity(uuid=_UUID, major=1, minor=number) if isinstance(frame, IBeacon) else None,
        eddystone_uid=EddystoneUidIdentity(namespace=frame.namespace.hex(), instance=frame.instance.hex())
        if isinstance(frame, EddystoneUid)
        else None,
        altbeacon=AltBeaconIdentity(id=frame.id.hex()) if isinstance(frame, AltBeacon) else None,
    )


def _air(frames: list[Frame], rng: Random) -> list[Advertisement]:
    """One advertisement a second and receiver of each sender; telemetry instead of an identity every tenth time."""
    payloads = [encode_frame(frame) for frame in frames]
    strangers = [_strange(rng) for _ in range(_STRANGERS)]
    air: list[Advertisement] = []
    for second in range(_SECONDS):
        for number, payload in enumerate(payloads):
            data = payload
            if isinstance(frames[number], EddystoneUid) and (second + number) % 10 == 0:
                data = encode_frame(EddystoneTlm(2900, 20.0, second, float(second)))
            air += _heard(second + rng.random(), f"{number:012X}", data, rng)
        for number in range(_STRANGERS):
            if rng.random() < 0.02:
                strangers[number] = _strange(rng)
            data = strangers[number] if rng.random() > 0.03 else rng.randbytes(rng.randrange(32))
            air += _heard(second + rng.random(), f"F{number:011X}", data, rng)
    air.sort()
    return air


def _strange(rng: Random) -> bytes:
    return bytes.fromhex("02011a0aff4c001005") + rng.randbytes(5)


def _heard(t_s: float, address: str, data: bytes, rng: Random) -> list[Advertisement]:
    # A radio hands over each payload as a new object, so that nothing rests on its hash being known.
    return [
        Advertisement(t_s + index / 1000, adapter, address, rng.randrange(-90, -50), bytes(bytearray(data)))
        for index, adapter in enumerate(_ZONES)
    ]


if __name__ == "__main__":
    for figure in measure():
        print(figure.as_json())
