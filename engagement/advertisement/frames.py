"""Beacon frames: what the five beacon formats say, read from and written to the bytes on the air.

Which beacon of ours a frame belongs to is left to ``matching``, rotating identities to ``eid``. Frames are tuples,
because a busy radio makes many a second. Sources of the layouts: Apple, Proximity Beacon Specification R1;
AltBeacon specification 1.0; Eddystone protocol specification and its frame pages.
"""

from struct import Struct
from typing import NamedTuple
from uuid import UUID

from engagement.advertisement.malformed import MalformedFrame
from engagement.advertisement.structures import (
    COMPANY_DATA,
    FLAGS,
    SERVICE_DATA_16,
    UUIDS16_COMPLETE,
    Structure,
    cut_structures,
    join_structures,
)
from engagement.advertisement.url import decode_url, encode_url

_APPLE = b"\x4c\x00"
_IBEACON_HEAD = b"\x02\x15"
_IBEACON = Struct(">16sHHb")
_ALTBEACON_CODE = b"\xbe\xac"
_ALTBEACON = Struct(">20sb")
_ALTBEACON_ID_BYTES = 20
_EDDYSTONE = b"\xaa\xfe"
_UID, _URL, _TLM, _EID = 0x00, 0x10, 0x20, 0x30
_UID_BODY = Struct(">b10s6s")
_TLM_BODY = Struct(">HhII")
_ETLM_BODY = Struct(">12sHH")
_EID_BODY = Struct(">b8s")
_TLM_PLAIN, _TLM_ENCRYPTED = 0x00, 0x01
_NO_TEMPERATURE = -0x8000
_TENTHS = 10
_TEMPERATURE_STEPS = 256
# "LE general discoverable, no BR/EDR": what a beacon that nobody pairs with says of itself.
_BEACON_FLAGS = Structure(FLAGS, b"\x06")


class IBeacon(NamedTuple):
    """``power_at_1m_dbm`` is the strength that its maker measured one metre away."""

    uuid: UUID
    major: int
    minor: int
    power_at_1m_dbm: int


class AltBeacon(NamedTuple):
    """``id`` is 20 bytes; ``reserved`` is the maker's own byte, 0 where an old beacon leaves it out."""

    company: int
    id: bytes
    power_at_1m_dbm: int
    reserved: int


class EddystoneUid(NamedTuple):
    """``namespace`` 10 bytes, ``instance`` 6 bytes; Eddystone states its power at the antenna (1 m: 41 dB less)."""

    power_at_0m_dbm: int
    namespace: bytes
    instance: bytes


class EddystoneUrl(NamedTuple):
    power_at_0m_dbm: int
    url: str


class EddystoneTlm(NamedTuple):
    """A beacon's own health, without any identity. None: the beacon does not measure it. ``uptime_s`` in steps of
    0.1 s; ``adverts`` and ``uptime_s`` count from the beacon's last start."""

    battery_mv: int | None
    temperature_c: float | None
    adverts: int
    uptime_s: float


class EddystoneEtlm(NamedTuple):
    """The same under the beacon's identity key: AES-EAX, ``tag`` is its two bytes."""

    encrypted: bytes
    salt: int
    tag: int


class EddystoneEid(NamedTuple):
    """``eid`` is the 8-byte identity of the moment."""

    power_at_0m_dbm: int
    eid: bytes


Frame = IBeacon | AltBeacon | EddystoneUid | EddystoneUrl | EddystoneTlm | EddystoneEtlm | EddystoneEid


class Reading(NamedTuple):
    """Everything that one advertisement says: its good frames in order, and what is wrong with the others."""

    frames: tuple[Frame, ...]
    malformed: tuple[MalformedFrame, ...]


def read_frames(data: bytes) -> Reading:
    """All frames of an advertisement; a malformed one does not hide the ones beside it. Never raises."""
    frames: list[Frame] = []
    malformed: list[MalformedFrame] = []
    for structure in cut_structures(data):
        try:
            frame = parse_structure(structure)
        except MalformedFrame as error:
            malformed.append(error)
            continue
        if frame is not None:
            frames.append(frame)
    return Reading(tuple(frames), tuple(malformed))


