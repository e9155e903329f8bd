"""Certificates around HQ's root, for tests: those that issue nothing, and the root itself issued anew."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from tests.fakes.hq_authority import Root

_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
_ENDS_AT = _MADE_AT + timedelta(days=3652)


def agent_leaf(issuer: Root, key: ed25519.Ed25519PrivateKey, uris: Sequence[str]) -> x509.Certificate:
    builder = _leaf(issuer, key.public_key())
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer.key, hashes.SHA256())


def server_leaf(issuer: Root) -> Root:
    """With its key, so that it can pretend to be an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Root(_leaf(issuer, key.public_key()).sign(issuer.key, hashes.SHA256()), key)


def renewed(root: Root) -> Root:
    """The same name and key in another certificate."""
    certificate = (
        x509.CertificateBuilder(
            root.certificate.subject,
            root.certificate.subject,
            root.key.public_key(),
            x509.random_serial_number(),
            _MADE_AT,
            _ENDS_AT,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .sign(root.key, hashes.SHA256())
    )
    return Root(certificate, root.key)


def _leaf(
    issuer: Root, public_key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf of the test")])
    return x509.CertificateBuilder(
        issuer.certificate.subject, name, public_key, x509.random_serial_number(), _MADE_AT, _ENDS_AT
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
