"""The token's layout, byte by byte, and what its reader refuses."""

import struct
from dataclasses import replace

import pytest

from engagement.coupon import base45
from engagement.coupon.token import (
    BODY_BYTES,
    MINUTE_ZERO_MS,
    TEXT_CHARS,
    MalformedToken,
    TokenBody,
    minute_of,
    minute_start_ms,
    pack_body,
    signed_bytes,
    token_text,
    unpack_body,
)

BODY = TokenBody(
    kind="percent",
    key_index=2,
    agent_number=0x00012D,
    campaign_number=0x000407,
    edition=9,
    lease_number=0x123456,
    serial=0x0F423F,
    not_before_min=0x0F1B30,
    not_after_min=0x0F42B0,
    value=1500,
    min_spend_minor=10_000,
    subject_tag=bytes.fromhex("a1a2a3a4a5a6"),
    terms_check=bytes.fromhex("beef"),
)
# Written by hand from the table in docs/token.md, not by the code under test.
BODY_HEX = (
    "11"  # version 1, kind 1 (percent)
    "02"  # key index
    "00012d"  # agent
    "000407"  # campaign
    "09"  # edition
    "123456"  # lease
    "0f423f"  # serial
    "0f1b30"  # not before, minutes since 2025-01-01T00:00Z
    "0f42b0"  # not after
    "0005dc"  # 15.00 %
    "002710"  # from 100.00
    "a1a2a3a4a5a6"  # subject tag
    "00"  # flags
    "beef"  # terms check
)


def test_the_layout_is_the_published_one() -> None:
    assert pack_body(BODY).hex() == BODY_HEX
    assert len(pack_body(BODY)) == BODY_BYTES


def test_what_was_packed_is_read_back() -> None:
    assert unpack_body(bytes.fromhex(BODY_HEX)) == BODY


def test_the_text_is_a_prefix_and_base45() -> None:
    signature = bytes(range(64))
    text = token_text(pack_body(BODY), signature)
    assert len(text) == TEXT_CHARS
    assert text == "C1:" + base45.encode(bytes.fromhex(BODY_HEX) + signature)


def test_the_signature_covers_a_domain_and_the_body() -> None:
    assert signed_bytes(b"body") == b"beckon coupon token v1\x00" + b"body"


@pytest.mark.parametrize(
    ("place", "byte", "what"),
    [
        (0, 0x21, "version: 2, must be 1"),
        (0, 0x12, "kind: 2, must be 0 or 1"),
        (33, 0x80, "flags: 128, must be 0"),
    ],
)
def test_an_unknown_version_kind_or_flag_is_named(place: int, byte: int, what: str) -> None:
    data = bytearray.fromhex(BODY_HEX)
    data[place] = byte
    with pytest.raises(MalformedToken, match=what):
        unpack_body(bytes(data))


@pytest.mark.parametrize("length", [0, BODY_BYTES - 1, BODY_BYTES + 1])
def test_another_length_is_named(length: int) -> None:
    with pytest.raises(MalformedToken, match=f"body: {length} bytes, must be 36"):
        unpack_body(bytes(length))


def test_a_field_that_does_not_fit_is_never_cut_short() -> None:
    with pytest.raises(OverflowError):
        pack_body(replace(BODY, serial=2**24))
    with pytest.raises(struct.error):
        pack_body(replace(BODY, edition=256))


def test_minutes_count_from_the_start_of_2025_and_last_until_2056() -> None:
    assert minute_of(MINUTE_ZERO_MS) == 0
    assert minute_of(MINUTE_ZERO_MS + 59_999) == 0
    assert minute_of(MINUTE_ZERO_MS + 60_000) == 1
    assert minute_start_ms(1) == MINUTE_ZERO_MS + 60_000
    last = minute_start_ms(2**24 - 1)
    assert minute_of(last) == 2**24 - 1
    for outside in (MINUTE_ZERO_MS - 1, last + 60_000):
        with pytest.raises(ValueError, match="2025 to 2056"):
            minute_of(outside)
