"""The claim code, by which a new mini-PC becomes a branch's agent: typed or scanned once, and never sent.

Text: HQ's address in clear, a slash, and 44 letters of Crockford's base32 in groups of four:
``hq.example:8600/XXXX-XXXX-...``. The letters are 220 bits, high bits first: claim id (40), MAC key (80), root
fingerprint (80, the first of SHA-256 over the DER of HQ's root), check (20). The check is a CRC over the address and
all bits before it, so that a wrong letter, two of them, or neighbours that changed places are found for certain; it
is against mistakes alone. The form before it still counts: 28 letters, neither address nor fingerprint, and for a
check the first 20 bits of SHA-256 over a domain and the 15 bytes of id and key.

The id travels; the key only proves, by MACs over both sides' messages, that agent and HQ hold the same code, whatever
the clock or the line's certificate says.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac_new
from typing import Final

from engagement.ids import AgentName
from engagement.line.letters import bare, number_of, spelt

ID_BYTES: Final = 5
KEY_BYTES: Final = 10
ENTROPY_BYTES: Final = ID_BYTES + KEY_BYTES
FINGERPRINT_BYTES: Final = 10
PUBLIC_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 16
# A host name has 253 letters at most, a port six with its colon.
ADDRESS_CHARS_MAX: Final = 260
# What a claim file or a message need hold: an address, 44 letters, and as much again of spaces and hyphens.
CLAIM_CHARS_MAX: Final = 400
_OLD_DOMAIN: Final = b"beckon claim code v1\x00"
_ASKED_DOMAIN: Final = b"beckon enrolment request v1\x00"
_BARE_ANSWER_DOMAIN: Final = b"beckon enrolment answer v1\x00"
_ANSWER_DOMAIN: Final = b"beckon enrolment answer v2\x00"
_CHECK_BITS: Final = 20
# x^20 + x^18 + x^17 + x^15 + x^13 + x^12 + x^6 + x^3 + x^2 + x + 1: any burst of 20 bits shows, as with every
# polynomial of this degree, and so do any two wrong letters among 44, which a search over all pairs found to hold.
_CHECK_POLYNOMIAL: Final = 0x6B04F
_CHECK_START: Final = 2**_CHECK_BITS - 1
_LETTERS: Final = 44
_OLD_LETTERS: Final = 28
_ADDRESS: Final = re.compile(
    r"(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(?::([1-9][0-9]{0,4}))?"
)
_PORT_MAX: Final = 65_535
_SCHEME: Final = "https://"


class MalformedClaim(ValueError):
    """The text is no claim code, or was mistyped."""

    code = "claim_malformed"


@dataclass(frozen=True, slots=True)
class Claim:
    """``id``: 10 hexadecimal digits, which may be shown; ``key``: 10 bytes that both sides keep to themselves.

    ``address``: where HQ is (``host`` or ``host:port``), and ``root_fingerprint``: 10 bytes, by which HQ's root is known;
    a code of the old form has neither.
    """

    id: str
    key: bytes
    address: str | None = None
    root_fingerprint: bytes | None = None


def is_address(text: str) -> bool:
    """Whether a code can carry it: ``host`` or ``host:port``, in lower case."""
    found = _ADDRESS.fullmatch(text) if len(text) <= ADDRESS_CHARS_MAX else None
    return found is not None and int(found[1] or 0) <= _PORT_MAX


def make_claim(entropy: bytes) -> Claim:
    """A claim of 15 unpredictable bytes, of the old form until claim_for() says whose it is."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a claim needs {ENTROPY_BYTES} bytes of entropy, not {len(entropy)}")
    return Claim(entropy[:ID_BYTES].hex(), entropy[ID_BYTES:])


def claim_for(claim: Claim, *, address: str, root_fingerprint: bytes) -> Claim:
    """The same claim, saying where HQ is and how it is known. Errors: ValueError when it is no address."""
    address = address.lower()
    if not is_address(address):
        raise ValueError(f"{address[:80]!r} is no address; allowed: host or host:port")
    return replace(claim, address=address, root_fingerprint=_sized(root_fingerprint, FINGERPRINT_BYTES))


def claim_text(claim: Claim) -> str:
    """The code as people type it."""
    secret = bytes.fromhex(claim.id) + claim.key
    if claim.address is None or claim.root_fingerprint is None:
        return _with_check(secret, _old_check(secret), _OLD_LETTERS)
    secret += claim.root_fingerprint
    return f"{claim.address}/{_with_check(secret, _check(claim.address, secret), _LETTERS)}"


