"""HQ's database of what HQ wants: branches, campaigns, stops, members; and what agents said last of themselves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.estate import Estate, EstateBranch
from engagement.ids import AgentName, BranchCode
from engagement.line.answers import AgentReport


class EstateMoved(Exception):
    """The estate was at another revision than the one that this was ruled on; nothing was kept."""


class EstateStore(Protocol):
    """What a method wrote is durable when it returns. An outline is that of engagement.estate.outline.

    Errors of every method: StorageBusy, StorageFailed.
    """

    async def outline(self) -> Estate:
        """The estate, each of its branches as an outline."""

    async def branches(self, codes: Collection[BranchCode]) -> Sequence[EstateBranch]:
        """Whole, in order of their codes; those that are not listed are left out."""

    async def former_branches(self) -> Sequence[Branch]:
        """Outlines of those that were dropped: their journals may still be on the way."""

    async def text(self) -> str:
        """The whole estate as JSON, of one instant."""

    async def numbers(self) -> Mapping[AgentName, int]:
        """Of every agent that was ever listed."""

    async def editions(self) -> Sequence[Campaign]:
        """Every edition that was ever published, in order of number and edition."""

    async def put(self, before: Estate, after: Estate, *, whole: Collection[BranchCode]) -> None:
        """Make ``after`` of ``before``. Of both, branches in ``whole`` are whole, all others outlines, of which at most
        ``changed`` is another. Errors: EstateMoved when the revision is not that of ``before``."""

    async def raise_revision(self, revision: int) -> None:
        """To this one, as the last change of everything; a higher one stays."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """``received_ms``: Unix ms of HQ's clock."""

    agent: AgentName
    report: AgentReport
    received_ms: int


class ReportStore(Protocol):
    """The last report of each agent. Errors of every method: StorageBusy, StorageFailed."""

    async def put_report(self, kept: KeptReport) -> None: ...

    async def reports(self) -> Sequence[KeptReport]:
        """In order of agents."""
