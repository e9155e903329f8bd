"""The btsnoop file format, as far as advertisements go. Sources: RFC 1761 with Bluetooth datalinks; BlueZ
src/shared/btsnoop.h; Bluetooth Core Specification, volume 4, part E, 7.7.65.
"""

from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO

from engagement.advertisement.packet import Advertisement

MAGIC = b"btsnoop\x00"
_FILE_HEAD = Struct(">II")
_RECORD_HEAD = Struct(">IIIIq")
_VERSION = 1
_H1, _H4, _MONITOR = 1001, 1002, 2001
_H1_IS_COMMAND_OR_EVENT, _H1_IS_RECEIVED = 0x02, 0x01
_H4_EVENT = 0x04
_MONITOR_EVENT = 3
_LE_META = 0x3E
_REPORT, _EXTENDED_REPORT = 0x02, 0x0D
_REPORT_HEAD = Struct("<BB6sB")
_EXTENDED_HEAD = Struct("<HB6sBBBbbHB6sB")
# Microseconds between the year 0, from which btsnoop counts, and 1970.
_UNIX_EPOCH_US = 0x00DC_DDB3_0F2F_8000
# A record of HCI is at most some kilobytes; a larger length is damage, not data to be read into memory.
_RECORD_BYTES_MAX = 65_536


def read_btsnoop(stream: BinaryIO) -> Iterator[tuple[str, Advertisement | str]]:
    """What follows the magic: where it stands, and the advertisement or what is broken there.

    ``t_s`` is Unix time. ``adapter`` is hci0 where the file does not number adapters.
    """
    head = stream.read(_FILE_HEAD.size)
    if len(head) < _FILE_HEAD.size:
        yield "head", "is cut off"
        return
    version, datalink = _FILE_HEAD.unpack(head)
    if version != _VERSION:
        yield "head", f"version is {version}; allowed: {_VERSION}"
        return
    if datalink not in (_H1, _H4, _MONITOR):
        yield "head", f"datalink is {datalink}; allowed: {_H1} (HCI), {_H4} (H4), {_MONITOR} (monitor)"
        return
    number = 0
    while True:
        number += 1
        where = f"record {number}"
        head = stream.read(_RECORD_HEAD.size)
        if not head:
            return
        if len(head) < _RECORD_HEAD.size:
            yield where, "is cut off"
            return
        _, length, flags, _, stamp_us = _RECORD_HEAD.unpack(head)
        if length > _RECORD_BYTES_MAX:
            # Nothing tells where the next record begins.
            yield (
                where,
                f"length is {length}; allowed: at most {_RECORD_BYTES_MAX}; nothing behind it can be read",
            )
            return
        packet = stream.read(length)
        if len(packet) < length:
            yield where, "is cut off"
            return
        event = _event(datalink, flags, packet)
        if event is None:
            continue
        adapter = f"hci{flags >> 16}" if datalink == _MONITOR else "hci0"
        t_s = (stamp_us - _UNIX_EPOCH_US) / 1e6
        for report in _reports(event):
            if isinstance(report, str):
                yield where, report
            else:
                address, rssi_dbm, data = report
                yield where, Advertisement(t_s, adapter, address, rssi_dbm, data)


def _event(datalink: int, flags: int, packet: bytes) -> bytes | None:
    """The HCI event in a record; None when it holds something else."""
    if datalink == _MONITOR:
        return packet if flags & 0xFFFF == _MONITOR_EVENT else None
    if datalink == _H4:
        return packet[1:] if packet[:1] == bytes((_H4_EVENT,)) else None
    wanted = _H1_IS_COMMAND_OR_EVENT | _H1_IS_RECEIVED
    return packet if flags & wanted == wanted else None


def _reports(event: bytes) -> Iterator[tuple[str, int | None, bytes] | str]:
    if len(event) < 4 or event[0] != _LE_META or event[2] not in (_REPORT, _EXTENDED_REPORT):
        return
    parse = _parse_report if event[2] == _REPORT else _parse_extended
    at = 4
    for _ in range(event[3]):
        parsed = parse(event, at)
        if parsed is None:
            yield "holds an advertising report that is cut off"
            return
        address, rssi_dbm, data, at = parsed
        yield address, None if rssi_dbm in (-127, 127) else rssi_dbm, data


def _parse_report(event: bytes, at: int) -> tuple[str, int, bytes, int] | None:
    start = at + _REPORT_HEAD.size
    if len(event) < start:
        return None
    _, _, address, length = _REPORT_HEAD.unpack_from(event, at)
    end = start + length
    if len(event) < end + 1:
        return None
    rssi_dbm = int.from_bytes(event[end : end + 1], "big", signed=True)
    return _address(address), rssi_dbm, event[start:end], end + 1


def _parse_extended(event: bytes, at: int) -> tuple[str, int, bytes, int] | None:
    start = at + _EXTENDED_HEAD.size
    if len(event) < start:
        return None
    _, _, address, _, _, _, _, rssi_dbm, _, _, _, length = _EXTENDED_HEAD.unpack_from(event, at)
    end = start + length
    return None if len(event) < end else (_address(address), rssi_dbm, event[start:end], end)


def _address(little_endian: bytes) -> str:
    return ":".join(f"{byte:02X}" for byte in reversed(little_endian))
