"""What a field of a file may hold, in words for people who write files, from what the models refuse.

A rule that says its own sentence keeps it. Patterns are told by what they mean; a test sees to it that none is left out.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from engagement.estate.branch import ADAPTER_PATTERN, BRANCH_CODE_PATTERN, LANGUAGE_PATTERN
from engagement.estate.inventory import FILES_PATTERN
from engagement.ids import LABEL, SLUG
from engagement.money import CURRENCY_PATTERN

_SHOWN_CHARS_MAX = 60
_TEXT: Final = "text"
_INSTANT: Final = "a date and time with its UTC offset, as 2026-11-21T09:00:00+08:00"
_WHOLE: Final = "a whole number, without quotes"
_UUID: Final = "a UUID, as 5f2dd896-b886-4549-ae01-e41acd7a354a"

_PATTERNS: Final[Mapping[str | None, str]] = {
    _pattern: _words
    for _pattern, _words in (
        (str(LABEL.pattern), "text without | and without line breaks and other control characters"),
        (
            str(SLUG.pattern),
            "1 to 40 small letters a-z, digits, - and _, of which - and _ not at the beginning, as in welcome_back",
        ),
        (
            BRANCH_CODE_PATTERN,
            "1 to 24 letters A-Z and a-z, digits, - and _, of which - and _ not at the beginning, as in HARBOUR",
        ),
        (ADAPTER_PATTERN, "1 to 32 letters A-Z and a-z, digits, and _ . : -, as in hci0"),
        (LANGUAGE_PATTERN, "a language tag, as zh-Hans or en"),
        (FILES_PATTERN, "a path or pattern without line breaks and other control characters"),
        (CURRENCY_PATTERN, "three capital letters, as in CNY"),
    )
}
_HEX: Final = re.compile(r"^\^\[0-9a-fA-F\]\{(\d+)\}\$$")

# By pydantic's names of what is wrong; what stands in braces comes with it.
_ALLOWED: Final[Mapping[str, str]] = {
    "string_type": _TEXT,
    "string_unicode": "text that can be written as UTF-8",
    "string_too_short": "a text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": "a number, without quotes",
    "float_parsing": "a number, without quotes",
    "finite_number": "a number, not an infinite one",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "datetime_type": _INSTANT,
    "datetime_parsing": _INSTANT,
    "datetime_from_date_parsing": _INSTANT,
    "datetime_object_invalid": _INSTANT,
    "tuple_type": "a list",
    "list_type": "a list",
    "too_long": "a list of at most {max_length}",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "dict_type": "a mapping",
    "invalid_key": "a text as the name of a field",
}


def said_of(detail: Mapping[str, Any]) -> str:
    """What was found and what is allowed. ``detail``: one of pydantic's errors."""
    kind, found = detail["type"], detail["input"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return f"there is no such field{_beside(found)}"
    if kind == "value_error":
        return f"{detail['msg'].removeprefix('Value error, ')}{_beside(found)}"
    context = detail.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return f"is {_shown(found)}; allowed: {_of_pattern(context['pattern'])}"
    if (allowed := _ALLOWED.get(kind)) is None:
        return f"{detail['msg']}{_beside(found)}"
    what = f"a list of {len(found)}" if kind == "too_long" else _shown(found)
    # YAML reads 010, 2026-01-01 and true as other things than text.
    hint = ", here in quotes" if allowed == _TEXT and isinstance(found, bool | int | float | date) else ""
    return f"is {what}; allowed: {allowed.format_map(context)}{hint}"


def _of_pattern(pattern: str) -> str:
    if digits := _HEX.match(pattern):
        return f"{digits[1]} hexadecimal digits, in quotes"
    return _PATTERNS.get(pattern, "other letters")


def _beside(found: object) -> str:
    """Of a scalar: a whole mapping says nothing that its line does not say better."""
    if isinstance(found, dict | list | tuple):
        return ""
    return f" (value {_shown(found).removeprefix('the number ').removeprefix('the date ')})"


def _shown(found: object) -> str:
    """As the file has it."""
    by_kind: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
        (type(None), lambda nothing: "empty"),
        (bool, lambda truth: str(truth).lower()),
        (str, _quoted),
        ((int, float), lambda number: f"the number {_number(number)}"),
        (date, lambda day: f"the date {day}"),
        (dict, lambda mapping: "a mapping"),
        ((list, tuple), lambda several: "a list"),
    )
    tell = next((tell for kind, tell in by_kind if isinstance(found, kind)), repr)
    text = tell(found)
    return text if len(text) <= 2 * _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "..."


def _quoted(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN_CHARS_MAX else repr(text[:_SHOWN_CHARS_MAX]) + "..."


def _number(number: float) -> str:
    try:
        return str(number)
    except ValueError:  # of so many digits that Python refuses to write them
        return "of thousands of digits"
