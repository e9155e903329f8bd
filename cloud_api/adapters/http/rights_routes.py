"""Rights: what agents ask for and give back, and what HQ's people see and decide of it."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from cloud_api.adapters.http.models import Answering
from cloud_api.adapters.http.operations import Asked, Nothing, Operations, json_response, parsed
from cloud_api.adapters.http.parts import PARTS
from cloud_api.adapters.http.signed import arriving
from cloud_api.ports.rights import Lease
from cloud_api.services.lending import FenceView, Ledger
from engagement.ids import AgentName, CampaignId
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.messages import LeaseAnswer, LeaseRequest

RIGHTS_API = Operations()

# A request of ACCOUNTS_MAX accounts takes 50 kB, and its grant up to 64 kB, in JSON within JSON.
LEASE_BYTES_MAX = 256 * 1024


class FenceAnswer(Answering):
    is_fenced: Annotated[
        bool, Field(description="HQ was restored and grants nothing until it has heard all agents.")
    ]
    incarnation: Annotated[str, Field(description="Of HQ's database; another one after each restore.")]
    waiting_for: Annotated[
        list[AgentName], Field(description="Agents that must ask for rights, or be written off, first.")
    ]


class LeaseLine(Answering):
    """Totals of one ledger file of one agent."""

    agent: AgentName
    epoch: Annotated[str, Field(description="Of the agent's ledger file.")]
    granted: Amount
    returned: Amount
    used: Annotated[Amount, Field(description="Given out, as the agent last told when it asked for rights.")]
    held: Annotated[Amount, Field(description="granted - returned - used: what it may still give out.")]
    written_off: Annotated[Amount, Field(description="What it held, if it was written off: spent for HQ.")]
    issued: Annotated[Amount, Field(description="Given out, as far as the agent's journal has arrived.")]


class LeaseTotals(Answering):
    granted: Amount
    returned: Amount
    used: Amount
    held: Amount
    written_off: Amount
    issued: Amount


class LedgerAnswer(Answering):
    """Where a campaign's budget is; amounts are coupons and their worst case in minor units."""

    campaign: CampaignId
    edition: int
    currency: str
    budget: Amount
    free: Amount
    leases: list[LeaseLine]
    totals: LeaseTotals
    adds_up: Annotated[
        bool,
        Field(
            description="free + granted - returned over all leases is the budget, and no lease gave out more than it has."
        ),
    ]
    is_fenced: bool
    waiting_for: list[AgentName]


class WrittenOffAnswer(Answering):
    agent: AgentName
    is_fenced: bool
    waiting_for: list[AgentName]


@RIGHTS_API.serves(
    "POST",
    "/v1/agents/{agent}/leases",
    "Ask for rights, and give unused ones back",
    answers={200: LeaseAnswer},
    door="signature",
    body=LeaseRequest,
    problems={
        400: "not JSON",
        401: "unknown, revoked, or badly signed",
        403: "another agent's address",
        408: "the body came too slowly",
        409: "a copy of this ledger has asked before, or HQ wrote the machine off",
        413: "body too large",
        422: "fields that cannot be used",
        429: "busy: come again after slot_ms",
        503: "not certified yet, or nothing was kept, or it is not known: send the same again",
    },
)
async def lease(request: web.Request) -> web.StreamResponse:
    sender, body = await arriving(request, LEASE_BYTES_MAX)
    return json_response(await request.app[PARTS].lending.lease(sender, parsed(LeaseRequest, body), body))


@RIGHTS_API.asks(
    "GET",
    "/v1/ledger/{campaign}",
    "Where a campaign's budget is",
    answer=LedgerAnswer,
    body=Nothing,
    query=Nothing,
    problems={404: "no such campaign"},
)
async def ledger(asked: Asked[Nothing, Nothing]) -> LedgerAnswer:
    campaign = CampaignId(asked.request.match_info["campaign"])
    return _ledger(await asked.parts.lending.ledger(campaign))


@RIGHTS_API.asks(
    "GET",
    "/v1/fence",
    "Whether HQ was restored and waits for agents",
    answer=FenceAnswer,
    body=Nothing,
    query=Nothing,
)
async def fence(asked: Asked[Nothing, Nothing]) -> FenceAnswer:
    view = await asked.parts.lending.fence()
    return FenceAnswer(
        is_fenced=view.is_fenced, incarnation=view.incarnation, waiting_for=list(view.waiting_for)
    )


@RIGHTS_API.asks(
    "POST",
    "/v1/agents/{agent}/write-off",
    "Count all that an agent holds as spent, until its machine gives it back",
    answer=WrittenOffAnswer,
    body=Nothing,
    query=Nothing,
    problems={404: "no such agent"},
)
async def write_off(asked: Asked[Nothing, Nothing]) -> WrittenOffAnswer:
    agent = AgentName(asked.request.match_info["agent"])
    view: FenceView = await asked.parts.lending.write_off(agent, by=asked.user)
    return WrittenOffAnswer(agent=agent, is_fenced=view.is_fenced, waiting_for=list(view.waiting_for))


def _ledger(found: Ledger) -> LedgerAnswer:
    lines = [_line(each) for each in found.leases]
    return LedgerAnswer(
        campaign=found.campaign.id,
        edition=found.campaign.edition,
        currency=found.campaign.offer.currency,
        budget=found.budget,
        free=found.free,
        leases=lines,
        totals=LeaseTotals(
            **{
                name: sum((getattr(line, name) for line in lines), NOTHING)
                for name in LeaseTotals.model_fields
            }
        ),
        adds_up=found.adds_up,
        is_fenced=found.fence.is_fenced,
        waiting_for=list(found.fence.waiting_for),
    )


def _line(lease: Lease) -> LeaseLine:
    account = lease.account
    return LeaseLine(
        agent=lease.key.agent,
        epoch=lease.key.epoch,
        granted=account.granted,
        returned=account.returned,
        used=account.used,
        held=NOTHING if lease.is_written_off else account.held,
        written_off=account.held if lease.is_written_off else NOTHING,
        issued=lease.issued,
    )
