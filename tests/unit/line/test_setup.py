"""The claim's way to a new box: only the box whose fingerprint was compared can read it, whoever stands between."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from engagement.line.claim import ADDRESS_CHARS_MAX, FINGERPRINT_BYTES, claim_for, claim_text, make_claim
from engagement.line.setup import (
    SealedClaim,
    SetupOffer,
    SetupRefused,
    check_offer,
    is_same_fingerprint,
    key_fingerprint,
    make_offer,
    open_claim,
    seal_claim,
)

CODE = claim_text(claim_for(make_claim(bytes(15)), address="hq.example", root_fingerprint=bytes(10)))
BOX, IMPOSTOR = (Ed25519PrivateKey.from_private_bytes(bytes([fill]) * 32) for fill in (1, 2))
BOX_KEY, IMPOSTOR_KEY = (each.public_key().public_bytes_raw() for each in (BOX, IMPOSTOR))
BOX_SECRET, IMPOSTOR_SECRET, DESK_SECRET = b"\x11" * 32, b"\x22" * 32, b"\x33" * 32
FINGERPRINT = key_fingerprint(BOX_KEY)
OFFER = make_offer(public_key=BOX_KEY, sign=BOX.sign, agreement_secret=BOX_SECRET)


def sealed(text: str = CODE, offer: SetupOffer = OFFER) -> SealedClaim:
    return seal_claim(text, offer, fingerprint=FINGERPRINT, secret=DESK_SECRET)


def test_the_exchange_is_as_it_always_was() -> None:
    assert FINGERPRINT == "W328-MVJD"
    assert sealed("code") == SealedClaim(
        agreement_key_hex="7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14",
        sealed_hex="ad190de5c08be78a186c8814a567540586772953",
    )


def test_the_box_reads_what_was_sealed_to_it() -> None:
    assert open_claim(sealed(), public_key=BOX_KEY, agreement_secret=BOX_SECRET) == CODE
    assert CODE.encode().hex() not in sealed().sealed_hex


def test_the_longest_code_fits() -> None:
    longest = claim_for(
        make_claim(bytes(15)), address="h" * ADDRESS_CHARS_MAX, root_fingerprint=bytes(FINGERPRINT_BYTES)
    )
    text = claim_text(longest)
    assert open_claim(sealed(text), public_key=BOX_KEY, agreement_secret=BOX_SECRET) == text


@pytest.mark.parametrize("typed", ["0011-ABCD", "0011abcd", " oOiL a-bcd "])
def test_a_fingerprint_is_read_as_people_type_it(typed: str) -> None:
    assert is_same_fingerprint(typed, "0011-ABCD")


@pytest.mark.parametrize("typed", ["", FINGERPRINT[:-1], "W328-MVJE", FINGERPRINT + "0"])
def test_another_fingerprint_is_another(typed: str) -> None:
    assert not is_same_fingerprint(typed, FINGERPRINT)


def test_an_impostor_who_answers_first_gets_nothing() -> None:
    offer = make_offer(public_key=IMPOSTOR_KEY, sign=IMPOSTOR.sign, agreement_secret=IMPOSTOR_SECRET)
    with pytest.raises(SetupRefused, match="another fingerprint"):
        sealed(offer=offer)


def test_an_impostor_who_shows_the_boxs_key_cannot_sign_with_it() -> None:
    offer = make_offer(public_key=BOX_KEY, sign=IMPOSTOR.sign, agreement_secret=IMPOSTOR_SECRET)
    for forged in (offer, OFFER.model_copy(update={"agreement_key_hex": offer.agreement_key_hex})):
        with pytest.raises(SetupRefused, match="does not hold the key"):
            check_offer(forged, fingerprint=FINGERPRINT)


def test_an_impostor_who_relays_reads_nothing_and_changes_nothing() -> None:
    claim = sealed()
    for key, secret in [
        (BOX_KEY, IMPOSTOR_SECRET),
        (IMPOSTOR_KEY, BOX_SECRET),
        (IMPOSTOR_KEY, IMPOSTOR_SECRET),
    ]:
        with pytest.raises(SetupRefused):
            open_claim(claim, public_key=key, agreement_secret=secret)
    flipped = bytes([bytes.fromhex(claim.sealed_hex)[0] ^ 1]).hex() + claim.sealed_hex[2:]
    for changed in ({"sealed_hex": flipped}, {"agreement_key_hex": OFFER.agreement_key_hex}):
        with pytest.raises(SetupRefused):
            open_claim(claim.model_copy(update=changed), public_key=BOX_KEY, agreement_secret=BOX_SECRET)


def test_keys_that_agree_on_what_anybody_knows_are_refused() -> None:
    known = "00" * 32
    with pytest.raises(SetupRefused, match="is none"):
        open_claim(
            sealed().model_copy(update={"agreement_key_hex": known}),
            public_key=BOX_KEY,
            agreement_secret=BOX_SECRET,
        )


@pytest.mark.parametrize("sealed_hex", ["", "0", "00" * 15, "00" * 5000, "zz" * 20])
def test_a_claim_has_bounds(sealed_hex: str) -> None:
    with pytest.raises(ValidationError):
        SealedClaim(agreement_key_hex="00" * 32, sealed_hex=sealed_hex)
