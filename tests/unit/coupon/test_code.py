"""What a till's scanner may do to a code without harm, and what is no code of ours."""

import pytest

from engagement.coupon.code import CODE_CHARS_MAX, SignedCode, read_code
from engagement.coupon.short_code import ShortCode
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from tests.fakes import shop

COUPON = shop.coupon()
GROUPED = " ".join(COUPON.short_code[at : at + 4] for at in range(0, 20, 4))


@pytest.mark.parametrize(
    "scanned",
    [
        COUPON.code,
        COUPON.code + "\r\n",
        COUPON.code + "\t",
        "\n " + COUPON.code,
        COUPON.code + "   \r\n",
        COUPON.code.lower(),
    ],
)
def test_line_ends_spaces_around_and_lower_case_do_no_harm_to_a_scanned_code(scanned: str) -> None:
    code = read_code(scanned)
    assert isinstance(code, SignedCode)
    assert code.body.serial == COUPON.serial
    assert shop.verify(code.body.key_index, b"beckon coupon token v1\x00" + code.body_bytes, code.signature)


@pytest.mark.parametrize(
    "typed",
    [
        COUPON.short_code,
        GROUPED,
        GROUPED.replace(" ", "-"),
        COUPON.short_code + "\r\n",
        f"  {GROUPED} \t\r\n",
        GROUPED.replace(" ", "\u3000"),  # the space of a Chinese input method
    ],
)
def test_spaces_and_hyphens_do_no_harm_to_a_typed_code(typed: str) -> None:
    code = read_code(typed)
    assert isinstance(code, ShortCode)
    assert code.digits == COUPON.short_code


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.NOT_OURS),
        (" \r\n", Reason.NOT_OURS),
        ("https://example.com/", Reason.NOT_OURS),
        ("6901234567892", Reason.NOT_OURS),  # the barcode on a bottle
        ("C1" + COUPON.code[3:], Reason.NOT_OURS),  # the colon was lost
        ("1" * (CODE_CHARS_MAX + 1), Reason.NOT_OURS),
        ("١" * 20, Reason.NOT_OURS),  # digits, but not ASCII
        (COUPON.short_code[:-1], Reason.DAMAGED),
        (COUPON.short_code + "0", Reason.DAMAGED),
        ("2" + COUPON.short_code[1:], Reason.DAMAGED),
        (COUPON.code[:-1], Reason.DAMAGED),
        (COUPON.code + "0", Reason.DAMAGED),
        (COUPON.code + "000", Reason.DAMAGED),  # one more whole group of base45
        (COUPON.code[:-3], Reason.DAMAGED),
        ("C1:", Reason.DAMAGED),
        (COUPON.code.replace("C1:", "C1:?")[:-1], Reason.DAMAGED),
        (COUPON.code[:-1] + "ſ", Reason.NOT_OURS),  # upper() would make an S of it
    ],
)
def test_anything_else_is_refused_with_what_it_looks_like(text: str, reason: Reason) -> None:
    assert read_code(text) == Refusal(reason)
