"""Seals: what HQ sealed opens, and nothing else does, whichever part was changed and whoever it comes from."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from engagement.ids import AgentName
from engagement.line.certificates import agent_uri
from engagement.line.seal import Authority, SealKind, SealRefused, open_seal, seal
from tests.fakes.hq_authority import make_authority, make_root
from tests.fakes.hq_leaves import agent_leaf, renewed

ROOT, STRANGER = make_root(), make_root()
AUTHORITY, OTHER = make_authority(ROOT), make_authority(ROOT)
PAYLOAD = '{"sequence": 7, "name": "门店"}'
SEALED = seal(SealKind.BUNDLE, PAYLOAD, AUTHORITY)


def changed(**fields: str) -> str:
    return json.dumps(json.loads(SEALED) | fields)


def refusal(text: str, kind: SealKind = SealKind.BUNDLE, root_pem: str = ROOT.pem) -> str:
    with pytest.raises(SealRefused) as refused:
        open_seal(text, kind, root_pem=root_pem)
    return str(refused.value)


@given(st.text(), st.sampled_from(SealKind))
def test_what_was_sealed_opens(payload: str, kind: SealKind) -> None:
    assert open_seal(seal(kind, payload, AUTHORITY), kind, root_pem=ROOT.pem) == payload


def test_any_authority_of_the_root_may_seal_and_the_root_may_be_issued_anew() -> None:
    for authority in (AUTHORITY, OTHER):
        sealed = seal(SealKind.GRANT, PAYLOAD, authority)
        assert open_seal(sealed, SealKind.GRANT, root_pem=renewed(ROOT).pem) == PAYLOAD


def test_unknown_fields_are_for_a_later_version() -> None:
    assert open_seal(changed(more="of it"), SealKind.BUNDLE, root_pem=ROOT.pem) == PAYLOAD


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("payload", PAYLOAD.replace("7", "8"), "signature"),
        ("payload", PAYLOAD + " ", "signature"),
        ("payload", "", "signature"),
        ("kind", "grant", "not a bundle"),
        ("kind", "", "not a bundle"),
        ("signature_hex", "00" * 64, "signature"),
        ("signature_hex", "", "signature"),
        ("signature_hex", "no hex", "no sealed document"),
        ("authority_pem", OTHER.certificate_pem, "signature"),
        ("authority_pem", make_authority(STRANGER).certificate_pem, "does not come from HQ's root"),
        ("authority_pem", ROOT.pem, "none of an authority"),
        ("authority_pem", "", "no sealed document"),
        (
            "authority_pem",
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            "no sealed document",
        ),
    ],
)
def test_a_changed_field_is_refused(field: str, value: str, says: str) -> None:
    assert says in refusal(changed(**{field: value}))


def test_a_seal_of_one_kind_is_none_of_another() -> None:
    assert "not a grant" in refusal(SEALED, SealKind.GRANT)
    # also where only the signature could tell
    assert "signature" in refusal(changed(kind="grant"), SealKind.GRANT)


def test_another_root_opens_nothing() -> None:
    assert "HQ's root" in refusal(SEALED, root_pem=STRANGER.pem)
    assert "no sealed document" in refusal(SEALED, root_pem="")


def test_an_agents_own_certificate_seals_nothing() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    leaf = agent_leaf(ROOT, key, [agent_uri(AgentName("harbour-1"))])
    own = Authority(leaf.public_bytes(Encoding.PEM).decode(), key.sign)
    assert "none of an authority" in refusal(seal(SealKind.BUNDLE, PAYLOAD, own))


@given(st.one_of(st.text(), st.integers(0, len(SEALED) - 2).map(lambda cut: SEALED[:cut])))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert "no sealed document" in refusal(text)


@given(st.integers(0, len(SEALED) - 1), st.characters(min_codepoint=32, max_codepoint=126))
def test_no_one_character_may_be_another(place: int, character: str) -> None:
    text = SEALED[:place] + character + SEALED[place + 1 :]
    try:
        opened = open_seal(text, SealKind.BUNDLE, root_pem=ROOT.pem)
    except SealRefused:
        return
    assert opened == PAYLOAD  # capitals in the signature's hexadecimal, a newline of the PEM
