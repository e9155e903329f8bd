"""The AD structures that an advertisement is made of: cut apart, and put together.

What a structure means is left to ``frames``. A radio hands over whatever was sent, so the end may be cut off
or padded: what is whole is kept.
"""

from collections.abc import Iterable
from typing import NamedTuple

FLAGS = 0x01
UUIDS16_COMPLETE = 0x03
SERVICE_DATA_16 = 0x16
COMPANY_DATA = 0xFF
# The length byte counts the type byte too.
_CONTENT_BYTES_MAX = 254


class Structure(NamedTuple):
    """``kind`` is the AD type of the Bluetooth Core Specification Supplement, part A."""

    kind: int
    content: bytes


def cut_structures(data: bytes) -> list[Structure]:
    """All whole structures in order; whatever follows the first incomplete one or a zero length is no structure.

    Shape: each structure is length (1, counts what follows), kind (1), content (length - 1).
    """
    structures: list[Structure] = []
    at, end = 0, len(data)
    while at < end:
        length = data[at]
        after = at + 1 + length
        if length == 0 or after > end:
            break
        structures.append(Structure(data[at + 1], data[at + 2 : after]))
        at = after
    return structures


def join_structures(structures: Iterable[Structure]) -> bytes:
    """The payload that ``cut_structures`` cuts into these. Errors: ValueError when a content exceeds 254 bytes."""
    parts: list[bytes] = []
    for kind, content in structures:
        if len(content) > _CONTENT_BYTES_MAX:
            raise ValueError(f"an AD structure holds at most {_CONTENT_BYTES_MAX} bytes, not {len(content)}")
        parts.append(bytes((len(content) + 1, kind)) + content)
    return b"".join(parts)
