"""HQ's rights as agents see them: HQ's own rules over books in memory, real seals, and lines that are calm or stormy."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from cloud_api.ports.rights import LeaseKey
from edge_agent.ports import LeaseRefused, Treasury
from engagement.campaign.model import Campaign
from engagement.ids import AgentName, CampaignId
from engagement.line.seal import SealKind, seal
from engagement.rights.account import Account, Books, CampaignTerms
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.lending import Asking, Lent, NotLent, lend
from engagement.rights.messages import LeaseAnswer, LeaseRequest
from engagement.rights.proof import grant_shown
from tests.fakes.hq_authority import HandSealing, make_sealing
from tests.fakes.memory_rights import RightsFile
from tests.fakes.storm import Storm

_FENCED_SLOT_MS = 2000


def terms_of(campaign: Campaign) -> CampaignTerms:
    budget = Amount(units=campaign.budget.units, minor=campaign.budget.spend_minor)
    return CampaignTerms(budget, campaign.offer.liability_minor)


class LeaseHq:
    """``agents``: all that HQ knows; ``asked``: every request that came in, in order."""

    def __init__(self, campaigns: Iterable[Campaign], agents: Iterable[AgentName]) -> None:
        self.terms = {campaign.id: terms_of(campaign) for campaign in campaigns}
        self.agents = frozenset(agents)
        self.sealing: HandSealing = make_sealing()
        self.file = RightsFile("0" * 32)
        self.asked: list[LeaseRequest] = []
        self._backups: list[RightsFile] = []
        self._incarnations = 0

    def lease(self, agent: AgentName, body: bytes) -> LeaseAnswer:
        """Errors: LeaseRefused."""
        request = LeaseRequest.model_validate_json(body)
        self.asked.append(request)
        key = LeaseKey(agent, request.epoch)
        ruled = self._ruled(self.file.books(key, lambda: self.agents), agent, request, body)
        self.file.keep(key, ruled.books)
        if isinstance(ruled, NotLent):
            raise LeaseRefused(ruled.fault.value, ruled.because)
        assert self.sealing.authority is not None
        return LeaseAnswer(
            grant=seal(SealKind.GRANT, ruled.grant.model_dump_json(), self.sealing.authority),
            is_fenced=ruled.is_fenced,
            recalled=ruled.recalled,
            slot_ms=_FENCED_SLOT_MS if ruled.is_fenced else 0,
        )

    def _ruled(self, books: Books, agent: AgentName, request: LeaseRequest, body: bytes) -> Lent | NotLent:
        return lend(
            books,
            Asking(
                agent=agent,
                request=request,
                request_sha256=sha256(body).digest(),
                proof=grant_shown(request, agent, root_pem=self.sealing.root_pem),
                terms=self.terms,
                active_agents=len(self.agents),
                fresh_incarnation=self._incarnation(),
            ),
        )

    def _incarnation(self) -> str:
        self._incarnations += 1
        return f"{self._incarnations:032x}"

    @property
    def is_fenced(self) -> bool:
        return bool(self.file.awaited(lambda: self.agents))

    def give_up(self, agent: AgentName) -> None:
        self.file.give_up(agent, lambda: self.agents)

    def back_up(self) -> None:
        self._backups.append(self.file.copy())

    def restore(self) -> None:
        """Everything since the last backup is forgotten, which a restore says."""
        if self._backups:
            self.file = self._backups[-1].restored(self._incarnation())

    def account(self, agent: AgentName, campaign: CampaignId) -> Account:
        """All of the agent's ledger files together."""
        held = [
            accounts[campaign]
            for key, accounts in self.file.accounts.items()
            if key.agent == agent and campaign in accounts
        ]
        sums = [
            sum((getattr(each, name) for each in held), NOTHING) for name in ("granted", "returned", "used")
        ]
        return Account(*sums)

    def free(self, campaign: CampaignId) -> Amount:
        return self.terms[campaign].budget - self.file.outstanding.get(campaign, NOTHING)


@dataclass
class CalmTreasury(Treasury):
    """``trouble``: raised instead of an answer while it is set; ``on_answer`` may change what HQ said."""

    hq: LeaseHq
    agent: AgentName
    trouble: Callable[[], Exception | None] = lambda: None
    on_answer: Callable[[LeaseAnswer], LeaseAnswer] = lambda answer: answer
    takes_s: float = 0.05
    asked_at_s: list[float] = field(default_factory=list)

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        self.asked_at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes_s)
        if (trouble := self.trouble()) is not None:
            raise trouble
        return self.on_answer(self.hq.lease(self.agent, request.model_dump_json().encode()))


class StormyTreasury(Treasury):
    """``storm`` decides what becomes of each request."""

    def __init__(self, hq: LeaseHq, agent: AgentName, storm: Storm) -> None:
        self._hq = hq
        self._agent = agent
        self._storm = storm

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        body = request.model_dump_json().encode()
        return await self._storm.carry(lambda: self._hq.lease(self._agent, body))
