"""The 20-digit short form, for Code-128 scanners and for typing. Only the issuing agent's ledger can judge it.

Shape: type 1 digit (1), agent number 5, serial 6, check of the coupon 7, Damm check digit 1. Serials come round
again once a coupon has expired and been settled; the 7-digit check, an HMAC, is another one then.
"""

from dataclasses import dataclass
from hashlib import sha256
from hmac import new as hmac_new

DIGITS = 20
SERIAL_MAX = 999_999
_TYPE = "1"

# Quasigroup of order 10 that detects every single wrong digit and every swap of neighbours.
# Source: H. M. Damm, Total anti-symmetrische Quasigruppen (2004).
_DAMM = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)


@dataclass(frozen=True, slots=True)
class ShortCode:
    """A short code whose check digit is right. ``digits``: all 20."""

    agent_number: int
    serial: int
    digits: str


def _damm(digits: str) -> int:
    interim = 0
    for digit in digits:
        interim = _DAMM[interim][int(digit)]
    return interim


def make_short_code(
    *, key: bytes, agent_number: int, lease_number: int, serial: int, not_before_min: int
) -> str:
    """The 20 digits of a coupon. ``key`` never leaves the agent; lease, serial and minute name one coupon for ever."""
    message = b"%d|%d|%d|%d" % (agent_number, lease_number, serial, not_before_min)
    check = int.from_bytes(hmac_new(key, message, sha256).digest()[:8], "big") % 10**7
    digits = f"{_TYPE}{agent_number:05d}{serial:06d}{check:07d}"
    return f"{digits}{_damm(digits)}"


def parse_short_code(digits: str) -> ShortCode | None:
    """Read 20 digits; None when the type or the check digit is wrong. Whether the coupon exists, the ledger says."""
    if len(digits) != DIGITS or not digits.isascii() or not digits.isdigit():
        return None
    if digits[0] != _TYPE or _damm(digits) != 0:
        return None
    return ShortCode(agent_number=int(digits[1:6]), serial=int(digits[6:12]), digits=digits)


def grouped(digits: str) -> str:
    """For reading aloud and typing: five groups of four."""
    return " ".join(digits[index : index + 4] for index in range(0, len(digits), 4))
