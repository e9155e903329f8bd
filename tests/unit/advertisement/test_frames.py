from uuid import UUID

import pytest

from engagement.advertisement.frames import (
    AltBeacon,
    EddystoneEid,
    EddystoneEtlm,
    EddystoneTlm,
    EddystoneUid,
    EddystoneUrl,
    Frame,
    IBeacon,
    encode_frame,
    parse_ibeacon,
    read_frames,
)
from engagement.advertisement.malformed import MalformedFrame

RADIUS_ID = bytes.fromhex("2f234454cf6d4a0fadf2f4911ba9ffa600010002")

# Packets and their meaning as asserted by the tests of citruz/beacontools and AltBeacon/android-beacon-library.
ACCEPTED: list[tuple[str, str, Frame]] = [
    (
        "eddystone uid",
        "0201060303aafe1716aafe00e3123456789012346789010000000000010000",
        EddystoneUid(-29, bytes.fromhex("12345678901234678901"), bytes.fromhex("000000000001")),
    ),
    (
        "eddystone uid of an old beacon, two bytes shorter",
        "0201060303aafe1516aafe00e700010203040506070809010203040506",
        EddystoneUid(-25, bytes.fromhex("00010203040506070809"), bytes.fromhex("010203040506")),
    ),
    (
        "eddystone url without flags",
        "0303aafe1316aafe10f8036769746875620063697472757a",
        EddystoneUrl(-8, "https://github.com/citruz"),
    ),
    (
        "eddystone url before a name that runs over the packet",
        "0201060303aafe0d16aafe10e702676f6f676c65000c09526164426561636f6e2047",
        EddystoneUrl(-25, "http://google.com/"),
    ),
    (
        "eddystone tlm with a stray byte behind it",
        "0201060303aafe1116aafe20000b1813000000146700002ac4e4",
        EddystoneTlm(2840, 19.0, 5223, 1094.8),
    ),
    (
        "eddystone tlm with a broken temperature",
        "0201060303aafe1116aafe20000b1847110000146700002ac4e4",
        EddystoneTlm(2840, 0x4711 / 256, 5223, 1094.8),
    ),
    (
        "eddystone eid",
        "0201060303aafe0d16aafe30e34549445f74657374",
        EddystoneEid(-29, b"EID_test"),
    ),
    (
        "ibeacon",
        "0201061aff4c0002154142434445464748494041424344454600010002f8",
        IBeacon(UUID("41424344-4546-4748-4940-414243444546"), 1, 2, -8),
    ),
    (
        "ibeacon that carries a measurement in its minor",
        "0201041aff4c0002150005000100001000800000805f9b013100026c66c3",
        IBeacon(UUID("00050001-0000-1000-8000-00805f9b0131"), 2, 27750, -61),
    ),
    (
        "altbeacon",
        "02011a1bff1801beac2f234454cf6d4a0fadf2f4911ba9ffa600010002c509",
        AltBeacon(280, RADIUS_ID, -59, 9),
    ),
    (
        "altbeacon without its reserved byte",
        "02011a1aff1801beac2f234454cf6d4a0fadf2f4911ba9ffa600010002c5",
        AltBeacon(280, RADIUS_ID, -59, 0),
    ),
    (
        "altbeacon of another company",
        "0201061bffaabbbeace2c56db5dffb48d2b060d0f5a71096e000010004c500",
        AltBeacon(48042, bytes.fromhex("e2c56db5dffb48d2b060d0f5a71096e000010004"), -59, 0),
    ),
    (
        "altbeacon before padding",
        "0201061bffe000beac7777772e626c756b692e636f6d000100010001abaa000000",
        AltBeacon(224, bytes.fromhex("7777772e626c756b692e636f6d000100010001ab"), -86, 0),
    ),
    (
        "altbeacon before a name",
        "02011a1bff1801beac2f234454cf6d4a0fadf2f4911ba9ffa600050003be020e09526164426561636f6e20555342020a03",
        AltBeacon(280, RADIUS_ID[:16] + bytes.fromhex("00050003"), -66, 2),
    ),
]


