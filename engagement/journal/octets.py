"""Numbers as octets: varints, bits packed side by side, and a reader that never believes a length."""

from collections.abc import Iterable, Sequence
from functools import cache
from struct import unpack_from
from typing import Final

from engagement.journal.malformed import MalformedBatch

# 70 bits: more than any difference of two 64-bit numbers needs.
VARINT_BYTES_MAX: Final = 10


def varint(number: int) -> bytes:
    """Seven bits an octet, low ones first, the high bit set on all but the last. ``number`` is at least 0."""
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def signed_varint(number: int) -> bytes:
    """0, -1, 1, -2, 2 ... as the varints 0, 1, 2, 3, 4 ..."""
    return varint(2 * number if number >= 0 else -2 * number - 1)


def pack(symbols: Iterable[int], width: int) -> bytes:
    """``width`` bits each, high ones first, the last octet filled up with zeros."""
    bits = "".join([f"{symbol:0{width}b}" for symbol in symbols])
    return int("0" + bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big")


def unpack(octets: bytes, width: int, count: int) -> Sequence[int]:
    """The first ``count`` symbols of ``width`` bits (1 to 64), as pack() wrote them.

    All symbols are spread at once, by arithmetic on one long number: eight symbols fill ``width`` octets; these are
    set apart into fields of eight lanes, and in each field the upper half is moved up to its place, then the upper
    half of each half, then of each quarter. A loop over single symbols takes ten times as long.
    """
    lane = next(size for size in (1, 2, 4, 8) if 8 * size >= width)
    fields = -(-len(octets) // width)
    octets = octets.ljust(fields * width, b"\0")
    if width < 8 * lane:
        gap = bytes(8 * lane - width)
        parts = [octets[at : at + width] for at in range(0, len(octets), width)]
        spread = int.from_bytes(gap + gap.join(parts), "big")
        for upper_half, shift in _moves(width, lane):
            upper = spread & int.from_bytes(upper_half * fields, "big")
            spread = spread ^ upper | upper << shift
        octets = spread.to_bytes(8 * lane * fields, "big")
    if lane == 1:
        return octets[:count]
    return unpack_from(f">{count}{_LANE_CODES[lane]}", octets)


# How struct calls a big-endian number of so many octets.
_LANE_CODES: Final = {2: "H", 4: "I", 8: "Q"}


@cache
def _moves(width: int, lane: int) -> Sequence[tuple[bytes, int]]:
    """What unpack() moves up in each field: its octets as a mask, and by how many bits."""
    moves = []
    for half in (4, 2, 1):
        upper = (1 << half * width) - 1 << half * width
        mask = sum(upper << at * 8 * lane for at in range(0, 8, 2 * half))
        moves.append((mask.to_bytes(8 * lane, "big"), half * (8 * lane - width)))
    return moves


class Reader:
    """Octets read from front to back. ``expanded_max``: bytes of text that may be made from them in all.

    Every method raises MalformedBatch when the octets do not suffice; ``field`` is what it then names.
    """

    def __init__(self, data: bytes, expanded_max: int) -> None:
        self._data = data
        self._at = 0
        self._expandable = expanded_max

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int, field: str) -> bytes:
        if not 0 <= count <= self.left:
            raise MalformedBatch(field, f"{count} bytes", f"at most the {self.left} bytes that are left")
        self._at += count
        return self._data[self._at - count : self._at]

    def octet(self, field: str) -> int:
        at = self._at
        if at >= len(self._data):
            self.take(1, field)
        self._at = at + 1
        return self._data[at]

    def varint(self, field: str) -> int:
        number = self.octet(field)
        if number < 0x80:
            return number
        number, shift = number & 0x7F, 7
        while True:
            octet = self.octet(field)
            number |= (octet & 0x7F) << shift
            if octet < 0x80:
                return number
            shift += 7
            if shift >= 7 * VARINT_BYTES_MAX:
                raise MalformedBatch(
                    field, "a longer number", f"a varint of at most {VARINT_BYTES_MAX} bytes"
                )

    def signed_varint(self, field: str) -> int:
        number = self.varint(field)
        return number >> 1 if number & 1 == 0 else -(number >> 1) - 1

    def count(self, field: str, most: int) -> int:
        """A varint from 1 to ``most``."""
        number = self.varint(field)
        if not 1 <= number <= most:
            raise MalformedBatch(field, number, f"1 to {most}")
        return number

    def expand(self, count: int, field: str) -> None:
        """Ask before making so many bytes of text out of few."""
        self._expandable -= count
        if self._expandable < 0:
            raise MalformedBatch(
                field, f"{count} bytes of text", "a batch within the limit of all its texts together"
            )


def within(numbers: Sequence[int], below: int, field: str) -> Sequence[int]:
    """The numbers, all of which must be from 0 to ``below`` - 1. Errors: MalformedBatch."""
    for extreme in (min(numbers), max(numbers)):
        if not 0 <= extreme < below:
            raise MalformedBatch(field, extreme, f"0 to {below - 1}")
    return numbers
