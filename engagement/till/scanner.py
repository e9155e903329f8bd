"""What a scanner made of the test code: whether our codes would come through, and if not, what is set wrong."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from hashlib import sha512
from typing import Final

from engagement.coupon.code import read_code
from engagement.coupon.token import TokenBody, pack_body, token_text
from engagement.till.keyboard_layouts import LAYOUTS

# A code in every respect but its seal: agent 0 exists nowhere, so a till that reads it refuses it. Its signature's
# place holds a hash that was picked so that every character of base45 occurs, and two spaces in a row.
_BODY: Final = pack_body(
    TokenBody(
        kind="cash",
        key_index=0,
        agent_number=0,
        campaign_number=0,
        edition=0,
        lease_number=0,
        serial=0,
        not_before_min=0,
        not_after_min=0,
        value=0,
        min_spend_minor=0,
        subject_tag=bytes(6),
        terms_check=bytes(2),
    )
)
TEST_TEXT: Final = token_text(_BODY, sha512(b"scanner test 89761").digest())
# What a till field takes; the rest of a longer input is not looked at.
TYPED_CHARS_MAX: Final = 512
# Scanners put at most a few characters around a code; more than this is another code.
_AROUND_MAX: Final = 12
# Below this share of agreement the scan was of something else.
_SAME_CODE_MIN: Final = 0.5


class Finding(StrEnum):
    """Each has its sentence and its remedy in the pages' catalogue."""

    PERFECT = "perfect"
    NOTHING = "nothing"
    OTHER_CODE = "other_code"
    LAYOUT = "layout"
    INPUT_METHOD = "input_method"
    LOWER_CASE = "lower_case"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    NO_START = "no_start"
    NO_END = "no_end"
    SPACES = "spaces"
    DROPPED = "dropped"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Found:
    """``what``: the layout's name, or the characters concerned."""

    finding: Finding
    what: str = ""


@dataclass(frozen=True, slots=True)
class ScannerReport:
    """``survives``: whether a till reads our codes with this scanner as it is set now."""

    survives: bool
    found: tuple[Found, ...]


def judge_scan(typed: str) -> ScannerReport:
    """Compare what arrived with TEST_TEXT; line ends around it are the scanner's way of pressing Enter."""
    typed = typed[:TYPED_CHARS_MAX].strip("\r\n\t")
    survives = read_code(typed) == read_code(TEST_TEXT)
    return ScannerReport(survives, tuple(_findings(typed)))


def _findings(typed: str) -> list[Found]:
    if typed == TEST_TEXT:
        return [Found(Finding.PERFECT)]
    if not typed.strip():
        return [Found(Finding.NOTHING)]
    if any(_is_full_width(character) for character in typed):
        return [Found(Finding.INPUT_METHOD)]
    upper = typed.upper()
    found = [Found(Finding.LOWER_CASE)] if _is_lower(typed) else []
    layout = _layout_of(upper)
    if layout is not None:
        name, expected = layout
        around = _around(upper, expected)
        return ([Found(Finding.LAYOUT, name)] if name != LAYOUTS[0].name else []) + found + around
    return found + _damage(upper)


def _is_lower(typed: str) -> bool:
    return any(character.islower() for character in typed) and not any(
        character.isupper() for character in typed
    )


def _is_full_width(character: str) -> bool:
    """Characters that only an input method makes: Chinese, kana, full-width forms."""
    return "\u2e80" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef" or character == "￥"


def _layout_of(upper: str) -> tuple[str, str] | None:
    """The layout whose version of the test code is in what was typed, with that version; US first."""
    for layout in LAYOUTS:
        expected = layout.types(TEST_TEXT).upper()
        if expected in upper and len(upper) - len(expected) <= 2 * _AROUND_MAX:
            return layout.name, expected
    return None


def _around(upper: str, expected: str) -> list[Found]:
    before, _, after = upper.partition(expected)
    return [Found(Finding.PREFIX, before)] * bool(before) + [Found(Finding.SUFFIX, after)] * bool(after)


def _damage(upper: str) -> list[Found]:
    """What became of the parts, against the layout that explains most of it."""
    name, expected = max(
        ((layout.name, layout.types(TEST_TEXT).upper()) for layout in LAYOUTS),
        key=lambda version: SequenceMatcher(None, version[1], upper, autojunk=False).ratio(),
    )
    match = SequenceMatcher(None, expected, upper, autojunk=False)
    if match.ratio() < _SAME_CODE_MIN and upper not in expected:
        return [Found(Finding.OTHER_CODE, upper[:40])]
    found = [Found(Finding.LAYOUT, name)] if name != LAYOUTS[0].name else []
    if "".join(expected.split()) == "".join(upper.split()):
        return [*found, Found(Finding.SPACES)]
    steps = [step for step in match.get_opcodes() if step[0] != "equal"]
    dropped: list[str] = []
    changed: list[str] = []
    for kind, from_, to, got_from, got_to in steps:
        lost, got = expected[from_:to], upper[got_from:got_to]
        if kind == "delete" and from_ == 0:
            found.append(Found(Finding.NO_START, lost[:40]))
        elif kind == "delete" and to == len(expected):
            found.append(Found(Finding.NO_END, lost[:40]))
        elif kind == "delete":
            dropped.append(lost)
        elif kind == "insert" and from_ in (0, len(expected)):
            found.append(Found(Finding.PREFIX if from_ == 0 else Finding.SUFFIX, got[:40]))
        else:
            changed.append(f"{lost or '∅'} → {got}")
    if dropped:
        found.append(Found(Finding.DROPPED, _each_once("".join(dropped))))
    if changed:
        found.append(Found(Finding.CHANGED, ", ".join(dict.fromkeys(changed[:6]))))
    return found


def _each_once(text: str) -> str:
    return "".join(dict.fromkeys(text))
