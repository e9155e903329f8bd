"""Amounts as people read them, by the currency's own number of decimals."""

import pytest

from engagement.money import minor_exponent, plain_amount


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (0, "CNY", "0.00 CNY"),
        (5, "CNY", "0.05 CNY"),
        (10_000, "CNY", "100.00 CNY"),
        (1999, "JPY", "1999 JPY"),
        (1999, "KWD", "1.999 KWD"),
    ],
)
def test_plain_amounts(minor: int, currency: str, text: str) -> None:
    assert plain_amount(minor, currency) == text


def test_a_currency_has_two_decimals_unless_iso_4217_says_otherwise() -> None:
    assert [minor_exponent(code) for code in ("EUR", "KRW", "TND")] == [2, 0, 3]
    assert [minor_exponent(code) for code in ("XPF", "LYD", "MGA", "HUF")] == [0, 3, 2, 2]
