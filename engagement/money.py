"""Amounts of money: whole minor units (fen, cents), never floats."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

# 2**24 - 1 is what the token's three bytes hold: 167,772.15 in a currency of two decimals.
COUPON_MINOR_MAX = 2**24 - 1
# A basket above this is a typing error at the till, not a sale.
BASKET_MINOR_MAX = 10**10

Minor = Annotated[int, Field(strict=True, ge=0, le=COUPON_MINOR_MAX)]
BasisPoints = Annotated[int, Field(strict=True, ge=0, le=10_000)]
CURRENCY_PATTERN: Final = r"^[A-Z]{3}$"
Currency = Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]

# ISO 4217 minor-unit exponents that are not 2. Source: ISO 4217 table A.1.
_EXPONENT = {
    "BHD": 3, "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3,
    "JPY": 0, "KMF": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0,
    "TND": 3, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip


def minor_exponent(currency: str) -> int:
    """How many decimals the currency's minor unit has. Source: ISO 4217."""
    return _EXPONENT.get(currency, 2)


def plain_amount(minor: int, currency: str) -> str:
    """The amount for a sentence or a log, as ``100.00 CNY``; pages format by locale instead."""
    exponent = minor_exponent(currency)
    if exponent == 0:
        return f"{minor} {currency}"
    whole, fraction = divmod(minor, 10**exponent)
    return f"{whole}.{fraction:0{exponent}d} {currency}"
