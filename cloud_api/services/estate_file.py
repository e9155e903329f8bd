"""The estate's file, for a home whose desk writes one: what it says becomes a change like any other, under the same rule.

A file that cannot be used, or says what may not be, leaves the estate as it is. Access is not in the file; a branch keeps
what it has.
"""

import logging
from collections.abc import Sequence

from cloud_api.ports.chain import ChainRefused, ChainSource
from cloud_api.ports.estate import EstateStore
from cloud_api.ports.storage import StorageBusy
from cloud_api.services.changing import ChangeRefused, Changing
from engagement.estate.chain import Chain
from engagement.estate.estate import DropBranch, Estate, PublishCampaign, PutBranch, Step

_LOG = logging.getLogger(__name__)
_BY = "estate file"


class EstateFile:
    """``complaint``: why the file as it is now cannot be used; None while it can."""

    def __init__(self, source: ChainSource, store: EstateStore, changing: Changing) -> None:
        self._source = source
        self._store = store
        self._changing = changing
        self._waiting: Chain | None = None
        self.complaint: str | None = None

    async def read_first(self) -> None:
        """Errors: ChainRefused; StorageBusy; StorageFailed."""
        self._waiting = self._source.read_if_changed()
        await self._take()

    async def refresh(self) -> None:
        """Look whether the file has changed; while the disk is full it waits. Errors: StorageFailed."""
        try:
            self._waiting = self._source.read_if_changed() or self._waiting
            await self._take()
        except StorageBusy:
            return
        except ChainRefused as refused:
            if self.complaint != str(refused):
                _LOG.error(
                    "the estate's file was refused, the old one stays", extra={"because": str(refused)}
                )
            self.complaint = str(refused)

    async def _take(self) -> None:
        chain = self._waiting
        if chain is None:
            return
        codes = {branch.code for branch in chain.branches}
        access = {each.branch.code: each.access for each in await self._store.branches(codes)}

        def steps(estate: Estate) -> Sequence[Step]:
            gone = (each.branch.code for each in estate.branches if each.branch.code not in codes)
            return (
                *(DropBranch(code=code) for code in gone),
                *(
                    PutBranch(branch=branch, access=access[branch.code])
                    if branch.code in access
                    else PutBranch(branch=branch)
                    for branch in chain.branches
                ),
                *(PublishCampaign(campaign=campaign) for campaign in chain.campaigns),
            )

        try:
            await self._changing.revise(steps, by=_BY)
        except ChangeRefused as refused:
            self._waiting = None
            raise ChainRefused("\n".join(f"estate: {each}" for each in refused.complaints)) from refused
        self._waiting, self.complaint = None, None
