"""The scanner test: what a wrong setting leaves of the test code, and which setting it was."""

import pytest

from engagement.coupon.base45 import ALPHABET
from engagement.coupon.code import SignedCode, read_code
from engagement.coupon.presented import identify
from engagement.coupon.token import TEXT_CHARS
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.keyboard_layouts import LAYOUTS, Layout
from engagement.till.scanner import TEST_TEXT, Finding, Found, judge_scan


def layout(name: str) -> Layout:
    return next(each for each in LAYOUTS if each.name.startswith(name))


def test_test_code_holds_every_character_and_double_spaces_and_is_as_long_as_a_coupons() -> None:
    assert set(TEST_TEXT) == set(ALPHABET)
    assert "  " in TEST_TEXT
    assert len(TEST_TEXT) == TEXT_CHARS


def test_till_that_reads_the_test_code_refuses_it_without_counting_a_guess() -> None:
    code = read_code(TEST_TEXT)
    assert isinstance(code, SignedCode)
    refusal = identify(code, agent_number=77, lease_number=1, verify=lambda *_: False)
    assert refusal == Refusal(Reason.WRONG_BRANCH)


@pytest.mark.parametrize("end", ["", "\r", "\n", "\r\n", "\t"])
def test_whole_scan_is_perfect(end: str) -> None:
    report = judge_scan(TEST_TEXT + end)
    assert report.survives
    assert report.found == (Found(Finding.PERFECT),)


@pytest.mark.parametrize("each", LAYOUTS[1:], ids=lambda each: each.name)
def test_each_layout_is_named_and_does_not_survive(each: Layout) -> None:
    report = judge_scan(each.types(TEST_TEXT))
    assert not report.survives
    assert report.found[0].finding is Finding.LAYOUT
    # Two layouts that mangle our characters alike cannot be told apart; then the first of them is named.
    same = [
        other.name for other in LAYOUTS if other.types(TEST_TEXT).upper() == each.types(TEST_TEXT).upper()
    ]
    assert report.found[0].what == same[0]


@pytest.mark.parametrize("each", LAYOUTS[1:], ids=lambda each: each.name)
def test_layout_is_recognised_in_lower_case_too(each: Layout) -> None:
    report = judge_scan(each.types(TEST_TEXT).lower())
    assert Finding.LAYOUT in {found.finding for found in report.found}


def test_german_layout_as_it_really_looks() -> None:
    """Typed by a US scanner into Windows with a German layout: shifted keys and a dead accent."""
    assert layout("Deutsch").types("C1:YZ-/*+A+ $%.") == "C1ÖZYß-(À`$%."


def test_french_layout_as_it_really_looks() -> None:
    assert layout("Français").types("C1:AZQWM0./-$%*+") == "C&MQWAZ?à:!)458+"


def test_lower_case_survives_and_is_said() -> None:
    report = judge_scan(TEST_TEXT.lower())
    assert report.survives
    assert report.found == (Found(Finding.LOWER_CASE),)


@pytest.mark.parametrize(
    ("typed", "expected", "survives"),
    [
        (f"]Q1{TEST_TEXT}", Found(Finding.PREFIX, "]Q1"), False),
        (f"{TEST_TEXT}#END", Found(Finding.SUFFIX, "#END"), False),
        (TEST_TEXT[3:], Found(Finding.NO_START, "C1:"), False),
        (TEST_TEXT[:-10], Found(Finding.NO_END, TEST_TEXT[-10:]), False),
        (TEST_TEXT.replace("  ", " "), Found(Finding.SPACES), False),
        (TEST_TEXT.replace(" ", ""), Found(Finding.SPACES), False),
        (TEST_TEXT.replace("%", ""), Found(Finding.DROPPED, "%"), False),
        ("", Found(Finding.NOTHING), False),
        ("   \r", Found(Finding.NOTHING), False),
        ("4006381333931", Found(Finding.OTHER_CODE, "4006381333931"), False),
        ("Ｃ１：", Found(Finding.INPUT_METHOD), False),
        ("次1：", Found(Finding.INPUT_METHOD), False),
    ],
)
def test_each_wrong_setting_is_told_apart(typed: str, expected: Found, survives: bool) -> None:
    report = judge_scan(typed)
    assert report.found == (expected,)
    assert report.survives is survives


def test_changed_characters_are_shown() -> None:
    report = judge_scan(TEST_TEXT.replace("$", "£").replace("*", "×"))
    assert report.found[0].finding is Finding.CHANGED
    assert "$ → £" in report.found[0].what


def test_layout_with_a_prefix_names_both() -> None:
    found = judge_scan("~" + layout("Deutsch").types(TEST_TEXT)).found
    assert [each.finding for each in found] == [Finding.LAYOUT, Finding.PREFIX]


def test_endless_input_is_cut_off() -> None:
    assert not judge_scan("x" * 10**6).survives
