from uuid import UUID

from engagement.advertisement.eid import eid_at
from engagement.advertisement.frames import (
    AltBeacon,
    EddystoneEid,
    EddystoneTlm,
    EddystoneUid,
    EddystoneUrl,
    Frame,
    IBeacon,
    encode_frame,
)
from engagement.advertisement.matching import BeaconIndex, Match
from engagement.advertisement.packet import Advertisement
from engagement.estate.beacon import (
    AltBeaconIdentity,
    Beacon,
    EddystoneUidIdentity,
    EidIdentity,
    IBeaconIdentity,
)
from engagement.ids import BeaconName, ZoneName

UUID_OF_TAGS = UUID("fda50693-a4e2-4fb1-afcf-c6eb07647825")
SAME_20_BYTES = UUID_OF_TAGS.bytes + bytes.fromhex("00010002")
TAG = Beacon(name=BeaconName("tag"), role="tag", ibeacon=IBeaconIdentity(uuid=UUID_OF_TAGS, major=1, minor=2))
SHELF = Beacon(
    name=BeaconName("shelf"),
    role="zone",
    zone=ZoneName("shelf"),
    eddystone_uid=EddystoneUidIdentity(namespace="00" * 10, instance="01" * 6),
)
GATE = Beacon(name=BeaconName("gate"), role="tag", altbeacon=AltBeaconIdentity(id=SAME_20_BYTES.hex()))
EID_KEY = bytes(range(16))
SECRET = Beacon(
    name=BeaconName("secret"),
    role="tag",
    eid=EidIdentity(identity_key=EID_KEY.hex(), rotation_exponent=10, clock_offset_s=-1_000),
)
UID_FRAME = EddystoneUid(-20, bytes(10), b"\x01" * 6)
TLM = EddystoneTlm(2400, 20.0, 10, 100.0)


def index(**options: float) -> BeaconIndex:
    return BeaconIndex([TAG, SHELF, GATE, SECRET], unix_s=options.get("unix_s", 0.0))


def heard(
    frame: Frame, *, t_s: float = 0.0, address: str = "AA", rssi_dbm: int | None = -60
) -> Advertisement:
    return Advertisement(t_s, "hci0", address, rssi_dbm, encode_frame(frame))


def name_of(frame: Frame, *, beacons: BeaconIndex) -> str | None:
    match = beacons.match(encode_frame(frame))
    return match and match.beacon


def test_each_beacon_is_found_by_what_it_sends() -> None:
    beacons = index()
    assert name_of(IBeacon(UUID_OF_TAGS, 1, 2, -59), beacons=beacons) == "tag"
    assert name_of(UID_FRAME, beacons=beacons) == "shelf"
    assert name_of(AltBeacon(280, SAME_20_BYTES, -59, 0), beacons=beacons) == "gate"


def test_the_same_bytes_in_another_format_are_another_beacon() -> None:
    beacons = BeaconIndex([TAG])
    assert name_of(AltBeacon(280, SAME_20_BYTES, -59, 0), beacons=beacons) is None


def test_strangers_match_nothing_however_often_they_are_heard() -> None:
    beacons = index()
    for _ in range(3):
        assert beacons.match(encode_frame(IBeacon(UUID_OF_TAGS, 1, 3, -59))) is None
        assert beacons.match(encode_frame(EddystoneUrl(0, "https://example.com"))) is None
        assert beacons.match(b"\xff\xff") is None


def test_a_small_cache_forgets_and_finds_again() -> None:
    beacons = BeaconIndex([TAG], payloads_max=2)
    ours = encode_frame(IBeacon(UUID_OF_TAGS, 1, 2, -59))
    for stranger in range(20):
        assert beacons.match(bytes((2, 1, stranger))) is None
        assert beacons.match(ours) == Match(TAG.name, None)


def test_a_rotating_identity_is_found_as_time_goes_on() -> None:
    beacons = index()
    for unix_s in range(0, 400_000, 50_000):
        beacons.tick(unix_s)
        frame = EddystoneEid(-20, eid_at(EID_KEY, 10, unix_s - 1_000))
        assert name_of(frame, beacons=beacons) == "secret"


def test_an_identity_that_becomes_ours_is_not_shadowed_by_the_cache() -> None:
    beacons = index()
    frame = EddystoneEid(-20, eid_at(EID_KEY, 10, 1_000_000))
    assert name_of(frame, beacons=beacons) is None
    beacons.tick(1_001_000)
    assert name_of(frame, beacons=beacons) == "secret"


def test_telemetry_belongs_to_the_beacon_heard_from_its_address() -> None:
    beacons = index()
    assert beacons.sight(heard(TLM, address="AA")) is None
    beacons.sight(heard(UID_FRAME, t_s=1, address="AA"))
    sighting = beacons.sight(heard(TLM, t_s=2, address="AA"))
    assert sighting is not None
    assert (sighting.beacon, sighting.telemetry) == ("shelf", TLM)
    assert beacons.sight(heard(TLM, t_s=2, address="BB")) is None


def test_telemetry_long_after_its_beacon_belongs_to_nobody() -> None:
    beacons = index()
    beacons.sight(heard(UID_FRAME, t_s=1))
    assert beacons.sight(heard(TLM, t_s=600)) is None


def test_a_signal_that_was_not_measured_is_none() -> None:
    beacons = index()
    for rssi_dbm in (None, -127, 127):
        sighting = beacons.sight(heard(UID_FRAME, rssi_dbm=rssi_dbm))
        assert sighting is not None
        assert sighting.rssi_dbm is None