def parse_claim(text: str) -> Claim:
    """Read a typed code: any case; among the letters spaces and hyphens anywhere, O for 0, I and L for 1.

    Errors: MalformedClaim.
    """
    address, slash, typed = text[:CLAIM_CHARS_MAX].strip().rpartition("/")
    if not slash:
        # A code of the first form is whole or none: whoever left something away has one of today's before them.
        if len(bare(typed)) != _OLD_LETTERS:
            raise MalformedClaim(
                f"a claim code is HQ's address, a slash, and {_LETTERS} letters and digits, as HQ printed it; there is no slash"
            )
        return make_claim(_checked(typed, _OLD_LETTERS, _old_check))
    address = address.lower().removeprefix(_SCHEME)
    if not is_address(address):
        raise MalformedClaim(
            f"a claim code begins with HQ's address and a slash, as in hq.example:8600/; {address[:80]!r} is none"
        )
    secret = _checked(typed, _LETTERS, lambda secret: _check(address, secret))
    claim = make_claim(secret[:ENTROPY_BYTES])
    return claim_for(claim, address=address, root_fingerprint=secret[ENTROPY_BYTES:])


def request_mac(claim: Claim, *, public_key: bytes, nonce: bytes) -> bytes:
    """Proves to HQ that the sender of this key holds the code. ``public_key`` 32 bytes, ``nonce`` 16."""
    return _mac(claim, _ASKED_DOMAIN, _asked(public_key, nonce))


def answer_mac(
    claim: Claim,
    *,
    public_key: bytes,
    nonce: bytes,
    agent: AgentName,
    root_pem: str = "",
    certificate_pem: str = "",
) -> bytes:
    """Proves to the agent that HQ holds the code, took this very key, gave it this name, and has this root.

    An answer without certificates, as an HQ of the first version gives it, is proved as that version did.
    """
    asked = _asked(public_key, nonce)
    if not root_pem and not certificate_pem:
        return _mac(claim, _BARE_ANSWER_DOMAIN, asked + agent.encode())
    # Each by its hash, so that nothing can be moved from one into the next.
    given = [sha256(part.encode()).digest() for part in (agent, root_pem, certificate_pem)]
    return _mac(claim, _ANSWER_DOMAIN, asked + b"".join(given))


def is_same_mac(given: bytes, wanted: bytes) -> bool:
    """In constant time."""
    return compare_digest(given, wanted)


def _asked(public_key: bytes, nonce: bytes) -> bytes:
    return _sized(public_key, PUBLIC_KEY_BYTES) + _sized(nonce, NONCE_BYTES)


def _mac(claim: Claim, domain: bytes, message: bytes) -> bytes:
    return hmac_new(claim.key, domain + bytes.fromhex(claim.id) + message, sha256).digest()


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ValueError(f"needs {size} bytes, not {len(value)}")
    return value


def _with_check(secret: bytes, check: int, letters: int) -> str:
    return spelt(int.from_bytes(secret, "big") << _CHECK_BITS | check, letters)


def _checked(typed: str, letters: int, check_of: Callable[[bytes], int]) -> bytes:
    """The bytes before the check. Errors: MalformedClaim."""
    found = bare(typed)
    number = number_of(found)
    if len(found) != letters or number is None:
        raise MalformedClaim(
            f"a claim code has {letters} letters and digits, in groups of 4, not {len(found)}"
        )
    secret = (number >> _CHECK_BITS).to_bytes((letters * 5 - _CHECK_BITS) // 8, "big")
    if number % 2**_CHECK_BITS != check_of(secret):
        raise MalformedClaim("the claim code is mistyped: its check does not fit")
    return secret


def _old_check(secret: bytes) -> int:
    return int.from_bytes(sha256(_OLD_DOMAIN + secret).digest()[:4], "big") >> 32 - _CHECK_BITS


def _check(address: str, secret: bytes) -> int:
    """The CRC, high bits first."""
    rest = _CHECK_START
    for octet in address.encode() + b"/" + secret:
        rest ^= octet << _CHECK_BITS - 8
        for _ in range(8):
            rest <<= 1
            if rest >> _CHECK_BITS:
                rest ^= 1 << _CHECK_BITS | _CHECK_POLYNOMIAL
    return rest
