"""A home's certificates: every name verifies, the root stays the same whatever it is needed for, and old homes go on."""

import ssl
import stat
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from engagement.line.certificates import is_same_root, root_fingerprint, root_of_chain
from provisioning.adapters.certificates import (
    FolderRoot,
    ServerCertificate,
    certify_server,
    ensure_certificates,
)
from provisioning.faults import ConfigurationWrong, WorkFailed

PORTAL = "harbour.beckon.internal"
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def _handshake(folder: Path, name: str) -> str:
    """Serve one connection with the folder's certificate and verify it as strictly as Python can; the TLS version."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    client = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    return _exchange(server, client, name)


def _exchange(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=name)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        ready = [_step(one), _step(other)]
        if all(ready):
            return one.version() or ""
    raise AssertionError("no end to the handshake")


def _step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


class TestCertificates:
    @pytest.mark.parametrize("name", ["127.0.0.1", "::1", "localhost", PORTAL])
    def test_every_name_verifies_strictly(self, tmp_path: Path, name: str) -> None:
        ensure_certificates(tmp_path, portal_name=PORTAL, now=datetime.now(UTC))
        assert _handshake(tmp_path, name) == "TLSv1.3"

    def test_another_name_does_not(self, tmp_path: Path) -> None:
        ensure_certificates(tmp_path, portal_name=PORTAL, now=datetime.now(UTC))
        with pytest.raises(ssl.SSLCertVerificationError):
            _handshake(tmp_path, "bank.example")

    def test_they_stay_while_they_are_good(self, tmp_path: Path) -> None:
        ensure_certificates(tmp_path, portal_name=PORTAL, now=NOW)
        before = _contents(tmp_path)
        ensure_certificates(tmp_path, portal_name=PORTAL, now=NOW + timedelta(days=59))
        assert _contents(tmp_path) == before

    def test_the_server_certificate_is_renewed_below_30_days_and_the_authority_stays(
        self, tmp_path: Path
    ) -> None:
        ensure_certificates(tmp_path, portal_name=PORTAL, now=NOW)
        before = _contents(tmp_path)
        ensure_certificates(tmp_path, portal_name=PORTAL, now=NOW + timedelta(days=61))
        after = _contents(tmp_path)
        assert (after["ca.pem"], after["ca-key.pem"]) == (before["ca.pem"], before["ca-key.pem"])
        assert after["server.pem"] != before["server.pem"]

    def test_a_lost_key_is_made_again(self, tmp_path: Path) -> None:
        ensure_certificates(tmp_path, portal_name=PORTAL, now=datetime.now(UTC))
        (tmp_path / "server-key.pem").unlink()
        ensure_certificates(tmp_path, portal_name=PORTAL, now=datetime.now(UTC))
        assert _handshake(tmp_path, PORTAL)

    def test_a_branch_of_another_name_gets_its_own(self, tmp_path: Path) -> None:
        ensure_certificates(tmp_path, portal_name=PORTAL, now=datetime.now(UTC))
        ensure_certificates(tmp_path, portal_name="pier.beckon.internal", now=datetime.now(UTC))
        assert _handshake(tmp_path, "pier.beckon.internal")

    def test_the_first_versions_root_is_issued_anew_and_whoever_trusts_it_goes_on(
        self, tmp_path: Path
    ) -> None:
        ensure_certificates(tmp_path, portal_name=PORTAL, now=datetime.now(UTC))
        old = _as_the_first_version_made_it(tmp_path)
        ensure_certificates(tmp_path, portal_name=PORTAL, now=datetime.now(UTC))
        new = (tmp_path / "ca.pem").read_text()
        assert new != old
        assert is_same_root(new, old)
        assert _handshake(tmp_path, PORTAL) == "TLSv1.3"
        (tmp_path / "ca.pem").write_text(old)
        assert _handshake(tmp_path, PORTAL) == "TLSv1.3"

    @pytest.mark.parametrize(
        ("portal_name", "later"), [("pier.beckon.internal", timedelta()), (PORTAL, timedelta(days=3600))]
    )
    def test_a_root_keeps_its_name_and_key_whatever_it_is_needed_for(
        self, tmp_path: Path, portal_name: str, later: timedelta
    ) -> None:
        ensure_certificates(tmp_path, portal_name=PORTAL, now=NOW)
        old = (tmp_path / "ca.pem").read_text()
        ensure_certificates(tmp_path, portal_name=portal_name, now=NOW + later)
        new = (tmp_path / "ca.pem").read_text()
        assert new != old
        assert is_same_root(new, old)

    def test_the_server_shows_the_root_that_claim_codes_name(self, tmp_path: Path) -> None:
        ensure_certificates(tmp_path, portal_name=PORTAL, now=NOW)
        shown = x509.load_pem_x509_certificates((tmp_path / "server.pem").read_bytes())
        root_pem = (tmp_path / "ca.pem").read_text()
        found = root_of_chain(shown, root_fingerprint(root_pem))
        assert found == x509.load_pem_x509_certificate(root_pem.encode())

    def test_a_foreign_key_is_refused_by_name(self, tmp_path: Path) -> None:
        one, other = tmp_path / "one", tmp_path / "other"
        for folder in (one, other):
            folder.mkdir()
            ensure_certificates(folder, portal_name=PORTAL, now=NOW)
        (other / "ca-key.pem").replace(one / "ca-key.pem")
        with pytest.raises(WorkFailed, match=r"ca-key\.pem is not the key of"):
            ensure_certificates(one, portal_name=PORTAL, now=NOW + timedelta(days=61))


def _as_the_first_version_made_it(folder: Path) -> str:
    """A root that may have nothing but servers below it, and a server that shows itself alone; the root as PEM."""
    key = serialization.load_pem_private_key((folder / "ca-key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    builder = x509.CertificateBuilder(
        now.subject, now.subject, key.public_key(), 1, now.not_valid_before_utc, now.not_valid_after_utc
    ).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    for extension in list(now.extensions)[1:]:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    old_pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(old_pem)
    leaf = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    (folder / "server.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    return old_pem.decode()


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


HQ_KEY = ec.generate_private_key(ec.SECP256R1())
HQ_NAMES = [x509.DNSName("hq.example"), x509.IPAddress(IPv4Address("10.1.2.3"))]


def request_of(
    names: Sequence[x509.GeneralName],
    key: CertificateIssuerPrivateKeyTypes = HQ_KEY,
    *,
    cut: int | None = None,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)[:cut]


class TestAnHqOfItsOwn:
    def _certified(self, folder: Path, names: Sequence[x509.GeneralName] = HQ_NAMES) -> ServerCertificate:
        made = certify_server(folder, request_of(names), now=datetime.now(UTC))
        (folder / "server.pem").write_text(made.chain_pem)
        key = HQ_KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / "server-key.pem").write_bytes(key)
        return made

    @pytest.mark.parametrize("name", ["hq.example", "10.1.2.3"])
    def test_its_names_verify_strictly_and_it_shows_the_root(self, tmp_path: Path, name: str) -> None:
        made = self._certified(tmp_path)
        assert made.names == ("hq.example", "10.1.2.3")
        assert _handshake(tmp_path, name) == "TLSv1.3"
        shown = x509.load_pem_x509_certificates(made.chain_pem.encode())
        assert root_of_chain(shown, root_fingerprint((tmp_path / "ca.pem").read_text())) is not None
        assert shown[0].not_valid_after_utc - shown[0].not_valid_before_utc < timedelta(days=399)
        with pytest.raises(ssl.SSLCertVerificationError):
            _handshake(tmp_path, "other.example")

    def test_an_address_alone_and_the_longest_name_verify_too(self, tmp_path: Path) -> None:
        self._certified(tmp_path, HQ_NAMES[1:])
        assert _handshake(tmp_path, "10.1.2.3") == "TLSv1.3"
        longest = ".".join(["h" * 63] * 3) + ".example"
        self._certified(tmp_path, [x509.DNSName(longest)])
        assert _handshake(tmp_path, longest) == "TLSv1.3"

    def test_the_root_stays_and_takes_further_names_besides(self, tmp_path: Path) -> None:
        self._certified(tmp_path)
        before = (tmp_path / "ca.pem").read_text()
        self._certified(tmp_path)
        assert (tmp_path / "ca.pem").read_text() == before
        self._certified(tmp_path, [x509.DNSName("moved.example")])
        after = (tmp_path / "ca.pem").read_text()
        assert after != before
        assert is_same_root(after, before)
        assert _handshake(tmp_path, "moved.example") == "TLSv1.3"
        self._certified(tmp_path)
        assert (tmp_path / "ca.pem").read_text() == after

    def test_the_same_root_certifies_hqs_sealing_key(self, tmp_path: Path) -> None:
        self._certified(tmp_path)
        assert FolderRoot(tmp_path).pem == (tmp_path / "ca.pem").read_text()

    @pytest.mark.parametrize(
        ("request_pem", "says"),
        [
            (b"", "cannot be read"),
            (request_of(HQ_NAMES, cut=200), "cannot be read"),
            (request_of([]), "names no server"),
            (request_of([x509.DNSName("*.example")]), "without wildcards"),
            (request_of([x509.RFC822Name("hq@example.org")]), "names of hosts"),
            (request_of([x509.DNSName(f"h{n}.example") for n in range(21)]), "up to 20"),
        ],
    )
    def test_another_request_is_told_and_makes_no_root(
        self, tmp_path: Path, request_pem: bytes, says: str
    ) -> None:
        with pytest.raises(ConfigurationWrong, match=says):
            certify_server(tmp_path, request_pem, now=NOW)
        assert list(tmp_path.iterdir()) == []

    def test_the_command_makes_the_root_and_writes_the_chain(self, tmp_path: Path) -> None:
        request, chain, root = tmp_path / "hq.csr", tmp_path / "server.pem", tmp_path / "root"
        words = ["hq", "tls", str(request), "--root", str(root), "--out", str(chain)]
        command = [sys.executable, "-m", "provisioning", *words]
        missing = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (missing.returncode, str(request) in missing.stderr) == (2, True)
        request.write_bytes(request_of(HQ_NAMES))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "hq.example, 10.1.2.3" in done.stdout
        shown = x509.load_pem_x509_certificates(chain.read_bytes())
        assert root_of_chain(shown, root_fingerprint((root / "ca.pem").read_text())) is not None
        assert {stat.S_IMODE(path.stat().st_mode) for path in root.iterdir()} == {0o600}
