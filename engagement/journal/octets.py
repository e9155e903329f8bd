"""Numbers as octets: varints, bits packed side by side, and a reader that never believes a length."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from engagement.journal.malformed import MalformedBatch

# 70 bits: more than any difference of two 64-bit numbers needs.
VARINT_BYTES_MAX: Final = 10
# Up to this width a table of all symbols is faster than reading each; 256 short strings at most.
_TABLE_WIDTH_MAX: Final = 8


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


def unpack(octets: bytes, width: int, count: int) -> list[int]:
    """The first ``count`` symbols of ``width`` (at least 1) bits, as pack() wrote them."""
    bits = bits_of(octets)
    pieces = [bits[at : at + width] for at in range(0, width * count, width)]
    if width <= _TABLE_WIDTH_MAX:
        return [*map(_symbols(width).__getitem__, pieces)]
    return [int(piece, 2) for piece in pieces]


def bits_of(octets: bytes) -> str:
    """The octets as text of zeros and ones."""
    return f"{int.from_bytes(octets, 'big'):0{8 * len(octets)}b}"


@cache
def _symbols(width: int) -> dict[str, int]:
    return {f"{symbol:0{width}b}": symbol for symbol in range(2**width)}


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
        return self.take(1, field)[0]

    def varint(self, field: str) -> int:
        number = shift = 0
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
