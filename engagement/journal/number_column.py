"""A column of whole numbers: as they are or as steps from one to the next, packed in as few bits as most of them need.

Shape, of one number: a signed varint. Of more:

    1 octet   bits 0 to 5 the width; bit 6 (EXCEPTIONS): some numbers follow the packed ones; bit 7 (STEPS)
    signed    with STEPS: the first number; what follows are the differences of each to the one before it
    signed    base
    varint    scale, absent when neither a width nor EXCEPTIONS is given: every number is then the base
    packed    one symbol of ``width`` bits each, high bits first, filled up to a whole octet with zeros;
              number = base + scale * symbol
    varints   with EXCEPTIONS: in order, the symbol for each place where the packed one has all bits set

With width 0 and EXCEPTIONS every symbol is a varint.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import gcd
from typing import Final, NamedTuple

from engagement.journal.octets import Reader, pack, signed_varint, unpack, varint

EXCEPTIONS: Final = 0x40
STEPS: Final = 0x80
_WIDTH: Final = 0x3F
# Wider symbols become exceptions; the width's octet has no more bits.
_WIDTH_MAX: Final = 63


def write_numbers(numbers: Sequence[int]) -> bytes:
    """The column of at least one number, the shorter of plain and steps."""
    if len(numbers) == 1:
        return signed_varint(numbers[0])
    plain = _packed(numbers, 0)
    steps = _packed([after - before for before, after in pairwise(numbers)], STEPS)
    steps = steps[:1] + signed_varint(numbers[0]) + steps[1:]
    return steps if len(steps) < len(plain) else plain


def read_numbers(reader: Reader, count: int, field: str) -> list[int]:
    """``count`` is at least 1. Errors: MalformedBatch."""
    if count == 1:
        return [reader.signed_varint(field)]
    head = reader.octet(field)
    if not head & STEPS:
        return _unpacked(reader, head, count, field)
    first = reader.signed_varint(field)
    return [*accumulate([first, *_unpacked(reader, head, count - 1, field)])]


def _packed(numbers: Sequence[int], flags: int) -> bytes:
    base = min(numbers)
    scale = gcd(*[number - base for number in numbers])
    if scale == 0:
        return bytes([flags]) + signed_varint(base)
    symbols = [(number - base) // scale for number in numbers]
    width, has_exceptions = _best_width(symbols)
    head = (
        bytes([flags | width | (EXCEPTIONS if has_exceptions else 0)]) + signed_varint(base) + varint(scale)
    )
    if not has_exceptions:
        return head + pack(symbols, width)
    top = 2**width - 1
    exceptions = [varint(symbol) for symbol in symbols if symbol >= top]
    return (
        head
        + (pack([min(symbol, top) for symbol in symbols], width) if width else b"")
        + b"".join(exceptions)
    )


class _Plan(NamedTuple):
    bits: int
    width: int
    has_exceptions: bool


def _best_width(symbols: Sequence[int]) -> tuple[int, bool]:
    """The width that costs least, and whether it leaves exceptions."""
    widest = max(symbols).bit_length()
    # A symbol is no exception of a width whose all-ones it stays below.
    needed = Counter((symbol + 1).bit_length() for symbol in symbols)
    plans = [_Plan(len(symbols) * widest, widest, False)] if widest <= _WIDTH_MAX else []
    for width in range(min(widest, _WIDTH_MAX) + 1):
        exceptions = sum(count * 8 * -(-bits // 7) for bits, count in needed.items() if bits > width)
        plans.append(_Plan(len(symbols) * width + exceptions, width, True))
    best = min(plans)
    return best.width, best.has_exceptions


def _unpacked(reader: Reader, head: int, count: int, field: str) -> list[int]:
    width, base = head & _WIDTH, reader.signed_varint(field)
    if width == 0 and not head & EXCEPTIONS:
        return [base] * count
    scale = reader.varint(field)
    packed = reader.take((width * count + 7) // 8, field)
    symbols = unpack(packed, width, count) if width else [0] * count
    if head & EXCEPTIONS:
        top = 2**width - 1
        symbols = [reader.varint(field) if symbol == top else symbol for symbol in symbols]
    if scale == 1:
        return [*symbols] if base == 0 else [base + symbol for symbol in symbols]
    return [base + scale * symbol for symbol in symbols]
