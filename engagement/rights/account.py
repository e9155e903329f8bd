"""What HQ keeps of leases: an account per ledger file and campaign, a desk per ledger file, and what all leases come to."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from engagement.ids import AgentName, CampaignId
from engagement.rights.amount import NOTHING, Amount


@dataclass(frozen=True, slots=True)
class Account:
    """Totals of one ledger file's lease of one campaign, which only ever rise.

    ``returned`` never exceeds granted - used: what was given out cannot come back.
    """

    granted: Amount = NOTHING
    returned: Amount = NOTHING
    used: Amount = NOTHING

    def __add__(self, other: "Account") -> "Account":
        """Both together, as of two ledger files of one agent."""
        return Account(self.granted + other.granted, self.returned + other.returned, self.used + other.used)

    @property
    def outstanding(self) -> Amount:
        """What counts as gone from the budget, whether it was used or not."""
        return self.granted - self.returned

    @property
    def held(self) -> Amount:
        """What may still be given out."""
        return self.outstanding - self.used

    @property
    def owed(self) -> Amount:
        """What was given out without having been granted, as before HQ leased."""
        return self.used - self.outstanding


@dataclass(frozen=True, slots=True)
class LeaseDesk:
    """Where the requests of one ledger file are at: the last one's number, and its SHA-256.

    ``is_written_off``: an operator gave the machine up; all that it has counts as spent until it returns it itself.
    """

    number: int = 0
    request_sha256: bytes = b""
    is_written_off: bool = False


@dataclass(frozen=True, slots=True)
class CampaignTerms:
    """What the newest edition lets the whole chain give out; ``is_open``: neither stopped nor over."""

    budget: Amount
    liability_minor: int
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Books:
    """What a request of one ledger file is ruled on, and what it leaves behind.

    ``awaited``: agents that a restored HQ must hear before it grants anything; empty when it is not fenced. ``is_heard``:
    this agent is none of them in this incarnation. ``outstanding``: over all leases of all agents. ``is_given_up``: the
    agent was written off, and none of its ledger files has surrendered since; so one that HQ does not know is, too.
    """

    incarnation: str
    awaited: Set[AgentName] = frozenset()
    is_heard: bool = False
    desk: LeaseDesk = LeaseDesk()
    accounts: Mapping[CampaignId, Account] = field(default_factory=dict)
    outstanding: Mapping[CampaignId, Amount] = field(default_factory=dict)
    is_given_up: bool = False
