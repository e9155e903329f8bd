"""How a new mini-PC that nobody has typed a code into gets one over the LAN, from the desk that means this very box.

The box shows a fingerprint of its link key (start, health page); finding it by mDNS proves nothing. It offers a key to
encrypt to, signed with the link key. The desk checks that the offer's link key has the fingerprint which a person
compared with the box, then that the signature is that key's, and only then sends the claim code, encrypted so
that nobody but the box can read it: an impostor who answers first fails the first check, one who relays reads
nothing. TLS on the way protects nothing of this and is not relied upon.

Sealed claim: X25519 between a key drawn for this one message and the offered one; HKDF-SHA256 of the shared secret,
with DOMAIN, the link key and both agreement keys as info, gives a ChaCha20-Poly1305 key that is used once, with a nonce
of zeros. Whoever stands on the LAN may send a box a claim of their own HQ's: a new box knows nothing worth
having, and the desk notices, because HQ does not come to know the key whose fingerprint was confirmed.
"""

from collections.abc import Callable
from hashlib import scrypt
from typing import Annotated, Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import StringConstraints

from engagement.line.answers import Hex32, Said
from engagement.line.claim import CLAIM_CHARS_MAX
from engagement.line.letters import bare, number_of, spelt

# Where a box in setup mode says who it is, and takes its claim code.
SETUP_PATH: Final = "/v1/setup"
CLAIM_PATH: Final = "/v1/claim"
# How boxes are found: the same type as agents that are set up; TXT ``state`` tells them apart.
SERVICE_TYPE: Final = "_beckon._tcp.local."
STATE_KEY: Final = "state"
STATE_NEW: Final = "new"
FINGERPRINT_KEY: Final = "fingerprint"
SECRET_BYTES: Final = 32

_OFFER_DOMAIN: Final = b"beckon setup offer v1\x00"
_CLAIM_DOMAIN: Final = b"beckon setup claim v1\x00"
_FINGERPRINT_DOMAIN: Final = b"beckon setup fingerprint v1\x00"
_FINGERPRINT_LETTERS: Final = 8
# 40 bits are what people compare without a slip. Searching another key with the same ones must cost more than 2^40
# signing keys do (hours on a graphics card), so each try takes 16 MiB and 50 ms.
_SCRYPT_COST: Final = 2**14
_TAG_BYTES: Final = 16

Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
SealedHex = Annotated[
    str,
    StringConstraints(
        pattern=r"^([0-9a-f]{2})+$",
        min_length=2 * _TAG_BYTES,
        max_length=2 * (4 * CLAIM_CHARS_MAX + _TAG_BYTES),
    ),
]


class SetupRefused(ValueError):
    """The other side is not the one that is meant; the text says why."""

    code = "setup_refused"


class SetupOffer(Said):
    """What a new box answers at SETUP_PATH. ``public_key_hex``: its link key; ``signature_hex``: by that key, over the
    agreement key; ``said``: for people, why it is not set up yet; never to be believed."""

    public_key_hex: Hex32
    agreement_key_hex: Hex32
    signature_hex: Hex64
    said: Annotated[str, StringConstraints(max_length=400)] = ""


class SealedClaim(Said):
    """What a new box takes at CLAIM_PATH. ``agreement_key_hex``: the desk's, drawn for this message."""

    agreement_key_hex: Hex32
    sealed_hex: SealedHex


def key_fingerprint(public_key: bytes) -> str:
    """8 letters for people, ``XXXX-XXXX``, of a 32-byte link key. Takes 50 ms and 16 MiB: once, and not in an event loop."""
    digest = scrypt(public_key, salt=_FINGERPRINT_DOMAIN, n=_SCRYPT_COST, r=8, p=1, dklen=5)
    return spelt(int.from_bytes(digest, "big"), _FINGERPRINT_LETTERS)


def is_fingerprint(typed: str) -> bool:
    """Whether a person's typing can mean one at all."""
    return len(bare(typed)) == _FINGERPRINT_LETTERS and number_of(bare(typed)) is not None


def is_same_fingerprint(typed: str, shown: str) -> bool:
    """Whether a person's typing means this one: any case, hyphens anywhere, O for 0, I and L for 1."""
    return len(bare(typed)) == _FINGERPRINT_LETTERS and bare(typed) == bare(shown)


def agreement_key(secret: bytes) -> bytes:
    """The public key of 32 unpredictable bytes."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def make_offer(
    *, public_key: bytes, sign: Callable[[bytes], bytes], agreement_secret: bytes, said: str = ""
) -> SetupOffer:
    """``sign``: Ed25519 by the link key; ``agreement_secret``: 32 bytes, drawn at every start and kept in memory alone."""
    offered = agreement_key(agreement_secret)
    return SetupOffer(
        public_key_hex=public_key.hex(),
        agreement_key_hex=offered.hex(),
        signature_hex=sign(_OFFER_DOMAIN + offered).hex(),
        said=said,
    )


def check_offer(offer: SetupOffer, *, fingerprint: str) -> None:
    """Whether it comes from the box with this fingerprint. Errors: SetupRefused."""
    public_key = bytes.fromhex(offer.public_key_hex)
    if not is_same_fingerprint(fingerprint, key_fingerprint(public_key)):
        raise SetupRefused("the box has another fingerprint than the one that was compared")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            bytes.fromhex(offer.signature_hex), _OFFER_DOMAIN + bytes.fromhex(offer.agreement_key_hex)
        )
    except (InvalidSignature, ValueError):
        raise SetupRefused("the box does not hold the key whose fingerprint it shows") from None


def seal_claim(claim_text: str, offer: SetupOffer, *, fingerprint: str, secret: bytes) -> SealedClaim:
    """Encrypt a claim code to the box with this fingerprint, which is checked once more. ``secret``: 32 fresh bytes.

    Errors: SetupRefused.
    """
    check_offer(offer, fingerprint=fingerprint)
    ours, theirs = agreement_key(secret), bytes.fromhex(offer.agreement_key_hex)
    shared = _agreed(secret, theirs)
    cipher = _cipher(shared, public_key=bytes.fromhex(offer.public_key_hex), box=theirs, desk=ours)
    sealed = cipher.encrypt(bytes(12), claim_text.encode(), None)
    return SealedClaim(agreement_key_hex=ours.hex(), sealed_hex=sealed.hex())


def open_claim(sealed: SealedClaim, *, public_key: bytes, agreement_secret: bytes) -> str:
    """The claim code's text, still to be parsed. Errors: SetupRefused."""
    desk = bytes.fromhex(sealed.agreement_key_hex)
    cipher = _cipher(
        _agreed(agreement_secret, desk), public_key=public_key, box=agreement_key(agreement_secret), desk=desk
    )
    try:
        return cipher.decrypt(bytes(12), bytes.fromhex(sealed.sealed_hex), None).decode()
    except (InvalidTag, UnicodeDecodeError):
        raise SetupRefused(
            "the claim is sealed to another box, or to this one before it was restarted"
        ) from None


def _agreed(secret: bytes, other: bytes) -> bytes:
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError:  # a point whose shared secret anybody knows
        raise SetupRefused("the other side's agreement key is none") from None


def _cipher(shared: bytes, *, public_key: bytes, box: bytes, desk: bytes) -> ChaCha20Poly1305:
    info = _CLAIM_DOMAIN + public_key + box + desk
    return ChaCha20Poly1305(HKDF(hashes.SHA256(), 32, None, info).derive(shared))
