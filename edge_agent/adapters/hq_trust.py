"""Whom the line takes for HQ: whoever shows a certificate of the authority that is believed, for HQ's address.

Believed are the authorities of ``hq_ca_file`` where the settings name one; else the root that was pinned at enrolment; else
those that the machine trusts. A pinned authority is believed for ever while nobody vouches for our own clock: a box that
wakes up in 1970 finds every certificate "not yet valid", and HQ is what could tell it the time.

A pinned root that was issued anew by its own key is the same root: HQ presents it, and it is believed in the place of the old
one, whose names or end may not fit HQ's certificate any more.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge_agent.adapters.tls import CertificateRefused
from edge_agent.ports import LineDown
from engagement.line.certificates import (
    CHAIN_CERTIFICATES_MAX,
    CertificateWrong,
    parse_der,
    parse_pem,
    reissued_root,
    root_of_chain,
)

# Source: openssl/x509_vfy.h, X509_V_FLAG_NO_CHECK_TIME; Python's ssl has no name for it.
_NO_CHECK_TIME: Final = 0x200000
# Source: CPython, Modules/_ssl/cert.c, PY_SSL_ENCODING_DER.
_DER: Final = 2
_LOOK_S_MAX: Final = 10.0


class HqTrust:
    """``ca_file``: as the settings have it. Errors: CertificateRefused when it cannot be used."""

    def __init__(self, ca_file: Path | None) -> None:
        self.is_by_file = ca_file is not None
        self._by_file = _ByFile(ca_file) if ca_file is not None else None
        self._machine: ssl.SSLContext | None = None
        # Only ever one pinned root at a time.
        self._pinned: tuple[str, _Pinned] | None = None
        self._reissued: dict[str, str] = {}

    def context(self, root_pem: str, *, is_clock_known: bool) -> ssl.SSLContext:
        """``root_pem``: the pinned root, empty for none. Errors: LineDown when it is no certificate."""
        if self._by_file is not None:
            return self._by_file.context(is_clock_known)
        if not root_pem:
            self._machine = self._machine or ssl.create_default_context()
            return self._machine
        root_pem = self._reissued.get(root_pem, root_pem)
        if self._pinned is None or self._pinned[0] != root_pem:
            self._pinned = root_pem, _Pinned(root_pem)
        return self._pinned[1].context(is_clock_known)

    async def has_reissued(self, url: str, root_pem: str) -> bool:
        """Whether what answers there presents the pinned root issued anew, which is believed from now on.

        Errors: LineDown.
        """
        if self.is_by_file or not root_pem:
            return False
        try:
            root = reissued_root(await _presented_chain(url), parse_pem(root_pem))
        except CertificateWrong:
            return False
        if root is None or self._reissued.get(root_pem, root_pem) == _pem(root):
            return False
        self._reissued = {root_pem: _pem(root)}
        return True


class _Pinned:
    def __init__(self, root_pem: str) -> None:
        try:
            self._strict = ssl.create_default_context(cadata=root_pem)
            self._timeless = _without_time(ssl.create_default_context(cadata=root_pem))
        except (ssl.SSLError, ValueError) as failure:
            raise LineDown(f"the root that was pinned at enrolment cannot be used ({failure})") from failure

    def context(self, is_clock_known: bool) -> ssl.SSLContext:
        return self._strict if is_clock_known else self._timeless


class _ByFile:
    def __init__(self, path: Path) -> None:
        try:
            self._strict = ssl.create_default_context(cafile=str(path))
            self._timeless = _without_time(ssl.create_default_context(cafile=str(path)))
        except (OSError, ssl.SSLError) as failure:
            raise CertificateRefused(f"hq_ca_file {path}: {failure}; needs PEM certificates") from failure

    def context(self, is_clock_known: bool) -> ssl.SSLContext:
        return self._strict if is_clock_known else self._timeless


def _without_time(context: ssl.SSLContext) -> ssl.SSLContext:
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


async def root_behind(url: str, fingerprint: bytes) -> str:
    """The root (PEM) with this fingerprint that what answers there descends from, by the chain that it presents.

    Proves nothing about who answered: only the root is taken from here, and the line is opened anew believing it.
    Errors: LineDown.
    """
    chain = await _presented_chain(url)
    root = root_of_chain(chain, fingerprint)
    if root is None:
        raise LineDown("what answers does not present the root that the claim code names, so it is not HQ")
    return _pem(root)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


async def _presented_chain(url: str) -> list[x509.Certificate]:
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    try:
        address = urlsplit(url)
        async with asyncio.timeout(_LOOK_S_MAX):
            _, writer = await asyncio.open_connection(address.hostname, address.port or 443, ssl=blind)
    except TimeoutError as failure:
        raise LineDown("HQ did not answer in time") from failure
    except (OSError, ValueError) as failure:  # the latter by what no host can be called
        raise LineDown(str(failure) or type(failure).__name__) from failure
    try:
        return _unverified_chain(writer.get_extra_info("ssl_object"))
    except ValueError as failure:
        raise LineDown("what answers presents certificates that cannot be read") from failure
    finally:
        writer.transport.abort()


def _unverified_chain(connection: Any) -> list[x509.Certificate]:
    """As the other side sent it, its own first. Errors: ValueError."""
    # Public from Python 3.13 on; before, the object beneath has it.
    inner = connection if hasattr(connection, "get_unverified_chain") else connection._sslobj
    sent = list(inner.get_unverified_chain() or ())[:CHAIN_CERTIFICATES_MAX]
    octets = (each if isinstance(each, bytes) else each.public_bytes(_DER) for each in sent)
    return [parse_der(each) for each in octets]
