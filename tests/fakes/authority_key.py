"""HQ's sealing key in memory, and certificates for it as a desk's root issues them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from typing_extensions import override

from cloud_api.ports.authority import AuthorityKey, Certified
from cloud_api.services.sealing import Sealing
from engagement.ids import AgentName
from tests.fakes.hq_authority import Root, make_root

_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class MemoryAuthorityKey(AuthorityKey):
    """``failure``: raised instead of keeping a certificate. What it issues says whom for, and is no real certificate."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    kept: Certified | None = None
    failure: OSError | None = None

    @property
    @override
    def public_key(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    @override
    def request_pem(self) -> str:
        return f"please certify {self.public_key.hex()}"

    @override
    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)

    @override
    def certified(self) -> Certified | None:
        return self.kept

    @override
    def keep(self, certified: Certified) -> None:
        if self.failure is not None:
            raise self.failure
        self.kept = certified

    @override
    def issue(self, agent: AgentName, public_key: bytes, authority_pem: str) -> str:
        return f"{agent} has {public_key.hex()}, says\n{authority_pem}"


def certified_by(root: Root, public_key: bytes, *, is_authority: bool = True) -> Certified:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "HQ of the test")])
    certificate = (
        x509.CertificateBuilder(
            root.certificate.subject,
            name,
            Ed25519PublicKey.from_public_bytes(public_key),
            x509.random_serial_number(),
            _MADE_AT,
            _MADE_AT + timedelta(days=3652),
        )
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True
        )
        .sign(root.key, hashes.SHA256())
    )
    return Certified(certificate.public_bytes(Encoding.PEM).decode(), root.pem)


def certified_sealing(root: Root | None = None) -> Sealing:
    """By a root of its own where none is named."""
    key = MemoryAuthorityKey()
    key.kept = certified_by(root or make_root(), key.public_key)
    return Sealing(key)
