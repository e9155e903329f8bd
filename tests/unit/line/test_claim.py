"""Claim codes: typed back as they were shown, mistakes noticed, and proofs that fit one key and one name."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engagement.ids import AgentName
from engagement.line.claim import (
    ENTROPY_BYTES,
    FINGERPRINT_BYTES,
    Claim,
    MalformedClaim,
    answer_mac,
    claim_for,
    claim_text,
    is_same_mac,
    make_claim,
    parse_claim,
    request_mac,
)

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ENTROPY = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)
FINGERPRINT = st.binary(min_size=FINGERPRINT_BYTES, max_size=FINGERPRINT_BYTES)
ADDRESS = st.sampled_from(
    ["hq", "hq.example", "hq-2.example:8600", "127.0.0.1:8600", "[::1]:8600", "a" * 63 + ".cn"]
)
OLD = make_claim(bytes(range(ENTROPY_BYTES)))
OLD_TEXT = "000G-40R4-0M30-E209-185G-R38E-JFD3"
NEW = claim_for(OLD, address="hq.example:8600", root_fingerprint=bytes(range(100, 110)))
NEW_TEXT = "hq.example:8600/000G-40R4-0M30-E209-185G-R38E-CHJP-CSV8-D5N6-PV3D-4DZJ"


def new_claims() -> st.SearchStrategy[Claim]:
    return st.builds(
        lambda entropy, address, fingerprint: claim_for(
            make_claim(entropy), address=address, root_fingerprint=fingerprint
        ),
        ENTROPY,
        ADDRESS,
        FINGERPRINT,
    )


def test_the_texts_are_as_they_always_were() -> None:
    assert claim_text(OLD) == OLD_TEXT
    assert claim_text(NEW) == NEW_TEXT


@given(st.one_of(ENTROPY.map(make_claim), new_claims()))
def test_a_code_is_read_back(claim: Claim) -> None:
    assert parse_claim(claim_text(claim)) == claim


@given(
    new_claims(),
    st.sampled_from([" ", "-", "", "\n", " - "]),
    st.booleans(),
    st.sampled_from(["", "https://"]),
)
def test_a_code_is_read_as_people_type_it(claim: Claim, between: str, is_lower: bool, scheme: str) -> None:
    address, letters = claim_text(claim).split("/")
    typed = letters.replace("-", between).replace("0", "O").replace("1", "l")
    text = f"  {scheme}{address}/{typed}\n"
    assert parse_claim(text.lower() if is_lower else text.upper()) == claim


def is_found(text: str, original: str) -> bool:
    try:
        return parse_claim(text) == parse_claim(original)  # O typed for 0 is no mistake
    except MalformedClaim:
        return True


@given(new_claims(), st.data())
def test_any_one_wrong_character_is_found(claim: Claim, data: st.DataObject) -> None:
    text = claim_text(claim)
    place = data.draw(st.integers(0, len(text) - 1))
    wrong = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    assert is_found(text[:place] + wrong + text[place + 1 :], text)


@given(new_claims(), st.data())
def test_any_two_wrong_letters_are_found(claim: Claim, data: st.DataObject) -> None:
    address, letters = claim_text(claim).split("/")
    typed = list(letters.replace("-", ""))
    for place in data.draw(st.lists(st.integers(0, 43), min_size=2, max_size=2, unique=True)):
        typed[place] = data.draw(st.sampled_from(LETTERS).filter(lambda letter: letter != typed[place]))  # noqa: B023
    with pytest.raises(MalformedClaim):
        parse_claim(f"{address}/{''.join(typed)}")


@given(new_claims(), st.data())
def test_neighbours_that_changed_places_are_found(claim: Claim, data: st.DataObject) -> None:
    text = claim_text(claim)
    place = data.draw(st.integers(0, len(text) - 2))
    one, other = text[place], text[place + 1]
    assume(one != other and (place < text.index("/") or "-" not in one + other))
    with pytest.raises(MalformedClaim):
        parse_claim(text[:place] + other + one + text[place + 2 :])


@given(st.integers(0, 27), st.sampled_from(LETTERS))
def test_a_slip_of_the_finger_is_noticed_in_an_old_code(place: int, letter: str) -> None:
    letters = list(OLD_TEXT.replace("-", ""))
    if letters[place] != letter:
        letters[place] = letter
        with pytest.raises(MalformedClaim):
            parse_claim("".join(letters))


@given(st.text(max_size=600))
def test_no_text_breaks_the_reader(text: str) -> None:
    for typed in ("U" + text, f"hq.example/{text}U"):
        with pytest.raises(MalformedClaim):
            parse_claim(typed)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "hq example",
        "user@hq",
        "hq:0",
        "hq:123456",
        "hq:65536",
        "hq/path",
        "[::1",
        "-hq",
        "hq-",
        "hq?x",
        "h" * 261,
    ],
)
def test_only_an_address_is_one(address: str) -> None:
    with pytest.raises(ValueError, match="allowed: host or host:port"):
        claim_for(OLD, address=address, root_fingerprint=bytes(FINGERPRINT_BYTES))
    with pytest.raises(MalformedClaim):
        parse_claim(f"{address}/{NEW_TEXT.split('/')[1]}")


def test_a_proof_fits_one_code_key_nonce_and_name() -> None:
    key, nonce, other = bytes(32), bytes(16), make_claim(bytes(ENTROPY_BYTES))
    asked = request_mac(OLD, public_key=key, nonce=nonce)
    assert is_same_mac(asked, request_mac(OLD, public_key=key, nonce=nonce))
    answered = answer_mac(OLD, public_key=key, nonce=nonce, agent=AgentName("store-1"))
    different = {
        asked,
        answered,
        request_mac(other, public_key=key, nonce=nonce),
        request_mac(OLD, public_key=b"\1" * 32, nonce=nonce),
        request_mac(OLD, public_key=key, nonce=b"\1" * 16),
        answer_mac(OLD, public_key=key, nonce=nonce, agent=AgentName("store-2")),
    }
    assert len(different) == 6


def test_a_proof_covers_every_certificate_and_where_each_ends() -> None:
    key, nonce, agent = bytes(32), bytes(16), AgentName("store-1")
    proofs = [
        answer_mac(NEW, public_key=key, nonce=nonce, agent=each, root_pem=root_pem, certificate_pem=own_pem)
        for each, root_pem, own_pem in [
            (agent, "", ""),
            (agent, "root", "own"),
            (agent, "rootown", ""),
            (agent, "", "rootown"),
            (agent, "root2", "own"),
            (agent, "root", "own2"),
            (AgentName("store-1root"), "", "own"),
        ]
    ]
    assert len(set(proofs)) == len(proofs)
    assert proofs[0] == answer_mac(replace(NEW, address=None), public_key=key, nonce=nonce, agent=agent)


def test_sizes_are_exact() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        request_mac(OLD, public_key=bytes(31), nonce=bytes(16))
    with pytest.raises(ValueError, match="entropy"):
        make_claim(bytes(14))


def test_a_code_without_its_address_is_told_what_is_missing() -> None:
    with pytest.raises(MalformedClaim, match=r"HQ's address, a slash, and 44 letters .* no slash"):
        parse_claim("KCV0-1GTH-Y6M8-ZGEJ-0QJY-ZYY2-6CS9-A1HZ-762M-9Q79-1F2E")
