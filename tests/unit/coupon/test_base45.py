"""RFC 9285 for an even number of bytes, which is all that a token needs."""

import pytest

from engagement.coupon import base45

# RFC 9285, section 4.3: its three examples, up to their last even byte (two bytes are always three characters).
RFC_EXAMPLES = [
    (b"AB", "BB8"),
    (b"Hello!", "%69 VD92EX0"[:9]),
    (b"base-4", "UJCLQE7W581"[:9]),
    (b"ietf", "QED8WEX0"[:6]),
]


@pytest.mark.parametrize(("data", "text"), RFC_EXAMPLES)
def test_the_examples_of_the_rfc_encode_and_decode(data: bytes, text: str) -> None:
    assert base45.encode(data) == text
    assert base45.decode(text) == data


def test_the_largest_pair_of_bytes_decodes_and_the_next_value_is_refused() -> None:
    # RFC 9285, section 6: "FGW" is 65535, "GGW" would be 65536.
    assert base45.decode("FGW") == b"\xff\xff"
    with pytest.raises(ValueError, match="above 65535"):
        base45.decode("GGW")


def test_every_pair_of_bytes_comes_back_and_never_ends_in_a_space() -> None:
    # That the third character is never a space is what lets read_code trim a text's end without looking.
    for number in range(0x10000):
        pair = number.to_bytes(2, "big")
        text = base45.encode(pair)
        assert base45.decode(text) == pair
        assert text[2] != " "


@pytest.mark.parametrize(
    ("text", "what"),
    [("BB", "no multiple of 3"), ("bb8", "no base45 character"), ("BÄ8", "no base45 character")],
)
def test_a_text_of_another_shape_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        base45.decode(text)


def test_an_odd_number_of_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="even number"):
        base45.encode(b"abc")
