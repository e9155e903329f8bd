"""The chain as it was last read: branches and campaigns by their names. A file that cannot be used leaves the old one."""

import logging
from zoneinfo import ZoneInfo

from cloud_api.ports.chain import ChainRefused, ChainSource
from engagement.campaign.model import Campaign
from engagement.estate.branch import Agent, Branch
from engagement.estate.chain import Chain
from engagement.ids import AgentName, BranchCode

_LOG = logging.getLogger(__name__)


class ChainView:
    """``complaint``: why the file as it is now cannot be used; None while it can."""

    def __init__(self, source: ChainSource) -> None:
        self._source = source
        self._chain = Chain(version=1)
        self._branches: dict[BranchCode, Branch] = {}
        self.complaint: str | None = None

    def read_first(self) -> None:
        """Errors: ChainRefused."""
        self._take(self._source.read_if_changed())

    def refresh(self) -> None:
        """Look whether the file has changed."""
        try:
            changed = self._source.read_if_changed()
        except ChainRefused as refused:
            if self.complaint != str(refused):
                _LOG.error("the chain's file was refused, the old one stays", extra={"because": str(refused)})
            self.complaint = str(refused)
            return
        if changed is not None:
            _LOG.info("the chain's file was read", extra={"branches": len(changed.branches)})
        self._take(changed)

    def _take(self, chain: Chain | None) -> None:
        if chain is not None:
            self._chain = chain
            self._branches = {branch.code: branch for branch in chain.branches}
            self.complaint = None

    @property
    def branches(self) -> tuple[Branch, ...]:
        return self._chain.branches

    @property
    def campaigns(self) -> tuple[Campaign, ...]:
        return self._chain.campaigns

    def zone(self, code: BranchCode) -> ZoneInfo | None:
        branch = self._branches.get(code)
        return branch.zone_info if branch else None

    def agent(self, code: BranchCode, name: AgentName) -> Agent | None:
        """The agent as it is written down."""
        branch = self._branches.get(code)
        return next((agent for agent in branch.agents if agent.name == name), None) if branch else None
