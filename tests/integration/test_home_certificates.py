"""A home's certificates: every name verifies, the root stays the same whatever it is needed for, and old homes go on."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engagement.line.certificates import is_same_root, root_fingerprint, root_of_chain
from provisioning.adapters.certificates import ensure_certificates
from provisioning.faults import WorkFailed

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
