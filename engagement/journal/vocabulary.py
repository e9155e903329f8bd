"""Shapes of events and patterns of texts that both ends know by number, so that a single event stays small.

Both tables are append-only: a number, once given, means the same for ever. An event that gains or loses a field is a
new shape with a new number. Whatever is not here travels spelt out, and only costs more.

A shape is an event's JSON with holes, a pattern a text with holes. A shape's hole is one byte: NUMBER, TEXT, OTHER or
INSTANT. A pattern's hole is two: DIGITS, HEX or BASE32, and how many characters it holds.
"""

from typing import Final

# Holes of a shape. INSTANT is a number that is carried as its distance from the entry's stamp.
NUMBER: Final = b"\x01"
TEXT: Final = b"\x02"
OTHER: Final = b"\x03"
INSTANT: Final = b"\x04"
# What stands in a shape itself, because it decides which other fields make sense.
_NULL: Final = b"null"

# Holes of a pattern.
DIGITS: Final = b"\x01"
HEX: Final = b"\x02"
BASE32: Final = b"\x03"
# The characters of BASE32 in order of their value.
BASE32_ALPHABET: Final = b"0123456789abcdefghjkmnpqrstvwxyz"


def _object(**fields: bytes) -> bytes:
    """Compact JSON of fields in their order; a text's hole stands between its quotes."""
    members = (
        b'"%b":%b' % (name.encode(), b'"%b"' % hole if hole == TEXT else hole)
        for name, hole in fields.items()
    )
    return b"{" + b",".join(members) + b"}"


_MOMENT: Final = _object(wall_ms=INSTANT, error_ms=NUMBER, boot_id=TEXT, boottime_ms=NUMBER)


def _event(what: str, **fields: bytes) -> bytes:
    return _object(what=b'"%b"' % what.encode(), moment=_MOMENT, **fields)


SHAPES: Final[tuple[bytes, ...]] = (
    _event(
        "coupon_issued",
        coupon=TEXT,
        campaign=TEXT,
        edition=NUMBER,
        subject=TEXT,
        liability_minor=NUMBER,
        currency=TEXT,
        not_after_ms=INSTANT,
    ),
    _event(
        "coupon_redeemed",
        coupon=TEXT,
        campaign=TEXT,
        redemption=TEXT,
        order=TEXT,
        till=TEXT,
        cashier=TEXT,
        basket_minor=NUMBER,
        discount_minor=NUMBER,
        currency=TEXT,
    ),
    _event(
        "redemption_undone",
        coupon=TEXT,
        campaign=TEXT,
        redemption=TEXT,
        till=TEXT,
        cashier=TEXT,
        discount_minor=NUMBER,
        currency=TEXT,
    ),
    _event("campaign_stopped", campaign=TEXT, by=TEXT, honour_issued=OTHER),
    _event(
        "order_recorded",
        order=TEXT,
        till=TEXT,
        cashier=TEXT,
        basket_minor=NUMBER,
        discount_minor=NUMBER,
        currency=TEXT,
    ),
    _event("redemption_refused", reason=TEXT, till=TEXT, coupon=TEXT),
    _event("redemption_refused", reason=TEXT, till=TEXT, coupon=_NULL),
    _event("consent_given", visitor=TEXT, analytics=OTHER, marketing=OTHER, language=TEXT, text_sha256=TEXT),
    _event("played", campaign=TEXT, subject=TEXT, play=NUMBER, won=OTHER),
    _event("member_linked", visitor=TEXT),
    _event("presence_changed", beacon=TEXT, change=TEXT, zone=TEXT, dwell_s=OTHER),
    _event("presence_changed", beacon=TEXT, change=TEXT, zone=_NULL, dwell_s=OTHER),
    _event("health_changed", status=TEXT, issues=OTHER),
)


def _digits(count: int) -> bytes:
    return DIGITS + bytes([count])


def _hex(count: int) -> bytes:
    return HEX + bytes([count])


def _base32(count: int) -> bytes:
    return BASE32 + bytes([count])


# Seconds as pydantic writes them; the difference of two readings of a clock has many decimals.
_DECIMALS: Final = tuple(
    _digits(before) + b"." + _digits(after) for after in range(1, 17) for before in range(1, 6)
)
_WORDS: Final = (
    # Scalars, currencies and languages.
    "true false [] CNY USD EUR GBP JPY HKD TWD SGD KRW THB en zh-Hans zh-Hant "
    # Changes of presence, states of health.
    "enter dwell leave zone ok degraded failing "
    # Reasons of a refused redemption.
    "not_ours damaged forged expired not_yet_valid already_redeemed reserved_elsewhere voided wrong_branch "
    "wrong_merchant revoked given_away below_min_spend limit_reached needs_line unknown_code campaign_stopped "
    "too_many_tries stored_elsewhere wrong_currency not_with_others request_reused order_closed"
)
PATTERNS: Final[tuple[bytes, ...]] = (
    # A boot's id, and other UUIDs.
    b"-".join(map(_hex, (8, 4, 4, 4, 12))),
    # A coupon, a redemption, an order of our own, a visitor, its subject, a SHA-256.
    _digits(6) + b"-" + _base32(12),
    b"r" + _digits(6) + b"-" + _base32(10),
    b"p-" + _base32(12),
    _hex(20),
    b"v:" + _hex(20),
    _hex(64),
    *_WORDS.encode().split(),
    *_DECIMALS,
)
