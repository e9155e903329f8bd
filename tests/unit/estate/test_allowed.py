"""No mistake in a file is told in the words of a programming language."""

from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from engagement.campaign.model import Campaign
from engagement.estate.complaint import complaints_of
from engagement.estate.inventory import Inventory
from engagement.finding import Path
from engagement.values import Value
from tests.fakes.shop import campaign_file

BRANCH: dict[str, Any] = {
    "name": "Test Street",
    "code": "TEST",
    "time_zone": "Asia/Shanghai",
    "languages": ["en"],
    "currency": "CNY",
    "zones": [{"name": "door"}],
    "beacons": [
        {
            "name": "one",
            "role": "zone",
            "zone": "door",
            "ibeacon": {"uuid": "5f2dd896-b886-4549-ae01-e41acd7a354a", "major": 1, "minor": 1},
        },
        {
            "name": "two",
            "role": "tag",
            "member": "m",
            "eddystone_uid": {"namespace": "ab" * 10, "instance": "ab" * 6},
        },
        {"name": "three", "role": "tag", "altbeacon": {"id": "ab" * 20}},
        {
            "name": "four",
            "role": "tag",
            "eid": {"identity_key": "ab" * 16, "rotation_exponent": 1, "clock_offset_s": 1},
        },
    ],
    "agents": [
        {"name": "box", "number": 1, "receivers": [{"adapter": "hci0", "zone": "door", "x_m": 1, "y_m": 1}]}
    ],
    "tills": [{"name": "till-1"}],
    "campaigns": ["welcome"],
}
CHAIN = {
    "version": 1,
    "members": [{"id": "m", "name": "Lin"}],
    "campaigns": ["*.yaml"],
    "branches": [BRANCH],
}
STRANGE: tuple[object, ...] = (
    None, True, -1, 10**30, 10**5000, 1.5, float("nan"), float("inf"), "", "\x07", "\ud800", "true", "9" * 500,
    date(2026, 1, 1), [], {}, [None] * 2000, {1: 2},
)  # fmt: skip
OF_MACHINES = (
    "Input should", "should be", "should have", "should match", "match pattern", "[A-Z", "^", "Field required", "parse", "str type",
    "valid", "None", "True",
)  # fmt: skip


def leaves(content: Any, at: Path = ()) -> Iterator[Path]:
    yield at
    steps = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for step, value in steps:
        yield from leaves(value, (*at, step))


def with_other(content: Any, at: Path, value: object) -> Any:
    if not at:
        return value
    changed = deepcopy(content)
    inside = changed
    for step in at[:-1]:
        inside = inside[step]
    inside[at[-1]] = value
    return changed


@pytest.mark.parametrize(("model", "content"), [(Inventory, CHAIN), (Campaign, campaign_file())])
def test_whatever_stands_in_a_field_is_told_in_plain_words(
    model: type[Value], content: dict[str, Any]
) -> None:
    model.model_validate(content)
    told: dict[str, str] = {}
    for path in leaves(content):
        for strange in STRANGE:
            try:
                model.model_validate(with_other(content, path, strange))
            except ValidationError as wrong:
                told |= {c.text: c.field for c in complaints_of(wrong, lambda steps: None)}
    assert len(told) > 100
    of_machines = {text: field for text, field in told.items() if any(words in text for words in OF_MACHINES)}
    assert of_machines == {}
    assert not [text for text in told if "other letters" in text]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (10, "is the number 10; allowed: text, here in quotes"),
        (date(2026, 1, 1), "is the date 2026-01-01; allowed: text, here in quotes"),
        (None, "is empty; allowed: text"),
        ([], "is a list; allowed: text"),
    ],
)
def test_a_code_that_yaml_took_for_something_else_is_to_be_quoted(found: object, said: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Inventory.model_validate(with_other(CHAIN, ("branches", 0, "code"), found))
    assert [complaint.text for complaint in complaints_of(wrong.value, lambda steps: None)] == [said]


@pytest.mark.parametrize("found", [True, "1", 1.0])
@pytest.mark.parametrize(
    "path", [("branches", 0, "agents", 0, "number"), ("branches", 0, "beacons", 0, "ibeacon", "major")]
)
def test_what_is_like_a_number_is_none(path: Path, found: object) -> None:
    with pytest.raises(ValidationError) as wrong:
        Inventory.model_validate(with_other(CHAIN, path, found))
    (complaint,) = complaints_of(wrong.value, lambda steps: None)
    assert complaint.text.endswith("; allowed: a whole number, without quotes")


def test_what_concerns_a_campaign_as_a_whole_is_told_at_the_field_that_does_not_fit() -> None:
    shake = {"trigger": {"on": "shake"}, "draw": {"mode": "odds"}, "budget": {"units": 10, "spend_minor": 1}}
    with pytest.raises(ValidationError) as wrong:
        Campaign.model_validate(campaign_file() | shake)
    complaints = complaints_of(wrong.value, lambda steps: None)
    assert [complaint.field for complaint in complaints] == ["draw.win_bps", "budget.spend_minor"]


def test_a_sentence_with_a_semicolon_is_one_mistake() -> None:
    with pytest.raises(ValidationError) as wrong:
        Inventory.model_validate(with_other(CHAIN, ("branches", 0, "agents", 0, "name"), ".."))
    assert len(complaints_of(wrong.value, lambda steps: None)) == 1
