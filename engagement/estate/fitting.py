"""What must hold between the fields of an inventory, as rules over its parts.

The parts may come from models or from a file that is wrong in other places as well, where some of them are unknown
(None): so that what does not fit together is told beside what is wrong in itself, each at its own place.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from engagement.finding import Finding, Path


class BeaconParts(NamedTuple):
    """``has_zone``: whether it names one, be it a wrong one; ``kinds``: the keys under which it has an identity;
    ``identity``: None where that is wrong in itself."""

    name: str | None
    role: str | None
    has_zone: bool
    zone: str | None
    member: str | None
    kinds: tuple[str, ...]
    identity: Hashable = None


@dataclass(frozen=True, slots=True)
class ReceiverParts:
    adapter: str | None
    zone: str | None


@dataclass(frozen=True, slots=True)
class AgentParts:
    name: str | None
    number: int | None
    receivers: tuple[ReceiverParts, ...] = ()


@dataclass(frozen=True, slots=True)
class BranchParts:
    code: str | None
    zones: tuple[str | None, ...] = ()
    beacons: tuple[BeaconParts, ...] = ()
    agents: tuple[AgentParts, ...] = ()
    tills: tuple[str | None, ...] = ()
    campaigns: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class InventoryParts:
    branches: tuple[BranchParts, ...]
    members: tuple[str | None, ...]


def beacon_findings(beacon: BeaconParts) -> Iterator[Finding]:
    if len(beacon.kinds) != 1:
        found = " and ".join(beacon.kinds) or "none"
        yield Finding((), f"needs exactly one of ibeacon, eddystone_uid, altbeacon, eid; found {found}")
    if beacon.role == "zone" and not beacon.has_zone:
        yield Finding((), "a beacon with role zone needs the zone it hangs in")
    if beacon.role == "zone" and beacon.member is not None:
        yield Finding(("member",), "only a tag can belong to a member")


def branch_findings(branch: BranchParts) -> Iterator[Finding]:
    """All but those of its beacons one by one."""
    for what, key, names in (
        ("zone", "zones", branch.zones),
        ("beacon", "beacons", [beacon.name for beacon in branch.beacons]),
        ("agent", "agents", [agent.name for agent in branch.agents]),
        ("till", "tills", branch.tills),
        ("campaign", "campaigns", branch.campaigns),
    ):
        for index in _again(names):
            yield Finding((key, index), f"{what} {names[index]!r} is named twice")
    zones = set(branch.zones)
    for index, beacon in enumerate(branch.beacons):
        if beacon.zone is not None and beacon.zone not in zones:
            yield Finding(
                ("beacons", index, "zone"),
                f"beacon {beacon.name!r} hangs in zone {beacon.zone!r}, which is not listed",
            )
    for index, agent in enumerate(branch.agents):
        yield from _receiver_findings(index, agent, zones)
    identities = [beacon.identity for beacon in branch.beacons]
    first = _first_of(identities)
    for index in _again(identities):
        names = (branch.beacons[first[identities[index]]].name, branch.beacons[index].name)
        yield Finding(("beacons", index), f"beacons {names[0]!r} and {names[1]!r} send the same identity")


def _receiver_findings(index: int, agent: AgentParts, zones: set[str | None]) -> Iterator[Finding]:
    for number, receiver in enumerate(agent.receivers):
        if receiver.zone is not None and receiver.zone not in zones:
            yield Finding(
                ("agents", index, "receivers", number, "zone"),
                f"receiver {receiver.adapter!r} of agent {agent.name!r} stands in zone {receiver.zone!r}, "
                "which is not listed",
            )


def twice_heard(agents: Iterable[AgentParts]) -> Iterator[Finding]:
    """Adapters that an agent has two receivers with: it hears with each once, in one zone.

    No rule of the models: what HQ and stores keep from before this was asked must stay readable.
    """
    for index, agent in enumerate(agents):
        adapters = [receiver.adapter for receiver in agent.receivers]
        for number in _again(adapters):
            yield Finding(
                ("agents", index, "receivers", number, "adapter"),
                f"adapter {adapters[number]!r} of agent {agent.name!r} is named twice; allowed: one receiver for each",
            )


def chain_findings(inventory: InventoryParts) -> Iterator[Finding]:
    """What must hold between branches; not within each."""
    codes = [branch.code for branch in inventory.branches]
    counts = Counter(codes)
    for index in _again(codes):
        yield Finding(
            ("branches", index, "code"), f"branch code {codes[index]!r} is used {counts[codes[index]]} times"
        )
    for index in _again(inventory.members):
        yield Finding(("members", index), f"member {inventory.members[index]!r} is listed twice")
    yield from _agents_findings(inventory.branches)
    members = set(inventory.members)
    for number, branch in enumerate(inventory.branches):
        for index, beacon in enumerate(branch.beacons):
            if beacon.member is not None and beacon.member not in members:
                yield Finding(
                    ("branches", number, "beacons", index, "member"),
                    f"tag {beacon.name!r} belongs to member {beacon.member!r}, who is not listed",
                )


def _agents_findings(branches: tuple[BranchParts, ...]) -> Iterator[Finding]:
    """An agent's name signs its requests, and its number stands in its coupons: both are unique in the chain."""
    names: dict[str, tuple[int, AgentParts]] = {}
    numbers: dict[int, tuple[int, AgentParts]] = {}
    for place, branch in enumerate(branches):
        for index, agent in enumerate(branch.agents):
            path: Path = ("branches", place, "agents", index)
            if agent.name is not None:
                there, _ = names.setdefault(agent.name, (place, agent))
                # Twice within a branch is told by the branch.
                if there != place:
                    yield Finding(
                        (*path, "name"),
                        f"agent {agent.name!r} is also an agent of branch {branches[there].code!r}",
                    )
            if agent.number is not None:
                there, other = numbers.setdefault(agent.number, (place, agent))
                if other is not agent:
                    yield Finding(
                        (*path, "number"),
                        f"agent number {agent.number} is that of agent {other.name!r} of branch {branches[there].code!r}",
                    )


def _first_of(keys: Iterable[Hashable]) -> dict[Hashable, int]:
    first: dict[Hashable, int] = {}
    for index, key in enumerate(keys):
        first.setdefault(key, index)
    return first


def _again(keys: Iterable[Hashable]) -> list[int]:
    """Where a key stands that stood before; what is unknown is like nothing."""
    seen: set[Hashable] = set()
    again: list[int] = []
    for index, key in enumerate(keys):
        if key is None:
            continue
        if key in seen:
            again.append(index)
        seen.add(key)
    return again
