"""HQ's sealing key: its files, the certificates it issues, and how the desk's root certifies it over HTTP."""

import asyncio
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cloud_api.adapters.authority_key import AuthorityRefused, FolderAuthorityKey, load_authority_key
from cloud_api.adapters.entropy import SystemEntropy
from engagement.ids import AgentName
from engagement.line.certificates import agent_of, has_issued, root_fingerprint
from engagement.line.claim import parse_claim
from engagement.line.seal import Authority, SealKind, open_seal, seal
from provisioning.adapters.certificates import FolderRoot, ensure_certificates
from provisioning.ports import HqRefused
from tests.fakes.authority_key import certified_by
from tests.fakes.cloud_process import AUTHORITY, CloudHome, Desk, cloud, desk
from tests.fakes.hq import AGENT, HARBOUR, public_key
from tests.fakes.hq_authority import make_root

ROOT = make_root()
LINK_KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def loaded(folder: Path) -> FolderAuthorityKey:
    return load_authority_key(folder, SystemEntropy())


class TestFiles:
    def test_the_key_is_made_once_and_for_the_owner_alone(self, tmp_path: Path) -> None:
        key = loaded(tmp_path)
        key.keep(certified_by(ROOT, key.public_key))
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
        again = loaded(tmp_path)
        assert (again.public_key, again.certified()) == (key.public_key, key.certified())

    def test_a_certificate_for_a_key_that_is_gone_does_not_count(self, tmp_path: Path) -> None:
        key = loaded(tmp_path)
        key.keep(certified_by(ROOT, key.public_key))
        (tmp_path / "authority-key.json").unlink()
        assert loaded(tmp_path).certified() is None

    @pytest.mark.parametrize("content", ["", "{}", '{"signing_hex": "00ff"}', '{"signing_hex": "xyz"}'])
    def test_a_damaged_key_is_named_and_never_shown_or_replaced(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "authority-key.json"
        path.write_text(content)
        with pytest.raises(AuthorityRefused, match=r"authority-key\.json is no key") as refused:
            loaded(tmp_path)
        assert "00ff" not in str(refused.value)
        assert path.read_text() == content

    def test_a_damaged_certificate_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "authority.json").write_text("{")
        with pytest.raises(AuthorityRefused, match=r"authority\.json"):
            loaded(tmp_path).certified()


class TestCertificates:
    @pytest.mark.parametrize("name", ["harbour-1", "门店一号" * 20, "a" * 80])
    def test_an_agents_certificate_carries_its_whole_name_and_its_key(
        self, tmp_path: Path, name: str
    ) -> None:
        key = loaded(tmp_path)
        authority_pem = certified_by(ROOT, key.public_key).certificate_pem
        pem = key.issue(AgentName(name), LINK_KEY, authority_pem)
        own, authority = x509.load_pem_x509_certificates(pem.encode())
        assert agent_of(own) == (name, LINK_KEY)
        assert has_issued(authority, own)
        assert has_issued(ROOT.certificate, authority)

    def test_the_same_is_issued_again(self, tmp_path: Path) -> None:
        key = loaded(tmp_path)
        authority_pem = certified_by(ROOT, key.public_key).certificate_pem
        one, again = (key.issue(AGENT, LINK_KEY, authority_pem) for _ in range(2))
        assert one == again
        assert key.issue(AgentName("other"), LINK_KEY, authority_pem) != one

    def test_a_homes_root_certifies_a_key_that_can_then_seal(self, tmp_path: Path) -> None:
        ensure_certificates(tmp_path, portal_name="hq.test", now=datetime.now(UTC))
        key, root = loaded(tmp_path), FolderRoot(tmp_path)
        certified = root.certify(key.request_pem)
        sealed = seal(SealKind.BUNDLE, "{}", Authority(certified.certificate_pem, key.sign))
        assert open_seal(sealed, SealKind.BUNDLE, root_pem=root.pem) == "{}"
        assert certified.root_pem == root.pem == (tmp_path / "ca.pem").read_text()
        certificate = x509.load_pem_x509_certificate(certified.certificate_pem.encode())
        own_key = certificate.public_key()
        assert isinstance(own_key, Ed25519PublicKey)
        assert own_key.public_bytes_raw() == key.public_key
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0

    @pytest.mark.parametrize("request_pem", ["", "-----BEGIN CERTIFICATE REQUEST-----\n", ROOT.pem])
    def test_a_root_signs_no_other_thing(self, tmp_path: Path, request_pem: str) -> None:
        ensure_certificates(tmp_path, portal_name="hq.test", now=datetime.now(UTC))
        with pytest.raises(HqRefused, match="request"):
            FolderRoot(tmp_path).certify(request_pem)


