"""The claim code, by which a new mini-PC becomes a branch's agent: typed or scanned once, and never sent.

Shape: 140 bits, high bits first: claim id (40), MAC key (80), check (20, first bits of SHA-256 over DOMAIN and the
15 bytes before). Text: 28 letters of Crockford's base32 in seven groups of four. The id travels; the key only proves,
by MACs over both sides' messages, that agent and HQ hold the same code, whatever the clock or the line's
certificate says.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac_new
from typing import Final

from engagement.ids import AgentName

ID_BYTES: Final = 5
KEY_BYTES: Final = 10
ENTROPY_BYTES: Final = ID_BYTES + KEY_BYTES
PUBLIC_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 16
_DOMAIN: Final = b"beckon claim code v1\x00"
_ASKED_DOMAIN: Final = b"beckon enrolment request v1\x00"
_ANSWERED_DOMAIN: Final = b"beckon enrolment answer v1\x00"
_CHECK_BITS: Final = 20
_LETTERS: Final = 28
_GROUP: Final = 4
# Source: D. Crockford, Base 32; letters that are mixed up when read aloud stand for the same digit.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS: Final = str.maketrans("OIL", "011")


class MalformedClaim(ValueError):
    """The text is no claim code, or was mistyped."""

    code = "claim_malformed"


@dataclass(frozen=True, slots=True)
class Claim:
    """``id``: 10 hexadecimal digits, which may be shown; ``key``: 10 bytes that both sides keep to themselves."""

    id: str
    key: bytes


def make_claim(entropy: bytes) -> Claim:
    """A claim of 15 unpredictable bytes."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a claim needs {ENTROPY_BYTES} bytes of entropy, not {len(entropy)}")
    return Claim(entropy[:ID_BYTES].hex(), entropy[ID_BYTES:])


def claim_text(claim: Claim) -> str:
    """The code as people type it: ``XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX``."""
    secret = bytes.fromhex(claim.id) + claim.key
    number = int.from_bytes(secret, "big") << _CHECK_BITS | _check(secret)
    letters = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LETTERS)))
    return "-".join(letters[at : at + _GROUP] for at in range(0, _LETTERS, _GROUP))


def parse_claim(text: str) -> Claim:
    """Read a typed code: any case, spaces and hyphens anywhere, O for 0, I and L for 1. Errors: MalformedClaim."""
    letters = re.sub(r"[\s-]", "", text[:200]).upper().translate(_READ_AS)
    if len(letters) != _LETTERS or not set(letters) <= set(_ALPHABET):
        raise MalformedClaim(f"a claim code has {_LETTERS} letters and digits, in groups of {_GROUP}")
    number = 0
    for letter in letters:
        number = number << 5 | _ALPHABET.index(letter)
    secret = (number >> _CHECK_BITS).to_bytes(ENTROPY_BYTES, "big")
    if number & 2**_CHECK_BITS - 1 != _check(secret):
        raise MalformedClaim("the claim code is mistyped: its check does not fit")
    return make_claim(secret)


def request_mac(claim: Claim, *, public_key: bytes, nonce: bytes) -> bytes:
    """Proves to HQ that the sender of this key holds the code. ``public_key`` 32 bytes, ``nonce`` 16."""
    return _mac(claim, _ASKED_DOMAIN, _sized(public_key, PUBLIC_KEY_BYTES) + _sized(nonce, NONCE_BYTES))


def answer_mac(claim: Claim, *, public_key: bytes, nonce: bytes, agent: AgentName) -> bytes:
    """Proves to the agent that HQ holds the code, took this very key, and gave it this name."""
    asked = _sized(public_key, PUBLIC_KEY_BYTES) + _sized(nonce, NONCE_BYTES)
    return _mac(claim, _ANSWERED_DOMAIN, asked + agent.encode())


def is_same_mac(given: bytes, wanted: bytes) -> bool:
    """In constant time."""
    return compare_digest(given, wanted)


def _mac(claim: Claim, domain: bytes, message: bytes) -> bytes:
    return hmac_new(claim.key, domain + bytes.fromhex(claim.id) + message, sha256).digest()


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ValueError(f"needs {size} bytes, not {len(value)}")
    return value


def _check(secret: bytes) -> int:
    return int.from_bytes(sha256(_DOMAIN + secret).digest()[:4], "big") >> 32 - _CHECK_BITS
