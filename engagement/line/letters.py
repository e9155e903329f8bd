"""Crockford's base32, in which codes are read aloud and typed: letters that look or sound alike stand for one digit.

Source: D. Crockford, Base 32.
"""

import re
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES: Final = {letter: value for value, letter in enumerate(_ALPHABET)}
_READ_AS: Final = str.maketrans("OIL", "011")
_GROUP: Final = 4


def spelt(number: int, letters: int) -> str:
    """So many letters, five bits each, high bits first, in groups of four: ``XXXX-XXXX``."""
    text = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(letters)))
    return "-".join(text[at : at + _GROUP] for at in range(0, letters, _GROUP))


def bare(typed: str) -> str:
    """Without spaces and hyphens, in capitals, O as 0, I and L as 1."""
    return re.sub(r"[\s-]", "", typed).upper().translate(_READ_AS)


def number_of(letters: str) -> int | None:
    """The number that bare letters spell; None when one of them is none of the alphabet."""
    number = 0
    for letter in letters:
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number << 5 | value
    return number
