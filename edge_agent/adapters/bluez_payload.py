"""AD structures rebuilt from what bleak gives, so that one parser reads a live radio and a recording.

BlueZ hands on properties, not packets: order and flags are lost. Rebuilt are the structures that beacon frames are
read from; names and transmit powers are left out, since no frame needs them and a name may be a person's.
"""

from collections.abc import Iterable, Mapping

from engagement.advertisement.structures import (
    COMPANY_DATA,
    SERVICE_DATA_16,
    UUIDS16_COMPLETE,
    Structure,
    join_structures,
)

# By bytes of the UUID on air. Source: Bluetooth SIG, Assigned Numbers, section 2.3.
_UUIDS = {2: UUIDS16_COMPLETE, 4: 0x05, 16: 0x07}
_SERVICE_DATA = {2: SERVICE_DATA_16, 4: 0x20, 16: 0x21}
# A UUID of 16 or 32 bits is short for this base, in which it is the first group.
_BASE = "-0000-1000-8000-00805f9b34fb"
# A structure's length byte counts its type too.
_CONTENT_BYTES_MAX = 254


def ad_structures(
    manufacturer_data: Mapping[int, bytes], service_data: Mapping[str, bytes], service_uuids: Iterable[str]
) -> bytes:
    """Lists of UUIDs first, then service data, then manufacturer data; what cannot have been on air is left out."""
    structures = _lists_of(service_uuids)
    for uuid, content in service_data.items():
        short = _on_air(uuid)
        structures.append(Structure(_SERVICE_DATA[len(short)], short + content))
    for company, content in manufacturer_data.items():
        structures.append(Structure(COMPANY_DATA, company.to_bytes(2, "little") + content))
    return join_structures(one for one in structures if len(one.content) <= _CONTENT_BYTES_MAX)


def _lists_of(uuids: Iterable[str]) -> list[Structure]:
    """One list for each width of UUID."""
    lists: dict[int, bytes] = {}
    for uuid in uuids:
        short = _on_air(uuid)
        lists[len(short)] = lists.get(len(short), b"") + short
    return [Structure(_UUIDS[width], content) for width, content in lists.items()]


def _on_air(uuid: str) -> bytes:
    """2, 4 or 16 bytes, little-endian, the shortest that means this UUID."""
    uuid = uuid.lower()
    if uuid.endswith(_BASE):
        return bytes.fromhex(uuid[4:8] if uuid.startswith("0000") else uuid[:8])[::-1]
    return bytes.fromhex(uuid.replace("-", ""))[::-1]
