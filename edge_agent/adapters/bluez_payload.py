"""AD structures rebuilt from what bleak gives, so that one parser reads a live radio and a recording.

BlueZ hands on properties, not packets: order and flags are lost. Rebuilt are the structures that beacon frames are
read from; names and transmit powers are left out, since no frame needs them and a name may be a person's.
"""

from collections.abc import Iterable, Mapping

# Types of AD structures: Bluetooth SIG, Assigned Numbers, section 2.3.
_UUIDS_16, _UUIDS_32, _UUIDS_128 = 0x03, 0x05, 0x07
_SERVICE_DATA_16, _SERVICE_DATA_32, _SERVICE_DATA_128 = 0x16, 0x20, 0x21
_MANUFACTURER_DATA = 0xFF
# A UUID of 16 or 32 bits is short for this base, in which it is the first group.
_BASE = "-0000-1000-8000-00805f9b34fb"
# The length octet counts the type octet too.
_CONTENT_BYTES_MAX = 254


def ad_structures(
    manufacturer_data: Mapping[int, bytes], service_data: Mapping[str, bytes], service_uuids: Iterable[str]
) -> bytes:
    """Lists of UUIDs first, then service data, then manufacturer data; what cannot have been on air is left out."""
    out = bytearray()
    for uuids_type, uuids in _by_width(service_uuids).items():
        _append(out, uuids_type, uuids)
    for uuid, content in service_data.items():
        short = _on_air(uuid)
        _append(
            out,
            {2: _SERVICE_DATA_16, 4: _SERVICE_DATA_32}.get(len(short), _SERVICE_DATA_128),
            short + content,
        )
    for company, content in manufacturer_data.items():
        _append(out, _MANUFACTURER_DATA, company.to_bytes(2, "little") + content)
    return bytes(out)


def _by_width(uuids: Iterable[str]) -> dict[int, bytes]:
    lists: dict[int, bytes] = {}
    for uuid in uuids:
        short = _on_air(uuid)
        uuids_type = {2: _UUIDS_16, 4: _UUIDS_32}.get(len(short), _UUIDS_128)
        lists[uuids_type] = lists.get(uuids_type, b"") + short
    return lists


def _on_air(uuid: str) -> bytes:
    """2, 4 or 16 bytes, little-endian, the shortest that means this UUID."""
    uuid = uuid.lower()
    if uuid.endswith(_BASE):
        return bytes.fromhex(uuid[4:8] if uuid.startswith("0000") else uuid[:8])[::-1]
    return bytes.fromhex(uuid.replace("-", ""))[::-1]


def _append(out: bytearray, kind: int, content: bytes) -> None:
    if len(content) <= _CONTENT_BYTES_MAX:
        out += bytes((len(content) + 1, kind))
        out += content
