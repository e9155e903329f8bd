"""The certificate that the cloud shows."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from engagement.clock.moment import to_ms


class CertificateRefused(Exception):
    """The certificate or its key cannot be used; says which file and why."""


@dataclass(frozen=True)
class ServerTls:
    """``ends_ms``: Unix ms of the certificate's end."""

    context: ssl.SSLContext
    ends_ms: int


def load_server_tls(certificate: Path, key: Path) -> ServerTls:
    """Errors: CertificateRefused."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        ends_at = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ssl.SSLError, ValueError) as failure:
        raise CertificateRefused(
            f"tls_certificate {certificate} with tls_key {key}: {failure}; needs a PEM chain and its PEM key"
        ) from failure
    return ServerTls(context, to_ms(ends_at))
