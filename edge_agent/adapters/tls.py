"""The certificate that both listeners show: the one that the settings name, or one that this mini-PC made and signed itself.

Its own is for a box that is set up, and for trying out: phones and tills warn of it. It never ends, for a box from its carton
does not know what year it is.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_agent.adapters.durable_file import replace_file
from engagement.clock.moment import to_ms

# Source: RFC 5280, 4.1.2.5: for certificates without a known end.
_BEGINS_AT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_ENDS_AT: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class CertificateRefused(Exception):
    """The certificate or its key cannot be used; says which file and why."""


@dataclass(frozen=True)
class ServerTls:
    """``ends_ms``: Unix ms of the certificate's end. ``is_own``: nobody vouches for it."""

    context: ssl.SSLContext
    ends_ms: int
    is_own: bool = False


def load_server_tls(certificate: Path, key: Path) -> ServerTls:
    """Errors: CertificateRefused."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        ends_at = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as failure:
        raise CertificateRefused(
            f"tls_certificate {certificate} with tls_key {key}: {_because(failure)}; needs a PEM chain and its PEM key"
        ) from failure
    return ServerTls(context, to_ms(ends_at))


def _because(failure: OSError | ValueError) -> str:
    """In words; numbers and lines of the library's source tell nobody anything."""
    if isinstance(failure, ssl.SSLError) and failure.reason:
        is_others = failure.reason == "KEY_VALUES_MISMATCH"
        return "the key is another certificate's" if is_others else f"not readable ({failure.reason})"
    return getattr(failure, "strerror", None) or str(failure)


def own_server_tls(path: Path, hosts: Sequence[str]) -> ServerTls:
    """The certificate in this file, with its key before it; made when it is missing, spoilt, or for other hosts.

    Errors: CertificateRefused when it cannot be kept.
    """
    try:
        if not _is_for(path, hosts):
            replace_file(path, _made_for(hosts))
        kept = load_server_tls(path, path)
    except (OSError, ValueError) as failure:  # the latter by a name that no certificate can carry
        raise CertificateRefused(f"no certificate can be made in {path.parent}: {failure}") from failure
    return ServerTls(kept.context, kept.ends_ms, is_own=True)


def _is_for(path: Path, hosts: Sequence[str]) -> bool:
    try:
        load_server_tls(path, path)
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (CertificateRefused, ValueError, x509.ExtensionNotFound):
        return False
    return names == _names(hosts)


def _names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_name(host) for host in dict.fromkeys(hosts)])


def _name(host: str) -> x509.GeneralName:
    try:
        # Without its zone, which is this machine's own word and stands in no certificate.
        return x509.IPAddress(ip_address(host.partition("%")[0]))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode())


def _made_for(hosts: Sequence[str]) -> bytes:
    """Key and certificate, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Beckon mini-PC")])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGINS_AT)
        .not_valid_after(_ENDS_AT)
        .add_extension(_names(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + certificate.public_bytes(Encoding.PEM)
