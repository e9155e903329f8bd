"""HQ's estate and its agents' reports in memory: the same contract as the database's."""

from collections.abc import Collection, Mapping, Sequence

from cloud_api.ports.estate import EstateMoved, EstateStore, KeptReport, ReportStore
from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.estate import Estate, EstateBranch
from engagement.estate.outline import outline_of
from engagement.ids import AgentName, BranchCode, CampaignId


class MemoryEstate(EstateStore):
    """Nothing in it awaits, so it keeps virtual time."""

    def __init__(self, whole: Estate | None = None) -> None:
        self.whole = Estate()
        self._former: dict[BranchCode, Branch] = {}
        self._numbers: dict[AgentName, int] = {}
        self._editions: dict[tuple[CampaignId, int], Campaign] = {}
        if whole is not None:
            self._take(self.whole, whole, [each.branch.code for each in whole.branches])

    @property
    def outlined(self) -> Estate:
        branches = tuple(outline_of(each) for each in self.whole.branches)
        return self.whole.model_copy(update={"branches": branches})

    async def outline(self) -> Estate:
        return self.outlined

    async def branches(self, codes: Collection[BranchCode]) -> Sequence[EstateBranch]:
        return [each for each in self.whole.branches if each.branch.code in codes]

    async def former_branches(self) -> Sequence[Branch]:
        return [self._former[code] for code in sorted(self._former)]

    async def text(self) -> str:
        return self.whole.model_dump_json()

    async def numbers(self) -> Mapping[AgentName, int]:
        return dict(self._numbers)

    async def editions(self) -> Sequence[Campaign]:
        return sorted(self._editions.values(), key=lambda campaign: (campaign.number, campaign.edition))

    async def put(self, before: Estate, after: Estate, *, whole: Collection[BranchCode]) -> None:
        if before.revision != self.whole.revision:
            raise EstateMoved(f"the estate is not at revision {before.revision}")
        self._take(self.whole, after, whole)

    def _take(self, before: Estate, after: Estate, whole: Collection[BranchCode]) -> None:
        mine = {each.branch.code: each for each in before.branches}
        branches = tuple(
            each
            if each.branch.code in whole
            else mine[each.branch.code].model_copy(update={"changed": each.changed})
            for each in after.branches
        )
        self.whole = after.model_copy(update={"branches": branches})
        listed = {each.branch.code for each in branches}
        self._former |= {code: outline_of(mine[code]).branch for code in mine.keys() - listed}
        for each in branches:
            self._former.pop(each.branch.code, None)
            for agent in each.branch.agents:
                assert agent.number is not None
                self._numbers[agent.name] = agent.number
        self._editions |= {(each.id, each.edition): each for each in after.campaigns}

    async def raise_revision(self, revision: int) -> None:
        if self.whole.revision < revision:
            self.whole = self.whole.model_copy(update={"revision": revision, "changed": revision})


class MemoryReports(ReportStore):
    def __init__(self) -> None:
        self._kept: dict[AgentName, KeptReport] = {}

    async def put_report(self, kept: KeptReport) -> None:
        self._kept[kept.agent] = kept

    async def reports(self) -> Sequence[KeptReport]:
        return [self._kept[agent] for agent in sorted(self._kept)]
