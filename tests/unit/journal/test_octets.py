"""Symbols of any width come back, in any number of them."""

import pytest

from engagement.journal.octets import pack, unpack


@pytest.mark.parametrize("width", range(1, 64))
@pytest.mark.parametrize("count", [1, 7, 8, 9, 500])
def test_symbols_of_every_width_come_back(width: int, count: int) -> None:
    top = 2**width
    symbols = [(number * 0x9E37_79B9_7F4A_7C15) % top for number in range(count - 2)] + [0, top - 1]
    assert [*unpack(pack(symbols, width), width, len(symbols))] == symbols
