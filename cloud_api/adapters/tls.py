"""The certificate that the cloud shows."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from engagement.clock.moment import to_ms
from engagement.line.certificates import root_of_chain


class CertificateRefused(Exception):
    """The certificate or its key cannot be used; says which file and why."""


@dataclass(frozen=True)
class ServerTls:
    """``ends_ms``: Unix ms of the certificate's end; ``chain``: as presented, HQ's own first."""

    context: ssl.SSLContext
    ends_ms: int
    chain: tuple[x509.Certificate, ...]

    def shows_root(self, fingerprint: bytes) -> bool:
        """Whether those who know no more than a root's fingerprint can tell that this is HQ."""
        return root_of_chain(self.chain, fingerprint) is not None


def load_server_tls(certificate: Path, key: Path) -> ServerTls:
    """Errors: CertificateRefused."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        chain = tuple(x509.load_pem_x509_certificates(certificate.read_bytes()))
    except (OSError, ValueError) as failure:
        raise CertificateRefused(
            f"tls_certificate {certificate} with tls_key {key}: {_because(failure)}; needs a PEM chain and its PEM key"
        ) from failure
    return ServerTls(context, to_ms(chain[0].not_valid_after_utc), chain)


def _because(failure: OSError | ValueError) -> str:
    """In words; numbers and lines of the library's source tell nobody anything."""
    if isinstance(failure, ssl.SSLError) and failure.reason:
        is_others = failure.reason == "KEY_VALUES_MISMATCH"
        return "the key is another certificate's" if is_others else f"not readable ({failure.reason})"
    return getattr(failure, "strerror", None) or str(failure)
