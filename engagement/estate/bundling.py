"""What of the estate one agent works from, and whether that has changed: its bundle and the bundle's sequence.

A campaign runs in the branches that fit it: same currency, the zone of its trigger, and listed where the branch lists any.
Stops go to every branch of the campaign's currency, also where it no longer runs: its coupons may be about there.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from engagement.campaign.model import Campaign
from engagement.estate.branch import Agent, Branch
from engagement.estate.bundle import Bundle
from engagement.estate.estate import Estate, EstateBranch
from engagement.ids import AgentName


class Place(NamedTuple):
    """Where an agent stands."""

    branch: EstateBranch
    agent: Agent


def places(estate: Estate) -> Mapping[AgentName, Place]:
    return {agent.name: Place(each, agent) for each in estate.branches for agent in each.branch.agents}


def bundle_for(estate: Estate, agent: AgentName) -> Bundle | None:
    """None when no branch lists the agent. Whoever asks for many keeps places()."""
    place = places(estate).get(agent)
    return bundle_at(estate, place) if place is not None else None


def bundle_at(estate: Estate, place: Place) -> Bundle:
    """The bundle of the agent at one of the estate's own places."""
    branch, agent = place.branch.branch, place.agent
    assert agent.number is not None
    currency_of = {campaign.id: campaign.offer.currency for campaign in estate.campaigns}
    return Bundle(
        version=1,
        sequence=sequence_of(estate, place.branch),
        agent=agent.name,
        agent_number=agent.number,
        branch=branch,
        campaigns=tuple(campaigns_in(branch, estate.campaigns)),
        tills=place.branch.access.tills,
        cashiers=place.branch.access.cashiers,
        members=estate.members,
        stops=tuple(stop for stop in estate.stops if currency_of[stop.campaign] == branch.currency),
        is_leased=True,
    )


def sequence_of(estate: Estate, branch: EstateBranch) -> int:
    """Of the bundles of the branch's agents: the revision that last changed anything in them."""
    return max(estate.changed, branch.changed)


def campaigns_in(branch: Branch, campaigns: Iterable[Campaign]) -> Iterable[Campaign]:
    """Those that run in the branch."""
    return (campaign for campaign in campaigns if runs_in(campaign, branch))


def runs_in(campaign: Campaign, branch: Branch) -> bool:
    is_listed = branch.campaigns is None or campaign.id in branch.campaigns
    return is_listed and misfit(campaign, branch) is None


def misfit(campaign: Campaign, branch: Branch) -> str | None:
    """Why the campaign cannot run in the branch, as the end of a sentence; None when it can."""
    if campaign.offer.currency != branch.currency:
        return f"it is in {campaign.offer.currency}, the branch in {branch.currency}"
    zone = campaign.trigger.zone
    if zone is not None and all(zone != each.name for each in branch.zones):
        return f"its trigger needs zone {zone!r}, which the branch lacks"
    return None
