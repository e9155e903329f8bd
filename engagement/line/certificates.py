"""What X.509 certificates say between HQ and its agents: whose root a chain descends from, and which agent a key is.

A root is known by the first 80 bits of SHA-256 over its DER. An agent's certificate holds its link key and carries its
whole name as the URI ``urn:beckon:agent:NAME``, percent-encoded, because a common name takes 64 bytes at most and has only
what fits of it. Life spans are never judged here: an agent may not know what year it is.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from engagement.ids import AgentName
from engagement.line.claim import FINGERPRINT_BYTES

_AGENT_URI: Final = "urn:beckon:agent:"
# HQ presents itself, perhaps one authority between, and the root; whoever sends more is not HQ.
CHAIN_CERTIFICATES_MAX: Final = 8


# What ``cryptography`` raises for certificates that are broken or unheard of; they come from whoever answers.
_BROKEN: Final = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class CertificateWrong(ValueError):
    """A certificate is not what it must be; the text says in which way."""

    code = "certificate_wrong"


def root_fingerprint(root: x509.Certificate | str) -> bytes:
    """10 bytes, as a claim code carries them; a text is PEM. Errors: CertificateWrong when it is no certificate."""
    if isinstance(root, str):
        root = parse_pem(root)
    return sha256(root.public_bytes(Encoding.DER)).digest()[:FINGERPRINT_BYTES]


def parse_pem(pem: str) -> x509.Certificate:
    """The first certificate of a PEM text. Errors: CertificateWrong."""
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except _BROKEN as malformed:
        raise CertificateWrong("it is no PEM certificate") from malformed


def parse_der(octets: bytes) -> x509.Certificate:
    """Errors: CertificateWrong."""
    try:
        return x509.load_der_x509_certificate(octets)
    except _BROKEN as malformed:
        raise CertificateWrong("it is no certificate") from malformed


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it signed itself and may issue others."""
    return is_authority(certificate) and has_issued(certificate, certificate)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue certificates at all."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except _BROKEN:
        return False


def has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether the issuer's key signed it, under the issuer's name."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except _BROKEN:
        return False
    return True


def ed25519_key_of(certificate: x509.Certificate) -> bytes | None:
    """The 32 bytes of its Ed25519 key; None where it has another kind of key."""
    try:
        key = certificate.public_key()
    except _BROKEN:
        return None
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else None


def root_of_chain(chain: Sequence[x509.Certificate], fingerprint: bytes) -> x509.Certificate | None:
    """The certificate with this fingerprint that the chain's first descends from, each issued by the next.

    None when the chain does not hold together that far. Names and extensions of the first are the caller's business.
    """
    for place, certificate in enumerate(chain[:CHAIN_CERTIFICATES_MAX]):
        if place and not (is_authority(certificate) and has_issued(certificate, chain[place - 1])):
            return None
        if place and root_fingerprint(certificate) == fingerprint:
            return certificate
    return None


def reissued_root(chain: Sequence[x509.Certificate], root: x509.Certificate) -> x509.Certificate | None:
    """The certificate of a chain that is this root, issued anew by its own key under its own name."""
    return next(
        (
            each
            for each in chain[:CHAIN_CERTIFICATES_MAX]
            if _is_same_key(each, root) and is_authority(each) and has_issued(root, each)
        ),
        None,
    )


def _is_same_key(one: x509.Certificate, other: x509.Certificate) -> bool:
    try:
        return one.public_key() == other.public_key()
    except _BROKEN:
        return False


def is_same_root(one_pem: str, other_pem: str) -> bool:
    """Whether both are the same name and key, so that whatever descends from one does from the other: a root may be
    issued anew. Errors: CertificateWrong."""
    one, other = parse_pem(one_pem), parse_pem(other_pem)
    return (one.subject, one.public_key()) == (other.subject, other.public_key())


def check_authority(certificate_pem: str, *, root_pem: str, public_key: bytes) -> None:
    """Whether this root made this key HQ's authority. Errors: CertificateWrong, saying what does not hold."""
    certificate, root = parse_pem(certificate_pem), parse_pem(root_pem)
    if ed25519_key_of(certificate) != public_key:
        raise CertificateWrong("the certificate is for another key than HQ's")
    if not is_root(root):
        raise CertificateWrong("root_pem is no root: it must have signed itself, as an authority")
    if not has_issued(root, certificate):
        raise CertificateWrong("the certificate was not issued by the root that came with it")
    if not is_authority(certificate):
        raise CertificateWrong("the certificate is none of an authority")
    path_length = root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    if path_length == 0:
        raise CertificateWrong(
            "the root may have no authority under it (its path length is 0); make a new root"
        )


def agent_uri(agent: AgentName) -> str:
    """The name as an agent's certificate carries it."""
    return _AGENT_URI + quote(agent, safe="")


def agent_of(certificate: x509.Certificate) -> tuple[AgentName, bytes]:
    """Whose certificate it is, and the 32 bytes of that agent's link key. Errors: CertificateWrong."""
    key = ed25519_key_of(certificate)
    if is_authority(certificate) or key is None:
        raise CertificateWrong("it is no agent's certificate")
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except _BROKEN as nameless:
        raise CertificateWrong("it names no agent") from nameless
    agents = [
        uri.removeprefix(_AGENT_URI)
        for uri in names.get_values_for_type(x509.UniformResourceIdentifier)
        if uri.startswith(_AGENT_URI)
    ]
    if len(agents) != 1:
        raise CertificateWrong("it names no agent, or several")
    return AgentName(unquote(agents[0])), key
