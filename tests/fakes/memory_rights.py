"""HQ's books of leases in memory: the same contract as the database's, for tests of services and for the simulation."""

from collections.abc import Callable, Mapping, Set
from copy import deepcopy
from dataclasses import dataclass, field, replace

from cloud_api.ports.rights import AgentBooks, CampaignBooks, Expected, Fence, Lease, LeaseKey, M
from engagement.ids import AgentName, CampaignId
from engagement.journal.event import Lane
from engagement.rights.account import Account, Books, LeaseDesk
from engagement.rights.amount import NOTHING, Amount
from tests.fakes.memory_storage import MemoryStorage

Issued = Mapping[CampaignId, Mapping[LeaseKey, Amount]]


@dataclass
class RightsFile:
    """What is on the disk; ``copy()`` is a backup of it."""

    incarnation: str
    is_fenced: bool = False
    heard_in: dict[AgentName, str] = field(default_factory=dict)
    given_up: set[AgentName] = field(default_factory=set)
    desks: dict[LeaseKey, LeaseDesk] = field(default_factory=dict)
    accounts: dict[LeaseKey, dict[CampaignId, Account]] = field(default_factory=dict)
    outstanding: dict[CampaignId, Amount] = field(default_factory=dict)

    def copy(self) -> "RightsFile":
        return deepcopy(self)

    def restored(self, incarnation: str) -> "RightsFile":
        """As a restore puts it back."""
        return replace(self.copy(), incarnation=incarnation, is_fenced=True)

    def awaited(self, expected: Expected) -> Set[AgentName]:
        if not self.is_fenced:
            return frozenset()
        return {
            agent for agent in expected() | set(self.heard_in) if self.heard_in.get(agent) != self.incarnation
        }

    def books(self, key: LeaseKey, expected: Expected) -> Books:
        return Books(
            incarnation=self.incarnation,
            awaited=self.awaited(expected),
            is_heard=self.heard_in.get(key.agent) == self.incarnation,
            desk=self.desks.get(key, LeaseDesk()),
            accounts=dict(self.accounts.get(key, {})),
            outstanding=dict(self.outstanding),
            is_given_up=key.agent in self.given_up,
        )

    def keep(self, key: LeaseKey, books: Books) -> None:
        self.incarnation = books.incarnation
        self.is_fenced = bool(books.awaited)
        self.heard_in[key.agent] = books.incarnation if books.is_heard else ""
        self.desks[key] = books.desk
        self.accounts[key] = dict(books.accounts)
        self.outstanding |= books.outstanding
        if not books.is_given_up:
            self.given_up.discard(key.agent)

    def give_up(self, agent: AgentName, expected: Expected) -> None:
        self.desks |= {
            key: replace(desk, is_written_off=True) for key, desk in self.desks.items() if key.agent == agent
        }
        self.given_up.add(agent)
        self.heard_in[agent] = self.incarnation
        self.is_fenced = bool(self.awaited(expected))


class MemoryRights:
    """A RightsStore; nothing in it awaits, so it keeps virtual time. ``issued``: what journals say."""

    def __init__(self, incarnation: str = "0" * 32, issued: Callable[[], Issued] = dict) -> None:
        self.file = RightsFile(incarnation)
        self.issued = issued

    async def move(
        self, key: LeaseKey, campaigns: Set[CampaignId], rule: Callable[[Books], M], *, expected: Expected
    ) -> M:
        books = self.file.books(key, expected)
        needed = campaigns | set(books.accounts)
        sums = {each: sum_ for each, sum_ in books.outstanding.items() if each in needed}
        books = replace(books, outstanding=sums)
        moved = rule(books)
        if moved.books != books:
            self.file.keep(key, moved.books)
        return moved

    async def give_up(self, agent: AgentName, *, expected: Expected) -> None:
        self.file.give_up(agent, expected)

    async def fence(self, *, expected: Expected) -> Fence:
        return Fence(self.file.incarnation, self.file.awaited(expected))

    async def campaign_books(self, campaign: CampaignId) -> CampaignBooks:
        issued = self.issued().get(campaign, {})
        held = {
            key: accounts[campaign] for key, accounts in self.file.accounts.items() if campaign in accounts
        }
        leases = [
            Lease(
                key,
                held.get(key, Account()),
                self.file.desks.get(key, LeaseDesk()).is_written_off,
                issued.get(key, NOTHING),
            )
            for key in sorted({*held, *issued})
        ]
        return CampaignBooks(self.file.outstanding.get(campaign, NOTHING), leases)

    async def agent_books(self, agent: AgentName) -> AgentBooks:
        campaigns = {*self.issued(), *(each for accounts in self.file.accounts.values() for each in accounts)}
        leases = [
            (campaign, lease)
            for campaign in sorted(campaigns)
            for lease in (await self.campaign_books(campaign)).leases
            if lease.key.agent == agent
        ]
        return AgentBooks(agent in self.file.given_up, leases)

    async def leasing_agents(self) -> Set[AgentName]:
        return set(self.file.heard_in)

    async def holders(self) -> Set[AgentName]:
        return {
            key.agent
            for key, accounts in self.file.accounts.items()
            if not self.file.desks.get(key, LeaseDesk()).is_written_off
            and any(account.held != NOTHING for account in accounts.values())
        }


def issues_in(storage: MemoryStorage) -> Issued:
    """What the journals that arrived say was issued."""
    found: dict[CampaignId, dict[LeaseKey, Amount]] = {}
    for key, lane in storage.stored.items():
        if key.lane is not Lane.MONEY:
            continue
        for line in lane.money:
            if line.what == "coupon_issued" and line.campaign is not None:
                sums = found.setdefault(line.campaign, {})
                lease = LeaseKey(key.agent, key.epoch)
                sums[lease] = sums.get(lease, NOTHING) + Amount(units=1, minor=line.amount_minor)
    return found
