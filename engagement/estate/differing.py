"""What is different between two states of the estate, one line per thing, for people who decide whether to go on.

A line begins with ``+`` for what is new, ``~`` for what changes and ``-`` for what goes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from engagement.campaign.model import Campaign
from engagement.estate.beacon import (
    AltBeaconIdentity,
    Beacon,
    EddystoneUidIdentity,
    EidIdentity,
    IBeaconIdentity,
)
from engagement.estate.branch import Agent, Branch, Receiver
from engagement.estate.bundling import misfit, runs_in
from engagement.money import plain_amount


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def new_branch_line(branch: Branch) -> str:
    agents = ", ".join(f"{agent.name} number {agent.number}" for agent in branch.agents)
    parts = (
        _count(len(branch.zones), "zone"),
        _count(len(branch.beacons), "beacon"),
        _count(len(branch.agents), "agent") + (f" ({agents})" if agents else ""),
        _count(len(branch.tills), "till"),
    )
    return f"+ branch {branch.code} ({branch.name}): {', '.join(parts)}"


def dropped_branch_line(branch: Branch, enrolled: Iterable[str]) -> str:
    """``enrolled``: those of its agents that HQ knows by their keys."""
    names = ", ".join(sorted(enrolled))
    note = f"; still in use: {names}, which keep the bundle they have" if names else ""
    return f"- branch {branch.code} ({branch.name}){note}"


def branch_lines(before: Branch, after: Branch) -> Iterator[str]:
    """Nothing when both are equal."""
    if before == after:
        return
    lines = [
        *_field_lines(before, after),
        *_part_lines("zone", before.zones, after.zones),
        *_part_lines("beacon", before.beacons, after.beacons, changes=_beacon_changes, about=_beacon_about),
        *_part_lines("agent", before.agents, after.agents, changes=_agent_changes, about=_agent_about),
        *_part_lines("till", before.tills, after.tills),
    ]
    for line in lines or ("what it lists stands in another order",):
        yield f"~ branch {after.code}: {line}"


def lost_campaigns(before: Branch, after: Branch, campaigns: Iterable[Campaign]) -> Iterator[str]:
    """Those of them that ran in the branch and do no more, which nobody would notice but by winning nothing."""
    if (before.currency, before.zones, before.campaigns) == (after.currency, after.zones, after.campaigns):
        return
    for campaign in campaigns:
        if runs_in(campaign, before) and not runs_in(campaign, after):
            because = misfit(campaign, after) or "the branch does not list it"
            yield f"campaign {campaign.id} runs there no more: {because}"


def _field_lines(before: Branch, after: Branch) -> Iterator[str]:
    for what, old, new in (
        ("name", before.name, after.name),
        ("time zone", before.time_zone, after.time_zone),
        ("languages", ", ".join(before.languages), ", ".join(after.languages)),
        ("currency", before.currency, after.currency),
        ("campaigns", _campaigns(before), _campaigns(after)),
    ):
        if old != new:
            yield f"{what}: {new} instead of {old}"


def _campaigns(branch: Branch) -> str:
    return "all that fit" if branch.campaigns is None else ", ".join(branch.campaigns) or "none"


def _no_changes(_before: object, _after: object) -> Iterable[str]:
    return ()


def _nothing_about(_thing: object) -> str:
    return ""


def _part_lines(
    what: str,
    before: Iterable[N],
    after: Iterable[N],
    *,
    changes: Callable[[N, N], Iterable[str]] = _no_changes,
    about: Callable[[N], str] = _nothing_about,
) -> Iterator[str]:
    """``changes``: how a thing of the same name differs; ``about``: what to say of a new one."""
    old, new = ({thing.name: thing for thing in things} for things in (before, after))
    for name, thing in new.items():
        if name not in old:
            yield f"{what} {name} is new{about(thing)}"
        else:
            yield from (f"{what} {name} {change}" for change in changes(old[name], thing))
    for name in old:
        if name not in new:
            yield f"{what} {name} is removed"


def _beacon_about(beacon: Beacon) -> str:
    place = f" in {beacon.zone}" if beacon.zone is not None else ""
    owner = f" of member {beacon.member}" if beacon.member is not None else ""
    return f"{place}, a {beacon.role}{owner} that sends {_identity(beacon)}"


def _beacon_changes(before: Beacon, after: Beacon) -> Iterator[str]:
    if before == after:
        return
    if before.zone != after.zone:
        yield f"moves from {before.zone or 'nowhere'} to {after.zone or 'nowhere'}"
    if before.role != after.role:
        yield f"becomes a {after.role}, was a {before.role}"
    if before.member != after.member:
        yield f"belongs to {after.member or 'nobody'}, belonged to {before.member or 'nobody'}"
    if before.identity != after.identity:
        yield f"sends {_identity(after)} instead of {_identity(before)}"


def _identity(beacon: Beacon) -> str:
    match beacon.identity:
        case IBeaconIdentity(uuid=uuid, major=major, minor=minor):
            return f"ibeacon {uuid}/{major}/{minor}"
        case EddystoneUidIdentity(namespace=namespace, instance=instance):
            return f"eddystone_uid {namespace}/{instance}"
        case AltBeaconIdentity(id=id):
            return f"altbeacon {id}"
        case EidIdentity(rotation_exponent=exponent):
            # Its key is what makes it hard to imitate.
            return f"a rotating identity (exponent {exponent})"


def _agent_about(agent: Agent) -> str:
    return f", number {agent.number}"


def _agent_changes(before: Agent, after: Agent) -> Iterator[str]:
    if before.number != after.number:
        yield f"has number {after.number} instead of {before.number}"
    if before.receivers != after.receivers:
        yield f"hears by {_receivers(after.receivers)} instead of {_receivers(before.receivers)}"


def _receivers(receivers: Iterable[Receiver]) -> str:
    told = (f"{each.adapter} in {each.zone} at {each.x_m:g}/{each.y_m:g} m" for each in receivers)
    return ", ".join(told) or "nothing"


def campaign_line(before: Campaign | None, after: Campaign) -> str | None:
    """None when both are equal."""
    if before is None:
        return f"+ campaign {after.id} ({after.name}), edition {after.edition}: {_offer(after)}"
    if before == after:
        return None
    changed = [
        key
        for key in type(after).model_fields
        if key != "edition" and getattr(before, key) != getattr(after, key)
    ]
    fields = ", ".join(changed) or "nothing else changes"
    return f"~ campaign {after.id}: edition {after.edition} instead of {before.edition}: {fields}"


def _offer(campaign: Campaign) -> str:
    offer, window = campaign.offer, campaign.window
    worth = plain_amount(offer.liability_minor, offer.currency)
    if offer.kind == "percent":
        worth = f"{offer.off_bps / 100:g} % up to {worth}"
    return (
        f"{campaign.trigger.on}, {worth}, {campaign.budget.units} coupons, "
        f"{window.opens_at.date()} to {window.ends_at.date()}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
