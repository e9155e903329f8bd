"""A coupon's codes against noise and forgery: only the very code is taken, and nothing that is scanned ever raises."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from engagement.coupon import base45
from engagement.coupon.code import SignedCode, read_code
from engagement.coupon.coupon import CouponRecord
from engagement.coupon.presented import identify, recognise
from engagement.coupon.short_code import ShortCode
from engagement.coupon.token import (
    BODY_BYTES,
    PREFIX,
    TOKEN_BYTES,
    TokenBody,
    pack_body,
    signed_bytes,
    token_text,
    unpack_body,
)
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from tests.fakes import shop

COUPON = shop.coupon()
TOKEN = base45.decode(COUPON.code.removeprefix(PREFIX))
U24 = st.integers(0, 2**24 - 1)
BODIES = st.builds(
    TokenBody,
    kind=st.sampled_from(["cash", "percent"]),
    key_index=st.integers(0, 255),
    agent_number=U24,
    campaign_number=U24,
    edition=st.integers(0, 255),
    lease_number=U24,
    serial=U24,
    not_before_min=U24,
    not_after_min=U24,
    value=U24,
    min_spend_minor=U24,
    subject_tag=st.binary(min_size=6, max_size=6),
    terms_check=st.binary(min_size=2, max_size=2),
)


def present(text: str, row: CouponRecord | None = COUPON) -> CouponRecord | Refusal:
    """As a till does it: read, identify, look up, recognise."""
    code = read_code(text)
    if isinstance(code, Refusal):
        return code
    serial = identify(
        code, agent_number=shop.AGENT_NUMBER, lease_number=shop.LEASE_NUMBER, verify=shop.verify
    )
    if isinstance(serial, Refusal):
        return serial
    return recognise(code, row if row is not None and row.serial == serial else None, shop.moment())


def refusal_of(text: str) -> Reason:
    answer = present(text)
    assert isinstance(answer, Refusal), text
    return answer.reason


def test_the_true_codes_are_taken() -> None:
    assert present(COUPON.code) == present(COUPON.short_code) == COUPON


def test_no_single_bit_of_a_token_can_be_changed() -> None:
    for bit in range(TOKEN_BYTES * 8):
        flipped = bytearray(TOKEN)
        flipped[bit // 8] ^= 1 << bit % 8
        reason = refusal_of(PREFIX + base45.encode(bytes(flipped)))
        assert reason in (Reason.FORGED, Reason.DAMAGED, Reason.WRONG_BRANCH), bit


def mutated(text: str, dice: Random) -> str:
    """The text after one to four slips of a scanner, a finger or a forger."""
    alphabet = base45.ALPHABET + "abc\r\n\t\u3000ſ٣é\x00"
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(text) + 1)
        match dice.randrange(6):
            case 0:
                text = text[:place] + dice.choice(alphabet) + text[place + 1 :]
            case 1:
                text = text[:place] + text[place + 1 :]
            case 2:
                text = text[:place] + dice.choice(alphabet) + text[place:]
            case 3:
                text = (
                    text[:place] + text[place + 1 : place + 2] + text[place : place + 1] + text[place + 2 :]
                )
            case 4:
                text = text[: place + 20] + text[place : place + 20] + text[place + 20 :]
            case _:
                text = text[:place]
    return text


def is_still(text: str, code: str) -> bool:
    """Whether nothing but spaces, line ends, hyphens between digits or case was changed."""
    if code.startswith(PREFIX):
        return text.strip().upper() == code
    return "".join(text.split()).replace("-", "") == code


def test_ten_thousand_mutated_codes_are_refused_and_none_raises() -> None:
    dice = Random(45)
    refused = 0
    for _ in range(5_000):
        for code in (COUPON.code, COUPON.short_code):
            text = mutated(code, dice)
            answer = present(text)
            if is_still(text, code):
                assert answer == COUPON, text
            else:
                assert isinstance(answer, Refusal), text
                refused += 1
    assert refused > 9_000


@given(st.text(max_size=600) | st.text(alphabet=base45.ALPHABET, max_size=170).map(PREFIX.__add__))
def test_whatever_is_scanned_is_answered(text: str) -> None:
    assert isinstance(read_code(text), SignedCode | ShortCode | Refusal)
    assert isinstance(present(text), Refusal)


@given(BODIES)
def test_a_token_is_read_back_as_it_was_made(body: TokenBody) -> None:
    packed = pack_body(body)
    assert unpack_body(packed) == body
    code = read_code(token_text(packed, bytes(64)).lower() + "\r\n")
    assert isinstance(code, SignedCode)
    assert (code.body, code.body_bytes, code.signature) == (body, packed, bytes(64))


@given(
    BODIES.filter(lambda body: body.agent_number == shop.AGENT_NUMBER) | BODIES,
    st.binary(min_size=64, max_size=64),
)
def test_no_token_with_a_made_up_signature_is_taken(body: TokenBody, signature: bytes) -> None:
    ours = pack_body(body)[:2] + TOKEN[2:5] + pack_body(body)[5:]
    assert refusal_of(token_text(ours, signature)) is Reason.FORGED


def test_our_signature_over_something_else_is_no_coupon() -> None:
    # The same key signs other things too; a domain keeps them apart.
    body = TOKEN[:BODY_BYTES]
    assert refusal_of(token_text(body, shop.MINT.sign(body))) is Reason.FORGED
    assert present(token_text(body, shop.MINT.sign(signed_bytes(body)))) == COUPON


@given(st.binary(max_size=200).filter(lambda data: len(data) % 2 == 0))
def test_base45_gives_back_what_it_took(data: bytes) -> None:
    assert base45.decode(base45.encode(data)) == data