async def issue_codes(hq: Desk, are_right: Callable[[list[str]], bool]) -> None:
    """Return once the health's issues are right; HQ looks every 2 s."""
    codes: list[str] = []
    for _ in range(200):
        _, health = await hq.ask("GET", "/health")
        codes = [issue["code"] for issue in health["issues"]]
        if are_right(codes):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(codes)


class TestHttp:
    async def test_an_hq_is_certified_once_and_gives_claims_from_then_on(self, fresh: Desk) -> None:
        asked = {"branch": HARBOUR, "agent": AGENT}
        status, answer = await fresh.ask("POST", "/v1/claims", asked)
        assert (status, answer["code"]) == (503, "not_certified")
        await issue_codes(fresh, lambda codes: codes == ["not_certified"])
        await fresh.certify()
        assert (await fresh.ask("GET", "/health"))[1]["issues"] == []
        status, answer = await fresh.ask("GET", AUTHORITY)
        assert answer["root_pem"] == (fresh.home.folder / "ca.pem").read_text()
        status, answer = await fresh.ask("POST", "/v1/claims", asked)
        assert status == 200
        claim = parse_claim(answer["claim_code"])
        assert claim.address == f"127.0.0.1:{fresh.home.port}"
        assert claim.root_fingerprint == root_fingerprint((fresh.home.folder / "ca.pem").read_text())

    async def test_what_is_no_certificate_of_hqs_key_is_refused_and_another_root_must_be_wanted(
        self, fresh: Desk
    ) -> None:
        stranger = certified_by(ROOT, LINK_KEY)._asdict()
        status, answer = await fresh.ask("PUT", AUTHORITY, stranger)
        assert (status, answer["code"]) == (422, "certificate_wrong")
        await fresh.certify()
        _, before = await fresh.ask("GET", AUTHORITY)
        request = x509.load_pem_x509_csr(before["request_pem"].encode()).public_key()
        assert isinstance(request, Ed25519PublicKey)
        other = certified_by(ROOT, request.public_bytes_raw())._asdict()
        status, answer = await fresh.ask("PUT", AUTHORITY, other)
        assert (status, answer["code"]) == (409, "root_pinned")
        assert (await fresh.ask("GET", AUTHORITY))[1] == before
        status, answer = await fresh.ask("PUT", AUTHORITY, other | {"replace_root": True})
        assert (status, answer["root_pem"]) == (200, ROOT.pem)
        await issue_codes(fresh, lambda codes: "root_not_shown" in codes)

    async def test_only_those_who_are_signed_in_may(self, fresh: Desk) -> None:
        fresh.token = None
        assert (await fresh.ask("GET", AUTHORITY))[0] == 401
        assert (await fresh.ask("PUT", AUTHORITY, {"certificate_pem": "", "root_pem": ""}))[0] == 401

    async def test_the_code_names_the_public_address_where_there_is_one(self, tmp_path: Path) -> None:
        home = CloudHome(tmp_path, settings={"public_url": "https://HQ.example:443"})
        async with cloud(home), desk(home) as opened:
            await opened.sign_in()
            _, answer = await opened.ask("POST", "/v1/claims", {"branch": HARBOUR, "agent": AGENT})
        assert parse_claim(answer["claim_code"]).address == "hq.example"

    async def test_the_key_of_the_machine_that_enrolled_is_shown(self, fresh: Desk) -> None:
        await fresh.certify()
        route = "/v1/agents/{agent}"
        _, before = await fresh.ask("GET", f"/v1/agents/{AGENT}", route=route)
        await fresh.enrol(HARBOUR, AGENT)
        _, after = await fresh.ask("GET", f"/v1/agents/{AGENT}", route=route)
        assert (before["public_key_hex"], after["public_key_hex"]) == (None, public_key(AGENT).hex())
        _, every = await fresh.ask("GET", "/v1/agents")
        assert after in every["agents"]
        status, answer = await fresh.ask("GET", "/v1/agents/nobody", route=route)
        assert (status, answer["code"]) == (404, "agent_not_listed")

    async def test_an_address_that_no_code_can_carry_is_told(self, fresh: Desk) -> None:
        await fresh.certify()
        asked = {"branch": HARBOUR, "agent": AGENT}
        status, answer = await fresh.ask("POST", "/v1/claims", asked, headers={"Host": "user@hq"})
        assert (status, answer["code"]) == (400, "no_address")
