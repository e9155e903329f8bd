"""A bad inventory or bundle is refused with the field, the value and what is allowed, or with what does not fit."""

from typing import Any

import pytest
from pydantic import ValidationError

from engagement.estate.branch import Agent, Branch
from engagement.estate.bundle import Bundle
from engagement.estate.inventory import Inventory
from tests.fakes.shop import campaign_file

DOOR = {
    "name": "door",
    "role": "zone",
    "zone": "entrance",
    "ibeacon": {"uuid": "e2c56db5-dffb-48d2-b060-d0f5a71096e0", "major": 1, "minor": 1},
}
TAG = {"name": "tag 1", "role": "tag", "member": "m-1", "altbeacon": {"id": "ab" * 20}}
RECEIVER = {"adapter": "hci0", "zone": "entrance"}
AGENT = {"name": "box", "receivers": [RECEIVER]}


def branch_file(**changes: object) -> dict[str, Any]:
    return {
        "name": "North Gate",
        "code": "NG1",
        "time_zone": "Asia/Shanghai",
        "languages": ["zh-Hans", "en"],
        "currency": "CNY",
        "zones": ["entrance", {"name": "toys"}],
        "beacons": [DOOR, TAG],
        "agents": [AGENT],
        "tills": ["till 1"],
    } | changes


def inventory_file(*branches: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "branches": list(branches), "members": [{"id": "m-1", "name": "Li"}]}


def bundle_file(**changes: object) -> dict[str, Any]:
    return {
        "version": 1,
        "sequence": 1,
        "agent": "box",
        "agent_number": 77,
        "branch": branch_file(),
        "campaigns": [campaign_file()],
    } | changes


def beacon(**changes: object) -> dict[str, Any]:
    return {"beacons": [DOOR | changes]}


