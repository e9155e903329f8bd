"""The parts of an inventory file that may be wrong, as far as they can be told, and what does not fit together in it.

What is wrong in itself is left to the models; here it is unknown.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from engagement.estate.beacon import IDENTITIES
from engagement.estate.branch import Agent, Branch
from engagement.estate.fitting import (
    AgentParts,
    BeaconParts,
    BranchParts,
    InventoryParts,
    ReceiverParts,
    beacon_findings,
    branch_findings,
    chain_findings,
    twice_heard,
)
from engagement.finding import Finding
from engagement.values import Value


def inventory_findings(content: object) -> Iterator[Finding]:
    """``content``: of the file, as plain values; a branch that is right may be one already. Within each thing first, then between branches."""
    inventory = InventoryParts(
        branches=tuple(_branch(each) for each in _list(content, "branches")),
        members=tuple(_text(each, "id") for each in _list(content, "members")),
    )
    for index, branch in enumerate(inventory.branches):
        for number, beacon in enumerate(branch.beacons):
            yield from _under(("branches", index, "beacons", number), beacon_findings(beacon))
        yield from _under(("branches", index), branch_findings(branch))
    yield from chain_findings(inventory)


def twice_heard_findings(content: object) -> Iterator[Finding]:
    """Adapters that agents have two receivers with."""
    for index, branch in enumerate(_list(content, "branches")):
        agents = branch.agents if isinstance(branch, Branch) else _list(branch, "agents")
        parts = tuple(agent.parts if isinstance(agent, Agent) else _agent(agent) for agent in agents)
        yield from _under(("branches", index), twice_heard(parts))


def _under(path: tuple[str | int, ...], findings: Iterator[Finding]) -> Iterator[Finding]:
    return (Finding((*path, *finding.path), finding.text) for finding in findings)


def _branch(branch: object) -> BranchParts:
    if isinstance(branch, Branch):
        return branch.parts
    return BranchParts(
        code=_text(branch, "code"),
        zones=tuple(_name(each) for each in _list(branch, "zones")),
        beacons=tuple(_beacon(each) for each in _list(branch, "beacons")),
        agents=tuple(_agent(each) for each in _list(branch, "agents")),
        tills=tuple(_name(each) for each in _list(branch, "tills")),
        campaigns=tuple(_plain(each) for each in _list(branch, "campaigns")),
    )


def _beacon(beacon: object) -> BeaconParts:
    if not isinstance(beacon, Mapping):
        # Nothing is known of it, so no rule may say what it lacks.
        return BeaconParts(None, None, has_zone=False, zone=None, member=None, kinds=("ibeacon",))
    kinds = tuple(kind for kind in IDENTITIES if beacon.get(kind) is not None)
    return BeaconParts(
        name=_text(beacon, "name"),
        role=_text(beacon, "role"),
        has_zone=beacon.get("zone") is not None,
        zone=_text(beacon, "zone"),
        member=_text(beacon, "member"),
        kinds=kinds,
        identity=_identity(kinds[0], beacon[kinds[0]]) if kinds else None,
    )


def _identity(kind: str, content: object) -> Value | None:
    try:
        return IDENTITIES[kind].model_validate(content)
    except ValidationError:
        return None


def _agent(agent: object) -> AgentParts:
    number = agent.get("number") if isinstance(agent, Mapping) else None
    return AgentParts(
        name=_text(agent, "name"),
        number=number if isinstance(number, int) and not isinstance(number, bool) else None,
        receivers=tuple(
            ReceiverParts(_text(each, "adapter"), _text(each, "zone")) for each in _list(agent, "receivers")
        ),
    )


def _name(thing: object) -> str | None:
    """A zone or a till may be written as its bare name."""
    return _plain(thing) or _text(thing, "name")


def _text(thing: object, key: str) -> str | None:
    return _plain(thing.get(key)) if isinstance(thing, Mapping) else None


def _plain(value: object) -> str | None:
    """None for what is no text, and for an empty one, which names nothing."""
    return value.strip() or None if isinstance(value, str) else None


def _list(thing: object, key: str) -> list[Any]:
    found = thing.get(key) if isinstance(thing, Mapping) else None
    return found if isinstance(found, list) else []
