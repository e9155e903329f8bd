"""The guest listeners of a store front on loopback, and phones that talk to them; each 127.x.y.z is another phone."""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engagement.campaign.model import Campaign
from tests.fakes.store_front import StoreFront, store_front

ANNA = "127.0.0.11"
BERT = "127.0.0.12"


@dataclass
class GuestServer:
    """``page_url``: where the pages are, https when it was asked for TLS; ``probe_url``: the http listener."""

    front: StoreFront
    page_url: str
    probe_url: str


@asynccontextmanager
async def guest_server(
    *campaigns: Campaign, tls_folder: Path | None = None, **branch: object
) -> AsyncIterator[GuestServer]:
    """Serve both listeners. With ``tls_folder`` the pages come over TLS, with a certificate made there."""
    page_port, probe_port = _two_ports()
    page_url = f"{'https' if tls_folder else 'http'}://127.0.0.1:{page_port}"
    async with store_front(*campaigns, base_url=page_url, **branch) as front:
        apps = front.apps()
        runners = [web.AppRunner(apps.https), web.AppRunner(apps.http)]
        try:
            for runner in runners:
                await runner.setup()
            context = own_certificate(tls_folder) if tls_folder else None
            await web.TCPSite(runners[0], "127.0.0.1", page_port, ssl_context=context, backlog=1024).start()
            await web.TCPSite(runners[1], "127.0.0.1", probe_port, backlog=1024).start()
            yield GuestServer(front, page_url, f"http://127.0.0.1:{probe_port}")
        finally:
            for runner in runners:
                await runner.cleanup()


def _two_ports() -> tuple[int, int]:
    """Free ones; taken one after the other they might be the same."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@asynccontextmanager
async def phone(base_url: str, address: str = ANNA, *, unpacks: bool = True) -> AsyncIterator[ClientSession]:
    """A phone at an address that keeps no cookies, as a portal's mini-browser does after it was closed."""
    connector = TCPConnector(local_addr=(address, 0), ssl=False)
    async with ClientSession(
        base_url, connector=connector, cookie_jar=DummyCookieJar(), auto_decompress=unpacks
    ) as session:
        yield session


def own_certificate(folder: Path) -> ssl.SSLContext:
    """A server context with a fresh certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "guest.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context
