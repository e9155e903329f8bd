"""What HQ seals: bundles and grants, which prove themselves by HQ's root alone, whoever carried or kept them.

Shape: a JSON object with ``kind``, ``payload`` (a text), ``authority_pem`` (one X.509 certificate, issued by the root) and
``signature_hex`` (Ed25519 by the authority's key over DOMAIN, the kind, a zero octet and the payload as UTF-8). Life
spans in certificates are not judged: an agent may not know what year it is; what is outdated is told by numbers inside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from engagement.line.answers import Said

_DOMAIN: Final = b"beckon sealed document v1\x00"


class SealKind(StrEnum):
    BUNDLE = "bundle"
    GRANT = "grant"


class SealRefused(ValueError):
    """The document is not what HQ sealed; ``because`` says what does not hold."""

    code = "seal_wrong"


@dataclass(frozen=True, slots=True)
class Authority:
    """HQ's sealing key. ``certificate_pem``: issued by the root; ``sign``: Ed25519 over the given bytes."""

    certificate_pem: str
    sign: Callable[[bytes], bytes]


class Sealed(Said):
    kind: str
    payload: str
    authority_pem: str
    signature_hex: str


def seal(kind: SealKind, payload: str, authority: Authority) -> str:
    """The document's text."""
    signature = authority.sign(_signed(kind, payload))
    return Sealed(
        kind=kind, payload=payload, authority_pem=authority.certificate_pem, signature_hex=signature.hex()
    ).model_dump_json()


def open_seal(text: str, kind: SealKind, *, root_pem: str) -> str:
    """The payload, once everything holds. Errors: SealRefused."""
    try:
        document = Sealed.model_validate_json(text)
        signature = bytes.fromhex(document.signature_hex)
        authority = x509.load_pem_x509_certificate(document.authority_pem.encode())
        root = x509.load_pem_x509_certificate(root_pem.encode())
    except (ValidationError, ValueError) as malformed:
        raise SealRefused("it is no sealed document") from malformed
    if document.kind != kind:
        raise SealRefused(f"it seals a {document.kind[:20]!r}, not a {kind}")
    key = _authority_key(authority, root)
    try:
        key.verify(signature, _signed(kind, document.payload))
    except InvalidSignature:
        raise SealRefused("its signature is not HQ's") from None
    return document.payload


def _authority_key(authority: x509.Certificate, root: x509.Certificate) -> Ed25519PublicKey:
    """Errors: SealRefused when the root did not issue it, or not as an authority."""
    try:
        authority.verify_directly_issued_by(root)
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        key = authority.public_key()
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as refused:
        raise SealRefused("its authority does not come from HQ's root") from refused
    if not constraints.ca or not isinstance(key, Ed25519PublicKey):
        raise SealRefused("its certificate is none of an authority")
    return key


def _signed(kind: SealKind, payload: str) -> bytes:
    return _DOMAIN + kind.encode() + b"\x00" + payload.encode()
