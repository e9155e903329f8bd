"""The estate at hand: branches as outlines, campaigns and stops by their names, as the last change left them.

What is whole (beacons, tills, access) stays in the database. A branch that was dropped keeps its calendar, for its
journals may still be on the way.
"""

import asyncio
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from cloud_api.ports.estate import EstateStore
from engagement.campaign.model import Campaign
from engagement.estate.branch import Agent, Branch
from engagement.estate.bundle import CampaignStop
from engagement.estate.bundling import Place, places, sequence_of
from engagement.estate.estate import Estate
from engagement.ids import AgentName, BranchCode, CampaignId


class EstateView:
    """``branches``: in order of their codes; ``turn``: held while what is stored and what is at hand may differ."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._estate = Estate()
        self.branches: tuple[Branch, ...] = ()
        self._branches: Mapping[BranchCode, Branch] = {}
        self._former: dict[BranchCode, Branch] = {}
        self._places: Mapping[AgentName, Place] = {}
        self._stops: Mapping[CampaignId, CampaignStop] = {}

    async def load(self, store: EstateStore) -> None:
        """Errors: StorageFailed."""
        self.take(await store.outline())
        self._former = {branch.code: branch for branch in await store.former_branches()}

    def take(self, estate: Estate) -> None:
        """From now on this, whose branches are outlines."""
        self._former |= self._branches
        self._estate = estate
        self.branches = tuple(each.branch for each in estate.branches)
        self._branches = {branch.code: branch for branch in self.branches}
        self._places = places(estate)
        self._stops = {stop.campaign: stop for stop in estate.stops}
        for code in self._branches:
            self._former.pop(code, None)

    @property
    def estate(self) -> Estate:
        return self._estate

    @property
    def revision(self) -> int:
        return self._estate.revision

    @property
    def campaigns(self) -> tuple[Campaign, ...]:
        """The newest edition of each that was ever published, in order of their numbers."""
        return self._estate.campaigns

    def stop_of(self, campaign: CampaignId) -> CampaignStop | None:
        return self._stops.get(campaign)

    def zone(self, code: BranchCode) -> ZoneInfo | None:
        """The branch's calendar; None when there never was such a branch."""
        branch = self._branches.get(code) or self._former.get(code)
        return branch.zone_info if branch else None

    def place(self, agent: AgentName) -> Place | None:
        """Where the agent stands; None when no branch lists it."""
        return self._places.get(agent)

    def agent(self, code: BranchCode, name: AgentName) -> Agent | None:
        """The agent, if it stands in this branch."""
        place = self._places.get(name)
        return place.agent if place is not None and place.branch.branch.code == code else None

    def bundle_sequence(self, agent: AgentName) -> int | None:
        """Of the agent's newest bundle."""
        place = self._places.get(agent)
        return sequence_of(self._estate, place.branch) if place is not None else None
