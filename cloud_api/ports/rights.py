"""HQ's books of leases, as a Protocol and the values that pass."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from engagement.ids import AgentName, CampaignId
from engagement.journal.tip import Epoch
from engagement.rights.account import Account, Books
from engagement.rights.amount import Amount


class LeaseKey(NamedTuple):
    """One ledger file of one agent."""

    agent: AgentName
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Lease:
    """One ledger file's lease of one campaign. ``issued``: what its journal, as far as it has arrived, says was issued."""

    key: LeaseKey
    account: Account
    is_written_off: bool
    issued: Amount


@dataclass(frozen=True, slots=True)
class CampaignBooks:
    """``outstanding``: the sum that grants are ruled on; ``leases`` in order of agent and epoch."""

    outstanding: Amount
    leases: Sequence[Lease]


@dataclass(frozen=True, slots=True)
class AgentBooks:
    """``is_given_up``: it was written off, and has not surrendered since; ``leases``: of each campaign, in order of both."""

    is_given_up: bool
    leases: Sequence[tuple[CampaignId, Lease]]


@dataclass(frozen=True, slots=True)
class Fence:
    """``incarnation``: 32 hex digits, drawn when the database was made or restored. ``awaited``: as in Books."""

    incarnation: str
    awaited: Set[AgentName]


class Moved(Protocol):
    """A ruling that leaves books behind."""

    @property
    def books(self) -> Books: ...


M = TypeVar("M", bound=Moved)
# Every agent that HQ has reason to think of; asked for only while HQ is fenced.
Expected = Callable[[], Set[AgentName]]


class RightsStore(Protocol):
    """What a method wrote is durable when it returns.

    Errors of every method: StorageBusy, StorageFailed.
    """

    async def move(
        self, key: LeaseKey, campaigns: Set[CampaignId], rule: Callable[[Books], M], *, expected: Expected
    ) -> M:
        """Rule on one ledger file's books, and keep what that leaves, in one transaction.

        ``campaigns``: whose outstanding sums the rule needs, besides those of the file's own accounts.
        """

    async def give_up(self, agent: AgentName, *, expected: Expected) -> None:
        """All its leases are written off, and nobody waits for it any more."""

    async def fence(self, *, expected: Expected) -> Fence: ...

    async def campaign_books(self, campaign: CampaignId) -> CampaignBooks:
        """Of ledger files that have a lease, or a journal that tells of issues."""

    async def agent_books(self, agent: AgentName) -> AgentBooks: ...

    async def leasing_agents(self) -> Set[AgentName]:
        """Every agent that ever asked, or that a restore found."""

    async def holders(self) -> Set[AgentName]:
        """Agents that may still give something out, as far as HQ knows, and were not written off."""
