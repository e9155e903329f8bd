"""A basket's amount as a cashier types it, in any of the usual notations."""

import re

from engagement.money import BASKET_MINOR_MAX, minor_exponent

# Longer input is a scanned code that went into the wrong field.
_CHARS_MAX = 24
_SIGNS = re.compile(r"[\s ¥￥$€£元円₩]|^[A-Z]{3}|[A-Z]{3}$")


def parse_amount(text: str, currency: str) -> int | None:
    """Minor units; None when the text is no amount of this currency within a basket's bounds.

    The last point or comma is the decimal separator, unless three digits follow it that the currency cannot have.
    A lone point is never taken for thousands: ``100.505`` is a slip, not a hundred thousand.
    """
    digits = _SIGNS.sub("", text.strip().upper()) if len(text) <= _CHARS_MAX else ""
    decimals = minor_exponent(currency)
    separators = re.findall(r"[.,']", digits)
    fraction = ""
    if separators and separators[-1] != "'":
        head, _, tail = digits.rpartition(separators[-1])
        if len(tail) <= decimals or separators == ["."]:
            digits, fraction = head, tail
            if not 0 < len(fraction) <= decimals:
                return None
    if re.fullmatch(r"\d+|\d{1,3}(?:([.,'])\d{3})(?:\1\d{3})*", digits, re.ASCII) is None:
        return None
    if not re.fullmatch(r"\d*", fraction, re.ASCII):
        return None
    whole = re.sub(r"\D", "", digits)
    minor = int(whole) * 10**decimals + int(fraction.ljust(decimals, "0") or "0")
    return minor if minor <= BASKET_MINOR_MAX else None


def typed_form(minor: int, currency: str) -> str:
    """The amount as a cashier would type it: digits, and a point before the decimals."""
    decimals = minor_exponent(currency)
    if decimals == 0:
        return str(minor)
    whole, fraction = divmod(minor, 10**decimals)
    return f"{whole}.{fraction:0{decimals}d}"
