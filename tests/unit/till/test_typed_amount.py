"""Amounts as cashiers type them."""

import pytest

from engagement.money import BASKET_MINOR_MAX
from engagement.till.typed_amount import parse_amount, typed_form


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("100", "CNY", 10_000),
        ("100.5", "CNY", 10_050),
        ("100,50", "CNY", 10_050),
        (" ¥ 1,234.50 ", "CNY", 123_450),
        ("1.234,50", "EUR", 123_450),
        ("1,234", "CNY", 123_400),
        ("1.234", "CNY", None),
        ("1'234.50", "CHF", 123_450),
        ("1234567.89", "CNY", 123_456_789),
        ("0", "CNY", 0),
        ("0.01", "CNY", 1),
        ("99.00 CNY", "CNY", 9_900),
        ("100元", "CNY", 10_000),
        ("1500", "JPY", 1_500),
        ("1.234", "BHD", 1_234),
        ("1,234.567", "BHD", 1_234_567),
        ("1.234.567", "EUR", 123_456_700),
        ("1.2345", "BHD", None),
        ("1500.5", "JPY", None),
        ("100.505", "CNY", None),
        ("100.5055", "CNY", None),
        ("12,34,567", "CNY", None),
        ("1,234.567.8", "CNY", None),
        ("-5", "CNY", None),
        ("5.", "CNY", None),
        (".5", "CNY", None),
        ("", "CNY", None),
        ("١٠٠", "CNY", None),
        ("1e3", "CNY", None),
        ("C1:112000", "CNY", None),
        ("9" * 24, "CNY", None),
        ("9" * 30, "CNY", None),
    ],
)
def test_usual_notations(text: str, currency: str, minor: int | None) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize("currency", ["CNY", "JPY", "KWD"])
@pytest.mark.parametrize("minor", [0, 1, 99, 100, 1234, 99_999, 1_000_000, BASKET_MINOR_MAX])
def test_own_form_is_read_back(minor: int, currency: str) -> None:
    assert parse_amount(typed_form(minor, currency), currency) == minor
