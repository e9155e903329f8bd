"""HQ's root and the authorities under it, for tests: real certificates, made anew each time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from engagement.line.seal import Authority

_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
_ENDS_AT = _MADE_AT + timedelta(days=3652)


@dataclass(frozen=True)
class Root:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


@dataclass
class HandSealing:
    """What the services ask of sealing; ``authority`` None: not certified yet."""

    authority: Authority | None
    root_pem: str = ""


def make_root(*, path_length: int = 1) -> Root:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("root of the test")
    return Root(_certificate(name, name, key.public_key(), key, path_length=path_length), key)


def reissue(root: Root) -> Root:
    """The same root under another certificate."""
    name = root.certificate.subject
    return Root(_certificate(name, name, root.key.public_key(), root.key, path_length=1), root.key)


def make_authority(root: Root) -> Authority:
    """One that the root issued; each has a key of its own."""
    key = ed25519.Ed25519PrivateKey.generate()
    certificate = _certificate(
        root.certificate.subject, _name("authority of the test"), key.public_key(), root.key, path_length=0
    )
    return Authority(certificate.public_bytes(Encoding.PEM).decode(), key.sign)


def make_sealing(root: Root | None = None) -> HandSealing:
    """Certified, by a root of its own where none is named."""
    root = root or make_root()
    return HandSealing(make_authority(root), root.pem)


def _certificate(
    issuer: x509.Name,
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey,
    signing: ec.EllipticCurvePrivateKey,
    *,
    path_length: int,
) -> x509.Certificate:
    return (
        x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number(), _MADE_AT, _ENDS_AT)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .sign(signing, hashes.SHA256())
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
