"""HQ's estate as the desk reaches it, in memory, under HQ's own rule; and a file of secrets that is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from engagement.estate.branch import Branch
from engagement.estate.changing import changed
from engagement.estate.estate import Change, Estate, StopCampaign
from engagement.estate.noting import AgentAtHq
from engagement.ids import BranchCode, CampaignId
from provisioning.ports import CampaignAtHq, HqEstate, HqMoved, HqRefused, HqSilent, Stopped
from provisioning.services.chain_secrets import ChainSecrets


@dataclass
class EstateAtHq(HqEstate):
    """``goes_silent``: the next change is taken, and its answer lost."""

    now: Estate = field(default_factory=Estate)
    goes_silent: bool = False
    asked: int = 0

    @override
    async def estate(self, like: Mapping[BranchCode, Branch]) -> Estate:
        self.asked += 1
        return self.now

    @override
    async def agents(self) -> Sequence[AgentAtHq]:
        return ()

    @override
    async def campaigns(self) -> Sequence[CampaignAtHq]:
        return ()

    @override
    async def change(self, change: Change) -> int:
        if change.base != self.now.revision:
            raise HqMoved(self.now.revision)
        after = changed(self.now, change, numbers={}, at_ms=0, by="hq")
        if isinstance(after, tuple):
            raise HqRefused("; ".join(after))
        self.now = after
        if self.goes_silent:
            self.goes_silent = False
            raise HqSilent("the line broke")
        return after.revision

    @override
    async def stop(self, campaign: CampaignId, *, honour_issued: bool) -> Stopped:
        step = StopCampaign(campaign=campaign, honour_issued=honour_issued)
        revision = await self.change(Change(base=self.now.revision, steps=(step,)))
        (stop,) = (each for each in self.now.stops if each.campaign == campaign)
        return Stopped(revision, stop.honour_issued)


@dataclass
class SecretsInMemory:
    known: ChainSecrets = field(default_factory=ChainSecrets)

    def read(self) -> ChainSecrets:
        return self.known

    def write(self, known: ChainSecrets) -> None:
        self.known = known