@pytest.mark.parametrize(
    ("changes", "field", "value", "allowed"),
    [
        ({"code": "NG 1"}, "code", "NG 1", "match pattern"),
        ({"time_zone": "Mars/Base"}, "time_zone", "Mars/Base", "no IANA time zone, as in Asia/Shanghai"),
        ({"languages": ["d e"]}, "languages.0", "d e", "match pattern"),
        ({"languages": []}, "languages", [], "needs at least one"),
        ({"currency": "RMB¥"}, "currency", "RMB¥", r"\^\[A-Z\]\{3\}\$"),
        ({"zones": ["x" * 81]}, "zones.0.name", "x" * 81, "at most 80"),
        ({"tills": ["till\n1"]}, "tills.0.name", "till\n1", "match pattern"),
        ({"agents": [AGENT | {"number": 100_000}]}, "agents.0.number", 100_000, "less than or equal to 99999"),
        ({"agents": [{"name": "box", "receivers": [RECEIVER | {"adapter": "hci 0"}]}]},
         "agents.0.receivers.0.adapter", "hci 0", "match pattern"),
        ({"agents": [{"name": "box", "receivers": [RECEIVER | {"x_m": float("inf")}]}]},
         "agents.0.receivers.0.x_m", float("inf"), "finite number"),
        (beacon(name=""), "beacons.0.name", "", "at least 1 character"),
        (beacon(role="door"), "beacons.0.role", "door", "'zone' or 'tag'"),
        (beacon(ibeacon=DOOR["ibeacon"] | {"major": 65_536}),  # type: ignore[operator]
         "beacons.0.ibeacon.major", 65_536, "less than or equal to 65535"),
        (beacon(ibeacon=DOOR["ibeacon"] | {"uuid": "e2c5"}),  # type: ignore[operator]
         "beacons.0.ibeacon.uuid", "e2c5", "valid UUID"),
        (beacon(ibeacon=None, eddystone_uid={"namespace": "00", "instance": "00" * 6}),
         "beacons.0.eddystone_uid.namespace", "00", r"\[0-9a-fA-F\]\{20\}"),
        (beacon(battery=3), "beacons.0.battery", 3, "not permitted"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(
    changes: dict[str, Any], field: str, value: object, allowed: str
) -> None:
    with pytest.raises(ValidationError, match=allowed) as refused:
        Inventory.model_validate(inventory_file(branch_file(**changes)))
    (error,) = refused.value.errors()
    assert ".".join(map(str, error["loc"])) == f"branches.0.{field}"
    assert error["input"] == value


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"zones": ["entrance", "entrance"]}, "zone 'entrance' is named twice"),
        ({"tills": ["till 1", "till 1"]}, "till 'till 1' is named twice"),
        (beacon(zone="cellar"), "beacon 'door' hangs in zone 'cellar', which is not listed"),
        (beacon(zone=None), "needs the zone it hangs in"),
        (beacon(member="m-1"), "only a tag can belong to a member"),
        (beacon(altbeacon={"id": "ab" * 20}), "found ibeacon and altbeacon"),
        (beacon(ibeacon=None), "found none"),
        ({"beacons": [DOOR, DOOR | {"name": "door 2"}]}, "beacons 'door' and 'door 2' send the same identity"),
        ({"agents": [{"name": "box", "receivers": [RECEIVER | {"zone": "roof"}]}]}, "zone 'roof', which is not listed"),
    ],
)  # fmt: skip
def test_a_branch_whose_parts_do_not_fit_is_refused_with_what_does_not(
    changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(ValidationError, match=what):
        Inventory.model_validate(inventory_file(branch_file(**changes)))


def test_an_inventory_whose_branches_do_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError, match="branch code 'NG1' is used 2 times"):
        Inventory.model_validate(inventory_file(branch_file(), branch_file()))
    stranger = TAG | {"member": "m-2"}
    with pytest.raises(ValidationError, match="tag 'tag 1' belongs to member 'm-2', who is not listed"):
        Inventory.model_validate(inventory_file(branch_file(beacons=[DOOR, stranger])))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"agent": "other"}, "agent 'other' is not an agent of branch 'NG1'"),
        ({"campaigns": [campaign_file(), campaign_file(number=9)]}, "two campaigns have the same id"),
        ({"campaigns": [campaign_file(), campaign_file(id="other")]}, "two campaigns have the same number"),
        ({"branch": branch_file(currency="EUR")}, "campaign 'welcome' is in CNY, the branch in EUR"),
        ({"sequence": 0}, "greater than or equal to 1"),
        ({"tills": [{"name": "till 1", "token_sha256": "secret"}]}, "match pattern"),
    ],
)
def test_a_bad_bundle_is_refused_with_what_does_not_fit(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Bundle.model_validate(bundle_file(**changes))


def test_hexadecimal_identities_are_read_in_either_case() -> None:
    changes = beacon(ibeacon=None, eddystone_uid={"namespace": "AB" * 10, "instance": "Cd" * 6})
    inventory = Inventory.model_validate(inventory_file(branch_file(**changes)))
    identity = inventory.branches[0].beacons[0].eddystone_uid
    assert identity is not None
    assert (identity.namespace, identity.instance) == ("ab" * 10, "cd" * 6)


def test_good_files_are_read() -> None:
    inventory = Inventory.model_validate(inventory_file(branch_file()))
    assert [zone.name for zone in inventory.branches[0].zones] == ["entrance", "toys"]
    assert Bundle.model_validate(bundle_file()).own_agent.name == "box"


@pytest.mark.parametrize(
    ("languages", "spoken"),
    [
        (["zh-Hans", "en"], ("zh-Hans", "en")),
        (["en-GB", "zh-CN"], ("en", "zh-Hans")),
        (["zh", "zh-Hant", "EN"], ("zh-Hans", "en")),
        (["ja", "en"], ("en",)),
        (["ja"], ("en", "zh-Hans")),
    ],
)
def test_a_branch_speaks_what_the_pages_can_of_its_languages(
    languages: list[str], spoken: tuple[str, ...]
) -> None:
    assert Branch.model_validate(branch_file(languages=languages)).page_languages == spoken


@pytest.mark.parametrize("name", [".", ".."])
def test_an_agent_is_not_named_as_a_folder(name: str) -> None:
    with pytest.raises(ValidationError, match="dots alone"):
        Agent.model_validate({"name": name})
