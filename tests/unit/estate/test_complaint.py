from typing import Any

import pytest
from pydantic import ValidationError

from engagement.estate.complaint import complaints_of
from engagement.estate.inventory import Inventory

BRANCH: dict[str, Any] = {
    "name": "Test Street",
    "code": "TEST",
    "time_zone": "Asia/Shanghai",
    "languages": ["en"],
    "currency": "CNY",
}
LINES = {(): 1, ("version",): 2, ("branches", 0): 4, ("branches", 0, "code"): 5}
TWICE = {("branches", 0, key, 1): 4 for key in ("zones", "tills")}


def told(content: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Inventory.model_validate(content)
    return [
        complaint.told("inventory.yaml") for complaint in complaints_of(caught.value, (LINES | TWICE).get)
    ]


def test_all_mistakes_are_told_in_order_of_their_lines() -> None:
    branch = BRANCH | {"code": "no spaces"}
    del branch["name"]
    assert told({"branches": [branch], "version": 2}) == [
        "inventory.yaml:2: version: is the number 2; allowed: 1",
        "inventory.yaml:4: branches.0.name: is missing",
        "inventory.yaml:5: branches.0.code: is 'no spaces'; allowed: 1 to 24 letters A-Z and a-z, digits, - and _, of "
        "which - and _ not at the beginning, as in HARBOUR",
    ]


def test_a_rule_about_a_whole_is_told_finding_by_finding_without_its_content() -> None:
    branch = BRANCH | {"zones": ["door", "door"], "tills": ["one", "one"]}
    assert told({"version": 1, "branches": [branch]}) == [
        "inventory.yaml:4: branches.0.zones.1: zone 'door' is named twice",
        "inventory.yaml:4: branches.0.tills.1: till 'one' is named twice",
    ]


def test_a_long_value_is_cut() -> None:
    (complaint,) = told({"version": "x" * 500, "branches": [BRANCH]})
    assert complaint == f"inventory.yaml:2: version: is '{'x' * 60}'...; allowed: 1"


def test_a_file_that_is_no_mapping_is_told_at_its_top() -> None:
    with pytest.raises(ValidationError) as caught:
        Inventory.model_validate([])
    (complaint,) = complaints_of(caught.value, LINES.get)
    assert (complaint.line, complaint.field) == (1, "file")


def test_a_field_that_nobody_knows_is_told_in_the_words_of_files() -> None:
    (complaint,) = told({"version": 1, "branches": [BRANCH], "colour": "red"})
    assert complaint == "inventory.yaml: colour: there is no such field (value 'red')"
