"""Lends rights to agents, writes off what dead ones hold, and tells where each campaign's budget is.

The rule is engagement.rights.lending's. Here it is given what it needs: the request's proof opened, the budgets as the
estate has them, and the agents that a restored HQ must hear of.
"""

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from cloud_api.ports.machine import Clock, Entropy
from cloud_api.ports.rights import AgentBooks, Lease, LeaseKey, RightsStore
from cloud_api.services.estate_view import EstateView
from cloud_api.services.refused import Refused
from cloud_api.services.registry import Registry
from engagement.campaign.model import Campaign
from engagement.clock.moment import to_ms
from engagement.ids import AgentName, CampaignId
from engagement.line.seal import Authority, SealKind, SealRefused, seal
from engagement.rights.account import CampaignTerms
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.lending import Asking, Lent, NotLent, lend
from engagement.rights.messages import Grant, LeaseAnswer, LeaseRequest
from engagement.rights.proof import grant_shown

_LOG = logging.getLogger(__name__)

# A restored HQ has heard an agent when that asks a second time.
_ASK_AGAIN_MS: Final = 1000
# Then others are waited for, which takes as long as somebody needs to see to them.
_OTHERS_MS: Final = 60_000
_INCARNATION_BYTES: Final = 16
# The greatest amount that travels; a budget beyond it is as good as none.
_MINOR_MAX: Final = 2**48 - 1


class Sealer(Protocol):
    """HQ's key, and the root that agents have pinned."""

    @property
    def authority(self) -> Authority | None: ...

    @property
    def root_pem(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FenceView:
    """``waiting_for``: agents that must ask for rights, or be written off, before HQ grants again; in order."""

    incarnation: str
    waiting_for: Sequence[AgentName]

    @property
    def is_fenced(self) -> bool:
        return bool(self.waiting_for)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where a campaign's budget is. ``outstanding``: the sum that grants are ruled on; ``free`` is the rest of the budget."""

    campaign: Campaign
    budget: Amount
    outstanding: Amount
    leases: Sequence[Lease]
    fence: FenceView

    @property
    def free(self) -> Amount:
        return self.budget - self.outstanding

    @property
    def adds_up(self) -> bool:
        """Whether what is free and what every lease has come to the budget, and no lease gave out more than it has."""
        leased = sum((lease.account.outstanding for lease in self.leases), NOTHING)
        return (
            self.free + leased == self.budget
            and leased == self.outstanding
            and all(lease.account.owed == NOTHING for lease in self.leases)
        )


class Lending:
    def __init__(
        self,
        *,
        store: RightsStore,
        registry: Registry,
        estate: EstateView,
        sealer: Sealer,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._store = store
        self._registry = registry
        self._estate = estate
        self._sealer = sealer
        self._clock = clock
        self._entropy = entropy

    async def lease(self, sender: AgentName, request: LeaseRequest, body: bytes) -> LeaseAnswer:
        """Rule on what an agent was shown to have sent; ``body``: as it came. Errors: Refused."""
        authority = self._sealer.authority
        if authority is None:
            raise Refused(
                "not_certified", "HQ's key is not certified yet; run `beckon hq certify` at the desk"
            )
        asking = Asking(
            agent=sender,
            request=request,
            request_sha256=sha256(body).digest(),
            proof=self._proof(sender, request),
            terms=self._terms(sender),
            active_agents=self._active_agents(),
            fresh_incarnation=self._entropy.token(_INCARNATION_BYTES).hex(),
        )
        ruled = await self._store.move(
            LeaseKey(sender, request.epoch),
            {each.campaign for each in request.accounts}
            | {each.campaign for each in (asking.proof.accounts if asking.proof else ())},
            lambda books: lend(books, asking),
            expected=self._expected,
        )
        if isinstance(ruled, NotLent):
            _LOG.warning(
                "a request for rights was refused", extra={"agent": sender, "code": ruled.fault.value}
            )
            raise Refused(ruled.fault.value, ruled.because)
        return self._answer(ruled, sender, authority)

    def _proof(self, sender: AgentName, request: LeaseRequest) -> Grant | None:
        """A grant that proves nothing counts as none: then HQ's own books stand."""
        try:
            return grant_shown(request, sender, root_pem=self._sealer.root_pem)
        except SealRefused as refused:
            _LOG.warning("a grant proves nothing", extra={"agent": sender, "because": str(refused)})
            return None

    def _answer(self, ruled: Lent, sender: AgentName, authority: Authority) -> LeaseAnswer:
        if ruled.unproven:
            _LOG.warning(
                "an agent says that it was granted more than it shows",
                extra={"agent": sender, "campaigns": list(ruled.unproven)},
            )
        slot_ms = 0
        if ruled.is_fenced:
            slot_ms = _OTHERS_MS if ruled.books.is_heard else _ASK_AGAIN_MS
        return LeaseAnswer(
            grant=seal(SealKind.GRANT, ruled.grant.model_dump_json(), authority),
            is_fenced=ruled.is_fenced,
            recalled=ruled.recalled,
            slot_ms=slot_ms,
        )

    async def write_off(self, agent: AgentName, *, by: str) -> FenceView:
        """Count all that the agent holds as spent, until the machine itself gives it back. Errors: Refused."""
        if agent not in self._expected() | await self._store.leasing_agents():
            raise Refused("agent_not_listed", f"HQ knows no agent {agent!r}")
        await self._store.give_up(agent, expected=self._expected)
        _LOG.warning("an agent's leases were written off", extra={"agent": agent, "by": by})
        return await self.fence()

    async def fence(self) -> FenceView:
        fence = await self._store.fence(expected=self._expected)
        return FenceView(fence.incarnation, sorted(fence.awaited))

    async def knows(self, agent: AgentName) -> bool:
        """Whether it ever asked for rights, or a restore found it."""
        return agent in await self._store.leasing_agents()

    async def holders(self) -> Set[AgentName]:
        """Agents whose rights count on budgets, and that may still use them."""
        return await self._store.holders()

    async def waiting_for(self) -> Sequence[AgentName]:
        return (await self.fence()).waiting_for

    async def ledger(self, campaign: CampaignId) -> Ledger:
        """Errors: Refused."""
        found = next((each for each in self._estate.campaigns if each.id == campaign), None)
        if found is None:
            raise Refused("campaign_unknown", f"HQ has no campaign {campaign!r}")
        books = await self._store.campaign_books(campaign)
        return Ledger(found, _budget(found), books.outstanding, books.leases, await self.fence())

    async def holdings(self, agent: AgentName) -> AgentBooks:
        """What one agent has of each campaign."""
        return await self._store.agent_books(agent)

    def _terms(self, agent: AgentName) -> Mapping[CampaignId, CampaignTerms]:
        """An agent that no branch lists is granted nothing; what it holds may come back."""
        is_listed, now_ms = self._estate.place(agent) is not None, self._clock.now_ms()
        return {
            campaign.id: CampaignTerms(
                _budget(campaign),
                campaign.offer.liability_minor,
                is_open=is_listed
                and self._estate.stop_of(campaign.id) is None
                and now_ms <= to_ms(campaign.window.ends_at),
            )
            for campaign in self._estate.campaigns
        }

    def _active_agents(self) -> int:
        return max(1, sum(known.state == "active" for known in self._registry.all()))

    def _expected(self) -> Set[AgentName]:
        listed = {agent.name for branch in self._estate.branches for agent in branch.agents}
        return listed | {known.name for known in self._registry.all()}


def _budget(campaign: Campaign) -> Amount:
    return Amount(units=campaign.budget.units, minor=min(campaign.budget.spend_minor, _MINOR_MAX))
