"""What a till was given, read as one of our two forms of code.

Scanners that act as keyboards add line ends and spaces and change the case; people type short codes with spaces
and hyphens. All of that is undone here, once.
"""

import re
from dataclasses import dataclass

from engagement.coupon import base45
from engagement.coupon.short_code import DIGITS, ShortCode, parse_short_code
from engagement.coupon.token import (
    BODY_BYTES,
    PREFIX,
    TEXT_CHARS,
    MalformedToken,
    TokenBody,
    unpack_body,
)
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal

# Longer input is no code of ours; it is cut off before any work is done on it.
CODE_CHARS_MAX = 512


@dataclass(frozen=True, slots=True)
class SignedCode:
    """A token whose shape is right; the signature is still to be checked."""

    body: TokenBody
    body_bytes: bytes
    signature: bytes


def read_code(text: str) -> SignedCode | ShortCode | Refusal:
    """Identify a scanned or typed code; a refusal (not_ours or damaged) when it is neither form of ours."""
    if len(text) > CODE_CHARS_MAX:
        return Refusal(Reason.NOT_OURS)
    # No token ends in a space (the third of three base45 characters never is one), so none of the code is lost here.
    candidate = text.strip()
    # upper() would turn some other letters into ASCII ones.
    if candidate.isascii() and candidate.upper().startswith(PREFIX):
        return _read_signed(candidate.upper())
    digits = re.sub(r"[\s\-]", "", candidate)
    if not digits.isascii() or not digits.isdigit():
        return Refusal(Reason.NOT_OURS)
    if len(digits) != DIGITS:
        # A barcode of goods has 8 to 14 digits; a slip of the finger leaves us near 20.
        return Refusal(Reason.DAMAGED if abs(len(digits) - DIGITS) <= 3 else Reason.NOT_OURS)
    return parse_short_code(digits) or Refusal(Reason.DAMAGED)


def _read_signed(candidate: str) -> SignedCode | Refusal:
    if len(candidate) != TEXT_CHARS:
        return Refusal(Reason.DAMAGED)
    try:
        token = base45.decode(candidate[len(PREFIX) :])
        body = unpack_body(token[:BODY_BYTES])
    except (ValueError, MalformedToken):
        return Refusal(Reason.DAMAGED)
    return SignedCode(body=body, body_bytes=token[:BODY_BYTES], signature=token[BODY_BYTES:])
