"""HQ's sealing key in its home, by ``cryptography``: made at the first start, never sent anywhere.

``authority-key.json`` holds the key (mode 0600), ``authority.json`` the certificate and the root that issued it, in one
file so that they cannot part. Both are replaced by rename. Certificates of agents descend from their key, name and
authority alone: asked for again, the same one is made again, and none needs to be stored.
"""

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typing_extensions import override

from cloud_api.ports.authority import AuthorityKey, Certified
from cloud_api.ports.machine import Entropy
from engagement.ids import AgentName
from engagement.line.certificates import CertificateWrong, agent_uri, check_authority
from engagement.values import Value

KEY_FILE: Final = "authority-key.json"
CERTIFICATE_FILE: Final = "authority.json"
_KEY_BYTES: Final = 32
# Source: X.520, ub-common-name; the whole name stands in the URI beside it.
_COMMON_NAME_BYTES_MAX: Final = 64
# A serial number is positive and of 20 octets at most (RFC 5280, 4.1.2.2).
_SERIAL_BYTES: Final = 19


class AuthorityRefused(Exception):
    """A file of the authority cannot be used; says which and what to do."""


class _KeptKey(Value):
    signing_hex: str


class _KeptCertificate(Value):
    certificate_pem: str
    root_pem: str


class FolderAuthorityKey(AuthorityKey):
    """Made by load_authority_key()."""

    def __init__(self, folder: Path, private: Ed25519PrivateKey) -> None:
        self._folder = folder
        self._private = private

    @property
    @override
    def public_key(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    @property
    @override
    def request_pem(self) -> str:
        name = _name(f"Beckon HQ authority {sha256(self.public_key).hexdigest()[:16]}")
        request = x509.CertificateSigningRequestBuilder(name).sign(self._private, None)
        return request.public_bytes(Encoding.PEM).decode()

    @override
    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    @override
    def certified(self) -> Certified | None:
        path = self._folder / CERTIFICATE_FILE
        try:
            kept = _KeptCertificate.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as failure:
            raise AuthorityRefused(f"{path}: {failure}; move it away and certify HQ anew") from failure
        try:
            check_authority(kept.certificate_pem, root_pem=kept.root_pem, public_key=self.public_key)
        except CertificateWrong:
            return None
        return Certified(kept.certificate_pem, kept.root_pem)

    @override
    def keep(self, certified: Certified) -> None:
        kept = _KeptCertificate(certificate_pem=certified.certificate_pem, root_pem=certified.root_pem)
        _replace_file(self._folder / CERTIFICATE_FILE, kept.model_dump_json().encode())

    @override
    def issue(self, agent: AgentName, public_key: bytes, authority_pem: str) -> str:
        authority = x509.load_pem_x509_certificate(authority_pem.encode())
        own_uri = x509.UniformResourceIdentifier(agent_uri(agent))
        certificate = (
            x509.CertificateBuilder(
                authority.subject,
                _name(_cut(agent, _COMMON_NAME_BYTES_MAX)),
                Ed25519PublicKey.from_public_bytes(public_key),
                _serial(self.public_key + public_key + agent.encode()),
                authority.not_valid_before_utc,
                authority.not_valid_after_utc,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNS_REQUESTS, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([own_uri]), critical=False)
            .sign(self._private, None)
        )
        return "".join(each.public_bytes(Encoding.PEM).decode() for each in (certificate, authority))


_SIGNS_REQUESTS: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def load_authority_key(folder: Path, entropy: Entropy) -> FolderAuthorityKey:
    """Read the key file, or make it. Errors: AuthorityRefused when it is damaged; OSError when it cannot be written."""
    path = folder / KEY_FILE
    if not path.exists():
        _replace_file(path, _KeptKey(signing_hex=entropy.token(_KEY_BYTES).hex()).model_dump_json().encode())
    try:
        kept = _KeptKey.model_validate_json(path.read_bytes())
        private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(kept.signing_hex))
    except (OSError, ValueError) as failure:
        # Never the content: what is left of a key is still worth something.
        raise AuthorityRefused(
            f"{path} is no key of HQ's; bring it back from a backup, or move it away and certify HQ anew"
        ) from failure
    return FolderAuthorityKey(folder, private)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _cut(text: str, bytes_max: int) -> str:
    return text.encode()[:bytes_max].decode(errors="ignore")


def _serial(of: bytes) -> int:
    return int.from_bytes(sha256(of).digest()[:_SERIAL_BYTES], "big") | 1


def _replace_file(path: Path, content: bytes) -> None:
    """Of mode 0600 and durable when this returns; after a power cut there is the old one or the new one."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
