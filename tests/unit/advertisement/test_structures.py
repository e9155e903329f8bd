import pytest

from engagement.advertisement.structures import Structure, cut_structures, join_structures


def test_whole_structures_are_kept_and_a_cut_one_at_the_end_is_left_out() -> None:
    data = bytes.fromhex("020106" + "0303aafe" + "1716aafe00")
    assert cut_structures(data) == [Structure(1, b"\x06"), Structure(3, b"\xaa\xfe")]


def test_a_zero_length_ends_the_structures() -> None:
    assert cut_structures(bytes.fromhex("020106000000" + "0303aafe")) == [Structure(1, b"\x06")]


def test_a_structure_may_be_empty() -> None:
    assert cut_structures(b"\x01\x09") == [Structure(9, b"")]


def test_a_content_that_no_length_byte_can_state_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 254 bytes, not 255"):
        join_structures([Structure(0xFF, bytes(255))])
