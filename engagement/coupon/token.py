"""The 100-byte signed token that a coupon's QR code carries, and its text form.

Shape, big-endian, instants in minutes since 2025-01-01T00:00Z; ``docs/token.md`` is the same table for others:

    offset  bytes  field
         0      1  version (high nibble, 1) and kind (low nibble: 0 cash, 1 percent)
         1      1  key index of the agent's signing key
         2      3  agent number
         5      3  campaign number
         8      1  campaign edition
         9      3  lease number
        12      3  serial
        15      3  not before, minute
        18      3  not after, minute (the coupon is valid through the whole of it)
        21      3  value: minor units off (cash) or 1/100 % off (percent)
        24      3  minimum spend, minor units
        27      6  subject tag: HMAC of campaign and subject, so that a code is no chain-wide tracker
        33      1  flags, 0
        34      2  terms check: first bytes of SHA-256 of the edition's terms
        36     64  Ed25519 signature over DOMAIN and the 36 bytes

The text is ``C1:`` and the base45 of the token: 153 characters, a QR code of version 5-L.
"""

import struct
from dataclasses import dataclass
from typing import Final, Literal

from engagement.coupon import base45

DOMAIN: Final = b"beckon coupon token v1\x00"
PREFIX: Final = "C1:"
BODY_BYTES: Final = 36
TOKEN_BYTES: Final = 100
TEXT_CHARS: Final = 153
# Minute 0 of the token's clock: 2025-01-01T00:00Z in Unix milliseconds; three bytes of minutes last until 2056.
MINUTE_ZERO_MS: Final = 1_735_689_600_000
MINUTE_MS: Final = 60_000
MINUTE_MAX: Final = 2**24 - 1

OfferKind = Literal["cash", "percent"]
_KINDS: Final[tuple[OfferKind, ...]] = ("cash", "percent")
_BODY: Final = struct.Struct(">BB3s3sB3s3s3s3s3s3s6sB2s")
_VERSION: Final = 1


class MalformedToken(ValueError):
    """The bytes are no token of ours; the message names the field, its value and what is allowed."""


@dataclass(frozen=True, slots=True)
class TokenBody:
    """What is signed. ``value``: minor units for cash, 1/100 % for percent."""

    kind: OfferKind
    key_index: int
    agent_number: int
    campaign_number: int
    edition: int
    lease_number: int
    serial: int
    not_before_min: int
    not_after_min: int
    value: int
    min_spend_minor: int
    subject_tag: bytes
    terms_check: bytes


def minute_of(instant_ms: int) -> int:
    """The token minute that an instant lies in. Errors: ValueError outside 2025..2056."""
    minute = (instant_ms - MINUTE_ZERO_MS) // MINUTE_MS
    if not 0 <= minute <= MINUTE_MAX:
        raise ValueError(f"instant {instant_ms} ms lies outside the token's years 2025 to 2056")
    return minute


def minute_start_ms(minute: int) -> int:
    return MINUTE_ZERO_MS + minute * MINUTE_MS


def _u24(value: int) -> bytes:
    return value.to_bytes(3, "big")


def pack_body(body: TokenBody) -> bytes:
    """The 36 bytes. Errors: OverflowError or struct.error for a field that does not fit; models keep them in range."""
    return _BODY.pack(
        _VERSION << 4 | _KINDS.index(body.kind),
        body.key_index,
        _u24(body.agent_number),
        _u24(body.campaign_number),
        body.edition,
        _u24(body.lease_number),
        _u24(body.serial),
        _u24(body.not_before_min),
        _u24(body.not_after_min),
        _u24(body.value),
        _u24(body.min_spend_minor),
        body.subject_tag,
        0,
        body.terms_check,
    )


def unpack_body(data: bytes) -> TokenBody:
    """Read the 36 signed bytes. Errors: MalformedToken."""
    if len(data) != BODY_BYTES:
        raise MalformedToken(f"body: {len(data)} bytes, must be {BODY_BYTES}")
    (
        first,
        key_index,
        agent,
        campaign,
        edition,
        lease,
        serial,
        before,
        after,
        value,
        spend,
        tag,
        flags,
        check,
    ) = _BODY.unpack(data)
    version, kind = first >> 4, first & 0x0F
    if version != _VERSION:
        raise MalformedToken(f"version: {version}, must be {_VERSION}")
    if kind >= len(_KINDS):
        raise MalformedToken(f"kind: {kind}, must be 0 or 1")
    if flags != 0:
        raise MalformedToken(f"flags: {flags}, must be 0")

    def number(field: bytes) -> int:
        return int.from_bytes(field, "big")

    return TokenBody(
        kind=_KINDS[kind],
        key_index=key_index,
        agent_number=number(agent),
        campaign_number=number(campaign),
        edition=edition,
        lease_number=number(lease),
        serial=number(serial),
        not_before_min=number(before),
        not_after_min=number(after),
        value=number(value),
        min_spend_minor=number(spend),
        subject_tag=tag,
        terms_check=check,
    )


def signed_bytes(body: bytes) -> bytes:
    """What the signature covers: the domain, so that no other signature of the key passes for a coupon, and the body."""
    return DOMAIN + body


def token_text(body: bytes, signature: bytes) -> str:
    """The QR text. Errors: ValueError when body or signature has the wrong length."""
    token = body + signature
    if len(token) != TOKEN_BYTES:
        raise ValueError(f"a token has {TOKEN_BYTES} bytes, got {len(token)}")
    return PREFIX + base45.encode(token)
