"""Recordings of advertisements: JSON lines as the outside contract describes them, or btsnoop.

What cannot be read is handed on as such between its readable neighbours; what becomes of it is left to the caller.
Time rises through a recording; a line whose time does not fit in with its neighbours' is broken.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import NamedTuple

from edge_agent.adapters.btsnoop import MAGIC, read_btsnoop
from engagement.advertisement.packet import Advertisement

# The longest extended advertisement of Bluetooth 5 (Core 5.4, volume 6, part B, 2.3.4.9).
_DATA_BYTES_MAX = 1650
# Twice that in hexadecimal, and room for fields that others add.
_LINE_BYTES_MAX = 16_384
# Further from zero is another unit than seconds, or damage.
_T_S_MAX = 4e9
_NOT_MEASURED_DBM = -127
_RSSI_DBM_MAX = 20
_SHOWN_CHARS_MAX = 60
_ADAPTER = re.compile(r"[A-Za-z0-9_.:-]{1,32}")
_ADDRESS = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")


class BrokenLine(NamedTuple):
    """``where`` as in ``line 7``; ``why`` names the field, its value and what is allowed."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


_Placed = tuple[str, Advertisement]


def read_adverts(stream: BufferedReader) -> Iterator[Advertisement | BrokenLine]:
    """All advertisements in order, and what is broken where it stands; never more than three in memory."""
    if stream.peek(len(MAGIC)).startswith(MAGIC):
        stream.read(len(MAGIC))
        return _in_order(
            BrokenLine(where, report) if isinstance(report, str) else (where, report)
            for where, report in read_btsnoop(stream)
        )
    return _in_order(_from_lines(stream))


def _from_lines(stream: BufferedReader) -> Iterator[_Placed | BrokenLine]:
    number = 0
    while raw := stream.readline(_LINE_BYTES_MAX):
        number += 1
        where = f"line {number}"
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(_LINE_BYTES_MAX)
        if len(raw) == _LINE_BYTES_MAX and not raw.endswith(b"\n"):
            yield BrokenLine(where, f"is too long; allowed is a line of at most {_LINE_BYTES_MAX} bytes")
        elif raw.strip():
            yield _parsed(where, raw)


def _parsed(where: str, raw: bytes) -> _Placed | BrokenLine:
    try:
        return where, parse_line(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as broken:
        return BrokenLine(where, f"byte {broken.start} is 0x{raw[broken.start]:02x}; allowed is UTF-8 text")
    except ValueError as broken:
        return BrokenLine(where, str(broken))


def parse_line(text: str) -> Advertisement:
    """One JSON line. Errors: ValueError naming the field, its value and what is allowed."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"is {_shown(text.strip())}; allowed is a JSON object") from None
    if not isinstance(fields, dict):
        raise ValueError(f"is {_shown(fields)}; allowed is a JSON object")
    return Advertisement(
        t_s=_seconds(fields),
        adapter=_matching(fields, "adapter", _ADAPTER, "1 to 32 letters, digits, or any of _ . : -"),
        address=_matching(
            fields, "address", _ADDRESS, "six pairs of hex digits, as in AA:BB:CC:DD:EE:FF"
        ).upper(),
        rssi_dbm=_rssi(fields),
        data=_data(fields),
    )


def _seconds(fields: dict[str, object]) -> float:
    value = fields.get("t")
    # NaN compares false, so it is refused here too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_T_S_MAX <= value <= _T_S_MAX:
        raise _wrong(fields, "t", f"a number of seconds from -{_T_S_MAX:.0f} to {_T_S_MAX:.0f}")
    return float(value)


def _matching(fields: dict[str, object], field: str, pattern: re.Pattern[str], allowed: str) -> str:
    value = fields.get(field)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _wrong(fields, field, allowed)
    return value


def _rssi(fields: dict[str, object]) -> int | None:
    value = fields.get("rssi", "missing")
    if value is None or value == _NOT_MEASURED_DBM:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not _NOT_MEASURED_DBM <= value <= _RSSI_DBM_MAX
    ):
        raise _wrong(fields, "rssi", f"null or a whole number from {_NOT_MEASURED_DBM} to {_RSSI_DBM_MAX}")
    return value


def _data(fields: dict[str, object]) -> bytes:
    digits = _matching(fields, "data", _HEX, "pairs of hex digits")
    if len(digits) > 2 * _DATA_BYTES_MAX:
        raise _wrong(fields, "data", f"at most {_DATA_BYTES_MAX} bytes in hex")
    return bytes.fromhex(digits)


def _wrong(fields: dict[str, object], field: str, allowed: str) -> ValueError:
    found = f"is {_shown(fields[field])}" if field in fields else "is missing"
    return ValueError(f"{field} {found}; allowed is {allowed}")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "..."


def _in_order(items: Iterable[_Placed | BrokenLine]) -> Iterator[Advertisement | BrokenLine]:
    """Of two that contradict each other the later is broken, unless the one behind it takes its side."""
    held: _Placed | None = None
    doubted: _Placed | None = None
    reached_s = -math.inf
    for item in items:
        if isinstance(item, BrokenLine):
            yield item
            continue
        t_s = item[1].t_s
        if held is None:
            held = item
        elif t_s >= held[1].t_s:
            if doubted is not None:
                yield _out_of_order(doubted, held)
            reached_s = held[1].t_s
            yield held[1]
            held, doubted = item, None
        elif doubted is not None and t_s >= doubted[1].t_s:
            yield _out_of_order(held, doubted)
            reached_s = doubted[1].t_s
            yield doubted[1]
            held, doubted = item, None
        elif doubted is None and t_s >= reached_s:
            doubted = item
        else:
            yield _out_of_order(item, doubted or held)
    if doubted is not None:
        assert held is not None
        yield _out_of_order(doubted, held)
    if held is not None:
        yield held[1]


def _out_of_order(wrong: _Placed, right: _Placed) -> BrokenLine:
    where, advertisement = wrong
    neighbour, other = right
    side = "after" if advertisement.t_s > other.t_s else "before"
    return BrokenLine(
        where, f"t is {advertisement.t_s}; allowed is a time not {side} {other.t_s} of {neighbour}"
    )
