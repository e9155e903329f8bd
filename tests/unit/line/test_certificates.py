"""Chains hold together down to the root that is meant, whatever year it is, and agents' names come back whole."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from engagement.ids import AgentName
from engagement.line.certificates import (
    CertificateWrong,
    agent_of,
    agent_uri,
    has_issued,
    is_authority,
    is_root,
    parse_der,
    parse_pem,
    reissued_root,
    root_fingerprint,
    root_of_chain,
)
from tests.fakes.hq_authority import make_authority, make_root, reissue
from tests.fakes.hq_leaves import agent_leaf, server_leaf

ROOT, STRANGER = make_root(), make_root()
AUTHORITY = parse_pem(make_authority(ROOT).certificate_pem)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
LEAF = agent_leaf(ROOT, KEY, [agent_uri(AgentName("harbour-1"))])


def test_a_root_is_known_by_its_fingerprint() -> None:
    assert root_fingerprint(ROOT.pem) == root_fingerprint(ROOT.certificate)
    assert len(root_fingerprint(ROOT.pem)) == 10
    assert root_fingerprint(ROOT.pem) != root_fingerprint(STRANGER.pem)
    with pytest.raises(CertificateWrong):
        root_fingerprint("no certificate")


def test_what_is_a_root_an_authority_and_neither() -> None:
    assert (is_root(ROOT.certificate), is_root(AUTHORITY), is_root(LEAF)) == (True, False, False)
    assert (is_authority(ROOT.certificate), is_authority(AUTHORITY), is_authority(LEAF)) == (
        True,
        True,
        False,
    )
    assert has_issued(ROOT.certificate, AUTHORITY)
    assert not has_issued(STRANGER.certificate, AUTHORITY)
    assert not has_issued(AUTHORITY, ROOT.certificate)


def test_a_chain_leads_to_the_root_that_is_meant() -> None:
    meant = root_fingerprint(ROOT.certificate)
    assert root_of_chain([LEAF, ROOT.certificate], meant) == ROOT.certificate
    assert root_of_chain([LEAF, ROOT.certificate, STRANGER.certificate], meant) == ROOT.certificate
    for broken in (
        [],
        [LEAF],
        [ROOT.certificate],
        [LEAF, STRANGER.certificate],
        [LEAF, STRANGER.certificate, ROOT.certificate],
        [LEAF, AUTHORITY, ROOT.certificate],
        [server_leaf(STRANGER).certificate, ROOT.certificate],
        [LEAF] * 7 + [LEAF, ROOT.certificate],
    ):
        assert root_of_chain(broken, meant) is None


def test_a_root_that_its_own_key_issued_anew_is_found_and_no_other() -> None:
    anew = reissue(ROOT).certificate
    assert anew != ROOT.certificate
    assert reissued_root([LEAF, anew], ROOT.certificate) == anew
    for others in ([], [LEAF], [LEAF, AUTHORITY], [LEAF, STRANGER.certificate], [LEAF] * 8 + [anew]):
        assert reissued_root(others, ROOT.certificate) is None


def test_a_key_on_a_curve_that_there_is_not_is_no_root_issued_anew() -> None:
    der = STRANGER.certificate.public_bytes(Encoding.DER)
    secp256r1, none = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f")
    odd = parse_der(der.replace(secp256r1, none, 1))
    assert reissued_root([LEAF, odd], ROOT.certificate) is None


def test_what_is_no_certificate_is_told_as_such() -> None:
    der = STRANGER.certificate.public_bytes(Encoding.DER)
    assert parse_der(der) == STRANGER.certificate
    for broken in (b"", der[:50], der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1)):
        with pytest.raises(CertificateWrong):
            parse_der(broken)


def test_a_leaf_never_vouches_for_another() -> None:
    pretender = server_leaf(ROOT)
    under_it = server_leaf(pretender).certificate
    assert has_issued(pretender.certificate, under_it)
    chain = [under_it, pretender.certificate, ROOT.certificate]
    assert root_of_chain(chain, root_fingerprint(ROOT.certificate)) is None


@pytest.mark.parametrize("name", ["harbour-1", "harbour 1 é", "门店一号" * 20, "a/b:c%20", "http://x"])
def test_an_agents_name_and_key_come_back_whole(name: str) -> None:
    certificate = agent_leaf(ROOT, KEY, [agent_uri(AgentName(name))])
    assert agent_of(certificate) == (name, KEY.public_key().public_bytes_raw())


@pytest.mark.parametrize(
    "uris", [[], ["https://example.org/harbour-1"], [agent_uri(AgentName(n)) for n in "ab"]]
)
def test_a_certificate_that_names_no_one_agent_is_none(uris: list[str]) -> None:
    with pytest.raises(CertificateWrong):
        agent_of(agent_leaf(ROOT, KEY, uris))


@pytest.mark.parametrize("certificate", [AUTHORITY, ROOT.certificate, server_leaf(ROOT).certificate])
def test_an_authority_is_no_agent(certificate: x509.Certificate) -> None:
    with pytest.raises(CertificateWrong):
        agent_of(certificate)


DER = LEAF.public_bytes(Encoding.DER)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")  # serials below 1
@given(st.lists(st.tuples(st.integers(0, len(DER) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_no_broken_certificate_breaks_the_reader(changes: list[tuple[int, int]]) -> None:
    der = bytearray(DER)
    for place, octet in changes:
        der[place] = octet
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
    try:
        read = parse_pem(pem)
        assert root_of_chain([read, ROOT.certificate], root_fingerprint(STRANGER.certificate)) is None
        if has_issued(ROOT.certificate, read):
            assert agent_of(read) == agent_of(LEAF)
        agent_of(read)
    except CertificateWrong:
        pass