def parse_structure(structure: Structure) -> Frame | None:
    """The frame in one AD structure; None when it holds something else. Errors: MalformedFrame."""
    kind, content = structure
    if kind == COMPANY_DATA:
        if content[:2] == _APPLE:
            beacon = parse_ibeacon(content[2:])
            if beacon is not None:
                return beacon
        return parse_altbeacon(content)
    if kind == SERVICE_DATA_16 and content[:2] == _EDDYSTONE:
        return parse_eddystone(content[2:])
    return None


def parse_ibeacon(company_data: bytes) -> IBeacon | None:
    """The iBeacon in Apple's company data; None when the bytes are another Apple message.

    Shape: 23 bytes: type 0x02, length 0x15, UUID (16), major (2, big-endian), minor (2), power at 1 m (1, signed).
    Errors: MalformedFrame when type and length match but the frame is cut short.
    """
    if company_data[:2] != _IBEACON_HEAD:
        return None
    _need("iBeacon", "length", company_data, 2 + _IBEACON.size)
    uuid, major, minor, power = _IBEACON.unpack_from(company_data, 2)
    return IBeacon(UUID(bytes=uuid), major, minor, power)


def parse_altbeacon(company_data: bytes) -> AltBeacon | None:
    """The AltBeacon in any company's data, company number included; None when the bytes are something else.

    Shape: 26 bytes: company (2, little-endian), 0xBEAC, id (20), power at 1 m (1, signed), reserved (1); real
    beacons exist that leave the last byte out.
    Errors: MalformedFrame when the code 0xBEAC is there but the frame is cut short.
    """
    if company_data[2:4] != _ALTBEACON_CODE:
        return None
    _need("AltBeacon", "length", company_data, 4 + _ALTBEACON.size)
    beacon_id, power = _ALTBEACON.unpack_from(company_data, 4)
    reserved = company_data[4 + _ALTBEACON.size] if len(company_data) > 4 + _ALTBEACON.size else 0
    return AltBeacon(int.from_bytes(company_data[:2], "little"), beacon_id, power, reserved)


def parse_eddystone(service_data: bytes) -> Frame:
    """The Eddystone frame in the service data of 0xFEAA, the UUID not included.

    Shape: frame type (1), then by type: UID: power (1), namespace (10), instance (6), two spare bytes that old
    beacons leave out. URL: power (1), scheme (1), 1 to 17 bytes of text. TLM: version 0 (1), battery (2),
    temperature (2), adverts (4), uptime (4); version 1 (1), encrypted (12), salt (2), tag (2). EID: power (1),
    identity (8). Numbers are big-endian.
    Errors: MalformedFrame.
    """
    if not service_data:
        raise MalformedFrame("Eddystone", "length", 0, "at least 1")
    kind = service_data[0]
    if kind == _UID:
        _need("Eddystone-UID", "length", service_data, 1 + _UID_BODY.size)
        return EddystoneUid._make(_UID_BODY.unpack_from(service_data, 1))
    if kind == _URL:
        return _parse_url(service_data)
    if kind == _TLM:
        return _parse_tlm(service_data)
    if kind == _EID:
        _need("Eddystone-EID", "length", service_data, 1 + _EID_BODY.size)
        return EddystoneEid._make(_EID_BODY.unpack_from(service_data, 1))
    raise MalformedFrame(
        "Eddystone", "type", f"0x{kind:02x}", "0x00 (UID), 0x10 (URL), 0x20 (TLM), 0x30 (EID)"
    )


def _parse_url(service_data: bytes) -> EddystoneUrl:
    _need("Eddystone-URL", "length", service_data, 4)
    power = service_data[1] - 256 if service_data[1] > 127 else service_data[1]
    return EddystoneUrl(power, decode_url(service_data[2:]))


