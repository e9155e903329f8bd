"""What HQ seals: bundles and grants, which prove themselves by HQ's root alone, whoever carried or kept them.

Shape: a JSON object with ``kind``, ``payload`` (a text), ``authority_pem`` (one X.509 certificate, issued by the root) and
``signature_hex`` (Ed25519 by the authority's key over DOMAIN, the kind, a zero octet and the payload as UTF-8). Life
spans in certificates are not judged: an agent may not know what year it is; what is outdated is told by numbers inside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from engagement.line.answers import Said
from engagement.line.certificates import ed25519_key_of, has_issued, is_authority, parse_pem

_DOMAIN: Final = b"beckon sealed document v1\x00"


class SealKind(StrEnum):
    BUNDLE = "bundle"
    GRANT = "grant"
    BUNDLE_NUMBER = "bundle_number"


class SealRefused(ValueError):
    """The document is not what HQ sealed; ``because`` says what does not hold."""

    code = "seal_wrong"


@dataclass(frozen=True, slots=True)
class Authority:
    """HQ's sealing key. ``certificate_pem``: issued by the root; ``sign``: Ed25519 over the given bytes."""

    certificate_pem: str
    sign: Callable[[bytes], bytes]


class Sealed(Said):
    """``proof``: of a bundle alone, a sealed document of its number; not signed with the rest, for it is sealed itself."""

    kind: str
    payload: str
    authority_pem: str
    signature_hex: str
    proof: str = ""


def seal(kind: SealKind, payload: str, authority: Authority, *, proof: str = "") -> str:
    """The document's text."""
    signature = authority.sign(_signed(kind, payload))
    return Sealed(
        kind=kind,
        payload=payload,
        authority_pem=authority.certificate_pem,
        signature_hex=signature.hex(),
        proof=proof,
    ).model_dump_json(exclude_defaults=True)


def open_seal(text: str, kind: SealKind, *, root_pem: str) -> str:
    """The payload, once everything holds. Errors: SealRefused."""
    try:
        document = Sealed.model_validate_json(text)
        authority, root = parse_pem(document.authority_pem), parse_pem(root_pem)
    except ValueError as malformed:
        raise SealRefused("it is no sealed document") from malformed
    if not has_issued(root, authority):
        raise SealRefused("its authority does not come from HQ's root")
    return reopen_seal(text, kind)


def reopen_seal(text: str, kind: SealKind) -> str:
    """The payload of what was opened before and kept since, whether or not its root is still known: it is as it was.

    Never for what comes from outside: anybody can seal for an authority of their own. Errors: SealRefused.
    """
    try:
        document = Sealed.model_validate_json(text)
        signature, authority = bytes.fromhex(document.signature_hex), parse_pem(document.authority_pem)
    except ValueError as malformed:
        raise SealRefused("it is no sealed document") from malformed
    if document.kind != kind:
        raise SealRefused(f"it seals a {document.kind[:20]!r}, not a {kind}")
    key = ed25519_key_of(authority)
    if key is None or not is_authority(authority):
        raise SealRefused("its certificate is none of an authority")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _signed(kind, document.payload))
    except (InvalidSignature, ValueError):
        raise SealRefused("its signature is not HQ's") from None
    return document.payload


def _signed(kind: SealKind, payload: str) -> bytes:
    return _DOMAIN + kind.encode() + b"\x00" + payload.encode()
