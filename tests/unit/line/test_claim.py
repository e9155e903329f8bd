"""Claim codes: typed back as they were shown, mistakes noticed, and proofs that fit one key and one name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.ids import AgentName
from engagement.line.claim import (
    ENTROPY_BYTES,
    MalformedClaim,
    answer_mac,
    claim_text,
    is_same_mac,
    make_claim,
    parse_claim,
    request_mac,
)

ENTROPY = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)
CLAIM = make_claim(bytes(range(ENTROPY_BYTES)))
TEXT = "000G-40R4-0M30-E209-185G-R38E-JFD3"


def test_the_text_is_as_it_always_was() -> None:
    assert claim_text(CLAIM) == TEXT


@given(ENTROPY)
def test_a_code_is_read_back(entropy: bytes) -> None:
    claim = make_claim(entropy)
    assert parse_claim(claim_text(claim)) == claim


@given(ENTROPY, st.sampled_from([" ", "-", "", "\n", " - "]), st.booleans())
def test_a_code_is_read_as_people_type_it(entropy: bytes, between: str, is_lower: bool) -> None:
    typed = claim_text(make_claim(entropy)).replace("-", between).replace("0", "O").replace("1", "l")
    assert parse_claim(typed.lower() if is_lower else typed) == make_claim(entropy)


@given(st.integers(0, 27), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_slip_of_the_finger_is_noticed(place: int, letter: str) -> None:
    letters = list(claim_text(CLAIM).replace("-", ""))
    if letters[place] != letter:
        letters[place] = letter
        with pytest.raises(MalformedClaim):
            parse_claim("".join(letters))


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(MalformedClaim):
        parse_claim("U" + text)


def test_a_proof_fits_one_code_key_nonce_and_name() -> None:
    key, nonce, other = bytes(32), bytes(16), make_claim(bytes(ENTROPY_BYTES))
    asked = request_mac(CLAIM, public_key=key, nonce=nonce)
    assert is_same_mac(asked, request_mac(CLAIM, public_key=key, nonce=nonce))
    answered = answer_mac(CLAIM, public_key=key, nonce=nonce, agent=AgentName("store-1"))
    different = {
        asked,
        answered,
        request_mac(other, public_key=key, nonce=nonce),
        request_mac(CLAIM, public_key=b"\1" * 32, nonce=nonce),
        request_mac(CLAIM, public_key=key, nonce=b"\1" * 16),
        answer_mac(CLAIM, public_key=key, nonce=nonce, agent=AgentName("store-2")),
    }
    assert len(different) == 6


def test_sizes_are_exact() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        request_mac(CLAIM, public_key=bytes(31), nonce=bytes(16))
    with pytest.raises(ValueError, match="entropy"):
        make_claim(bytes(14))
