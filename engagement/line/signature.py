"""A request's signature: who sent it, and that method, address and body are what was signed.

Shape: ``Content-Digest`` holds the body's SHA-256; ``Signature-Input`` and ``Signature`` one Ed25519 signature labelled
``beckon`` over "@method", "@target-uri" and "content-digest" with the parameters created, keyid, nonce and alg.
``keyid`` is the sender's name, percent-encoded, because names may hold any letters and parameters may not.
``created`` is never trusted: a repeat is harmless by the batch's numbers, whatever a clock says.
Source: RFC 9421 (HTTP Message Signatures), RFC 9530 (Content-Digest).
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Final
from urllib.parse import quote, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LABEL: Final = "beckon"
_COVERED: Final = '("@method" "@target-uri" "content-digest")'
_ALGORITHM: Final = "ed25519"
# A name of 80 letters of four bytes each, percent-encoded, leaves room for the rest.
_HEADER_CHARS_MAX: Final = 2048
_INPUT: Final = re.compile(rf'{LABEL}=({re.escape(_COVERED)}((?:;[a-z]+=(?:-?\d{{1,15}}|"[!#-\[\]-~]*"))*))')
_PARAMETER: Final = re.compile(r';([a-z]+)=(?:(-?\d+)|"([^"]*)")')
_SIGNATURE: Final = re.compile(rf"{LABEL}=:([A-Za-z0-9+/=]+):")
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class SignatureFault(StrEnum):
    """Why a request counts as nobody's."""

    MISSING = "signature_missing"
    MALFORMED = "signature_malformed"
    DIGEST_WRONG = "digest_wrong"
    UNKNOWN_KEY = "agent_unknown"
    WRONG = "signature_wrong"


class SignatureRefused(Exception):
    """The request is not signed as it must be; ``code`` is stable."""

    def __init__(self, fault: SignatureFault, because: str) -> None:
        super().__init__(because)
        self.code = fault.value


def sign_request(
    method: str,
    target_uri: str,
    body: bytes,
    *,
    keyid: str,
    created_s: int,
    nonce: str,
    sign: Callable[[bytes], bytes],
) -> dict[str, str]:
    """The headers that make a request the sender's own.

    ``target_uri``: the whole address, exactly as it is sent (scheme, host, port unless it is the scheme's own, path
    and query). ``nonce``: 1 to 64 letters of base64url. ``sign``: Ed25519 by the key that HQ knows under ``keyid``.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError(f"nonce is {nonce[:80]!r}; allowed: 1 to 64 letters, digits, - and _")
    digest = content_digest(body)
    parameters = (
        f'{_COVERED};created={created_s};keyid="{quote(keyid, safe="")}";nonce="{nonce}";alg="{_ALGORITHM}"'
    )
    signature = sign(_signature_base(method, target_uri, digest, parameters))
    return {
        "Content-Digest": digest,
        "Signature-Input": f"{LABEL}={parameters}",
        "Signature": f"{LABEL}=:{b64encode(signature).decode()}:",
    }


def verify_request(
    method: str,
    target_uri: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    public_key_of: Callable[[str], bytes | None],
) -> str:
    """The name of who signed this request. Errors: SignatureRefused.

    ``public_key_of``: the 32 bytes of a sender's Ed25519 key by name; None for strangers and for revoked ones.
    """
    sender = verify_headers(method, target_uri, headers, public_key_of=public_key_of)
    demand_digest(headers, body)
    return sender


def verify_headers(
    method: str,
    target_uri: str,
    headers: Mapping[str, str],
    *,
    public_key_of: Callable[[str], bytes | None],
) -> str:
    """As verify_request(), before the body is there: its digest is signed, so it only has to be compared then."""
    claimed = claimed_sender(headers)
    given = {name.lower(): value for name, value in headers.items()}
    parameters = given["signature-input"].strip().removeprefix(f"{LABEL}=")
    signature = _read_signature(given["signature"])
    public_key = public_key_of(claimed)
    if public_key is None:
        raise SignatureRefused(SignatureFault.UNKNOWN_KEY, f"no agent {claimed!r} may speak here; enrol it")
    signed = _signature_base(method, target_uri, given["content-digest"].strip(), parameters)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except InvalidSignature:
        raise SignatureRefused(
            SignatureFault.WRONG, f"the signature is not that of agent {claimed!r} over {method} {target_uri}"
        ) from None
    return claimed


def demand_digest(headers: Mapping[str, str], body: bytes) -> None:
    """Whether the body is the one that verified headers are about. Errors: SignatureRefused."""
    given = next(value for name, value in headers.items() if name.lower() == "content-digest")
    if not compare_digest(given.strip().encode(), content_digest(body).encode()):
        raise SignatureRefused(SignatureFault.DIGEST_WRONG, "Content-Digest is not the SHA-256 of the body")


def claimed_sender(headers: Mapping[str, str]) -> str:
    """Who a request says it is from, before anything is verified. Errors: SignatureRefused (missing or malformed)."""
    given = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in ("content-digest", "signature-input", "signature") if name not in given]
    if missing:
        raise SignatureRefused(
            SignatureFault.MISSING, f"the request has no {' and no '.join(missing)}; sign it (RFC 9421)"
        )
    text = given["signature-input"].strip()
    found = _INPUT.fullmatch(text) if len(text) <= _HEADER_CHARS_MAX else None
    if found is None:
        raise _malformed(
            "Signature-Input", f'{LABEL}={_COVERED};created=...;keyid="...";nonce="...";alg="ed25519"'
        )
    parameters = [(name, number or quoted) for name, number, quoted in _PARAMETER.findall(found[2])]
    values = dict(parameters)
    if len(values) != len(parameters) or not {"keyid", "nonce", "created"} <= values.keys():
        raise _malformed("Signature-Input", "created, keyid and nonce, each once")
    if values.get("alg", _ALGORITHM) != _ALGORITHM:
        raise _malformed("Signature-Input", f'alg="{_ALGORITHM}"')
    try:
        return unquote(values["keyid"], errors="strict")
    except UnicodeDecodeError:
        raise _malformed("Signature-Input", "a keyid that is percent-encoded UTF-8") from None


def content_digest(body: bytes) -> str:
    """The header's value. Source: RFC 9530 section 2."""
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def _read_signature(text: str) -> bytes:
    found = _SIGNATURE.fullmatch(text.strip()) if len(text) <= _HEADER_CHARS_MAX else None
    try:
        if found is not None:
            return b64decode(found[1], validate=True)
    except Base64Error:
        pass
    raise _malformed("Signature", f"{LABEL}=:<base64>:")


def _malformed(header: str, allowed: str) -> SignatureRefused:
    return SignatureRefused(SignatureFault.MALFORMED, f"{header} cannot be read; allowed: {allowed}")


def _signature_base(method: str, target_uri: str, digest: str, parameters: str) -> bytes:
    """Source: RFC 9421 section 2.5."""
    lines = (
        f'"@method": {method}',
        f'"@target-uri": {target_uri}',
        f'"content-digest": {digest}',
        f'"@signature-params": {parameters}',
    )
    return "\n".join(lines).encode()
