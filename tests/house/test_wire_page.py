"""docs/wire.md tells another implementation the truth: every numbered shape and pattern, and the worked examples."""

import re

from engagement.journal.vocabulary import BASE32, DIGITS, HEX, INSTANT, NUMBER, OTHER, PATTERNS, SHAPES, TEXT
from tests.house.tree import ROOT
from tests.unit.journal.test_batch import ONE_EVENT, THREE_EVENTS

PAGE = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
_SHAPE_HOLES = {NUMBER: "number", b'"%b"' % TEXT: "text", OTHER: "other", INSTANT: "instant", b"null": "null"}
_PATTERN_HOLES = {DIGITS: b"D", HEX: b"H", BASE32: b"B"}
_FIRST_DECIMAL = 53


def shape_row(number: int) -> str:
    """The fields behind the moment, which all shapes begin with alike."""
    shape = SHAPES[number]
    what, rest = re.fullmatch(rb'\{"what":"(\w+)","moment":\{[^}]*\},(.*)\}', shape).groups()  # type: ignore[union-attr]
    fields = (member.split(b":") for member in rest.split(b","))
    told = ", ".join(f"{name.decode().strip(chr(34))} {_SHAPE_HOLES[hole]}" for name, hole in fields)
    return f"| {number} | `{what.decode()}` | {told} |"


def pattern_cell(number: int) -> str:
    def told(hole: re.Match[bytes]) -> bytes:
        return b"{%b%d}" % (_PATTERN_HOLES[hole[1]], hole[2][0])

    pattern = re.sub(rb"([\x01-\x03])(.)", told, PATTERNS[number], flags=re.DOTALL)
    return f"{number} `{pattern.decode()}`"


def test_every_shape_is_told() -> None:
    assert [row for row in map(shape_row, range(len(SHAPES))) if row not in PAGE.splitlines()] == []


def test_every_pattern_is_told() -> None:
    words = re.sub(r"\s+", " ", PAGE)
    assert [cell for cell in map(pattern_cell, range(_FIRST_DECIMAL)) if cell not in words] == []


def test_the_decimals_are_numbered_as_the_page_says() -> None:
    told = [DIGITS + bytes([b]) + b"." + DIGITS + bytes([d]) for d in range(1, 17) for b in range(1, 6)]
    assert list(PATTERNS[_FIRST_DECIMAL:]) == told


def test_the_examples_are_what_the_tests_pin() -> None:
    shown = [
        " ".join(re.findall(r"^[0-9a-f]{2}(?: [0-9a-f]{2})*(?=  )", block, re.MULTILINE))
        for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
    ]
    assert shown == [ONE_EVENT, THREE_EVENTS]
