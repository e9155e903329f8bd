"""The 20 digits: what slips of the finger they detect, and whom they name."""

import pytest

from engagement.coupon.short_code import DIGITS, grouped, make_short_code, parse_short_code

KEY = b"a key that never leaves the agent"
CODE = make_short_code(key=KEY, agent_number=77, lease_number=4711, serial=42, not_before_min=990_000)


def test_the_digits_name_the_agent_and_the_serial() -> None:
    assert CODE.startswith("1" + "00077" + "000042")
    code = parse_short_code(CODE)
    assert code is not None
    assert (code.agent_number, code.serial, code.digits) == (77, 42, CODE)


def test_the_digits_are_fixed_for_ever() -> None:
    # Coupons that are out there carry them: HMAC-SHA256 over "77|4711|42|990000", Damm's check digit.
    assert CODE == "10007700004266711707"


def test_every_wrong_digit_is_detected() -> None:
    for place in range(DIGITS):
        for digit in "0123456789":
            if digit != CODE[place]:
                assert parse_short_code(CODE[:place] + digit + CODE[place + 1 :]) is None


def test_every_swap_of_different_neighbours_is_detected() -> None:
    for serial in range(200):
        code = make_short_code(key=KEY, agent_number=90_210, lease_number=1, serial=serial, not_before_min=1)
        for place in range(DIGITS - 1):
            left, right = code[place], code[place + 1]
            if left != right:
                assert parse_short_code(code[:place] + right + left + code[place + 2 :]) is None


@pytest.mark.parametrize(
    "digits", ["", CODE[:-1], CODE + "0", CODE[:-1] + "x", CODE[:-1] + "²", "2" + CODE[1:]]
)
def test_another_shape_is_no_short_code(digits: str) -> None:
    assert parse_short_code(digits) is None


def test_lease_serial_and_minute_each_change_the_check() -> None:
    facts = {"agent_number": 77, "lease_number": 4711, "serial": 42, "not_before_min": 990_000}
    for changed in ("lease_number", "not_before_min"):
        other = make_short_code(key=KEY, **(facts | {changed: facts[changed] + 1}))
        assert other[:12] == CODE[:12]
        assert other[12:19] != CODE[12:19]


def test_people_read_it_in_groups_of_four() -> None:
    assert grouped("12345678901234567890") == "1234 5678 9012 3456 7890"