def _parse_tlm(service_data: bytes) -> EddystoneTlm | EddystoneEtlm:
    _need("Eddystone-TLM", "length", service_data, 2)
    version = service_data[1]
    if version == _TLM_ENCRYPTED:
        _need("Eddystone-TLM (encrypted)", "length", service_data, 2 + _ETLM_BODY.size)
        return EddystoneEtlm._make(_ETLM_BODY.unpack_from(service_data, 2))
    if version != _TLM_PLAIN:
        raise MalformedFrame("Eddystone-TLM", "version", version, "0 (plain), 1 (encrypted)")
    _need("Eddystone-TLM", "length", service_data, 2 + _TLM_BODY.size)
    battery, temperature, adverts, uptime = _TLM_BODY.unpack_from(service_data, 2)
    return EddystoneTlm(
        battery or None,
        None if temperature == _NO_TEMPERATURE else temperature / _TEMPERATURE_STEPS,
        adverts,
        uptime / _TENTHS,
    )


def _need(frame: str, field: str, data: bytes, n_bytes: int) -> None:
    if len(data) < n_bytes:
        raise MalformedFrame(frame, field, len(data), f"at least {n_bytes}")


def encode_frame(frame: Frame) -> bytes:
    """The payload of an advertisement that carries this frame alone, flags included, as a beacon sends it.

    Errors: ValueError or struct.error when a field does not fit its place.
    """
    if isinstance(frame, IBeacon):
        body = _APPLE + _IBEACON_HEAD + _IBEACON.pack(frame.uuid.bytes, *frame[1:])
        return join_structures((_BEACON_FLAGS, Structure(COMPANY_DATA, body)))
    if isinstance(frame, AltBeacon):
        _fits("id", frame.id, _ALTBEACON_ID_BYTES)
        head = frame.company.to_bytes(2, "little") + _ALTBEACON_CODE
        body = head + _ALTBEACON.pack(frame.id, frame.power_at_1m_dbm) + bytes((frame.reserved,))
        return join_structures((_BEACON_FLAGS, Structure(COMPANY_DATA, body)))
    service_data = Structure(SERVICE_DATA_16, _EDDYSTONE + _eddystone_body(frame))
    return join_structures((_BEACON_FLAGS, Structure(UUIDS16_COMPLETE, _EDDYSTONE), service_data))


def _eddystone_body(
    frame: EddystoneUid | EddystoneUrl | EddystoneTlm | EddystoneEtlm | EddystoneEid,
) -> bytes:
    if isinstance(frame, EddystoneUid):
        _fits("namespace", frame.namespace, 10)
        _fits("instance", frame.instance, 6)
        return bytes((_UID,)) + _UID_BODY.pack(*frame) + b"\x00\x00"
    if isinstance(frame, EddystoneUrl):
        power = frame.power_at_0m_dbm.to_bytes(1, "big", signed=True)
        return bytes((_URL,)) + power + encode_url(frame.url)
    if isinstance(frame, EddystoneEid):
        _fits("eid", frame.eid, 8)
        return bytes((_EID,)) + _EID_BODY.pack(*frame)
    if isinstance(frame, EddystoneEtlm):
        _fits("encrypted", frame.encrypted, 12)
        return bytes((_TLM, _TLM_ENCRYPTED)) + _ETLM_BODY.pack(*frame)
    temperature = (
        _NO_TEMPERATURE if frame.temperature_c is None else round(frame.temperature_c * _TEMPERATURE_STEPS)
    )
    uptime = round(frame.uptime_s * _TENTHS)
    return bytes((_TLM, _TLM_PLAIN)) + _TLM_BODY.pack(
        frame.battery_mv or 0, temperature, frame.adverts, uptime
    )


def _fits(field: str, value: bytes, n_bytes: int) -> None:
    # struct would silently cut or pad.
    if len(value) != n_bytes:
        raise ValueError(f"{field} has {len(value)} bytes; allowed: {n_bytes}")