@pytest.mark.parametrize(("data", "frame"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_real_packets_mean_what_their_makers_say(data: str, frame: Frame) -> None:
    reading = read_frames(bytes.fromhex(data))
    assert reading.frames == (frame,)
    assert type(reading.frames[0]) is type(frame)
    assert reading.malformed == ()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("0201060303aafe0416aafe10", "Eddystone-URL frame: length is 1; allowed: at least 4"),
        (
            "02011a16ff1801beac2f234454cf6d4a0fadf2f4911ba9ffa600010002c509",
            "AltBeacon frame: length is 21; allowed: at least 25",
        ),
        (
            "0201060303aafe1716aafe01e3123456789012346789010000000000010000",
            "Eddystone frame: type is 0x01; allowed: 0x00 (UID), 0x10 (URL), 0x20 (TLM), 0x30 (EID)",
        ),
        (
            "0201060303aafe1116aafe2001414141414141414141414141deadbeff",
            "Eddystone-TLM (encrypted) frame: length is 14; allowed: at least 18",
        ),
        ("0416aafe20", "Eddystone-TLM frame: length is 1; allowed: at least 2"),
        ("0516aafe2002", "Eddystone-TLM frame: version is 2; allowed: 0 (plain), 1 (encrypted)"),
        ("0516aafe00e7", "Eddystone-UID frame: length is 2; allowed: at least 18"),
        ("0516aafe30e7", "Eddystone-EID frame: length is 2; allowed: at least 10"),
        ("0316aafe", "Eddystone frame: length is 0; allowed: at least 1"),
        ("0716aafe10e70461", "Eddystone-URL frame: scheme is 0x04; allowed: 0x00 to 0x03"),
        (
            "0716aafe10e7020e",
            "Eddystone-URL frame: text byte is 0x0e; allowed: 0x00 to 0x0d, 0x21 to 0x7e",
        ),
        (
            "1816aafe10e702" + "61" * 18,
            "Eddystone-URL frame: text length is 18; allowed: 1 to 17",
        ),
        ("07ff4c0002150102", "iBeacon frame: length is 4; allowed: at least 23"),
    ],
)
def test_a_malformed_frame_names_its_field_value_and_what_is_allowed(data: str, complaint: str) -> None:
    reading = read_frames(bytes.fromhex(data))
    assert reading.frames == ()
    assert [str(error) for error in reading.malformed] == [complaint]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "0201060303",
        "12346789010000000000010000",
        "02010604ffe000be",
        "0aff4c0010054b1c6a3c02",  # Apple's nearby message
        "0201060303aafe",
        "17166ffd" + "00" * 20,  # an exposure notification
    ],
)
def test_what_is_no_beacon_frame_is_none_and_no_error(data: str) -> None:
    assert read_frames(bytes.fromhex(data)) == ((), ())


def test_a_good_frame_survives_the_malformed_one_before_it() -> None:
    broken = bytes.fromhex("0416aafe10")
    good = bytes.fromhex("1aff4c0002154142434445464748494041424344454600010002f8")
    reading = read_frames(broken + good)
    assert [type(frame) for frame in reading.frames] == [IBeacon]
    assert len(reading.malformed) == 1


def test_one_advertisement_may_carry_several_frames() -> None:
    uid = EddystoneUid(-20, bytes(10), bytes(6))
    telemetry = EddystoneTlm(3000, None, 1, 0.1)
    reading = read_frames(encode_frame(uid) + encode_frame(telemetry))
    assert reading.frames == (uid, telemetry)


def test_an_ibeacon_cut_short_is_an_error_and_another_apple_message_is_not() -> None:
    with pytest.raises(MalformedFrame) as caught:
        parse_ibeacon(b"\x02\x15\x00")
    assert (caught.value.field, caught.value.value, caught.value.allowed) == ("length", 3, "at least 23")
    assert parse_ibeacon(bytes.fromhex("10054b1c6a3c02")) is None


def test_encrypted_telemetry_is_kept_as_it_came() -> None:
    data = bytes.fromhex("0303aafe1516aafe2001" + "41" * 12 + "deadbeff")
    assert read_frames(data).frames == (EddystoneEtlm(b"A" * 12, 57005, 48895),)


def test_a_beacon_that_measures_nothing_says_none() -> None:
    data = bytes.fromhex("1116aafe2000000080000000000000000000")
    assert read_frames(data).frames == (EddystoneTlm(None, None, 0, 0.0),)


def test_an_encoded_ibeacon_is_the_packet_of_the_specification() -> None:
    beacon = IBeacon(UUID("41424344-4546-4748-4940-414243444546"), 1, 2, -8)
    assert encode_frame(beacon).hex() == "0201061aff4c0002154142434445464748494041424344454600010002f8"


@pytest.mark.parametrize(
    "frame",
    [
        EddystoneUid(0, b"short", bytes(6)),
        EddystoneUid(0, bytes(10), bytes(7)),
        EddystoneEid(0, bytes(9)),
        EddystoneUrl(0, "ftp://example.com"),
        EddystoneUrl(0, "https://an-address-that-is-too-long.example"),
        EddystoneUrl(0, "https://a b"),
        AltBeacon(0, bytes(19), 0, 0),
    ],
)
def test_what_does_not_fit_is_not_encoded(frame: Frame) -> None:
    with pytest.raises(ValueError, match=r"allowed|begins with none"):
        encode_frame(frame)
