"""What HQ's people and their programs ask for, once signed in."""

from datetime import datetime

from aiohttp import web

from cloud_api.adapters.http import models
from cloud_api.adapters.http.doors import forget_session, keep_session, token_of
from cloud_api.adapters.http.operations import Asked, Nothing, Operations, json_response
from cloud_api.adapters.http.problems import Problem
from cloud_api.ports.storage import MoneyLine
from cloud_api.services.overview import AgentView, CouponView
from cloud_api.services.refused import Refused
from cloud_api.services.signing_in import SESSION_MS
from engagement.clock.moment import from_ms
from engagement.estate.bundle import CampaignStop
from engagement.ids import AgentName
from engagement.line.claim import is_address
from engagement.refusal.refusal import Refusal

HQ_API = Operations()


@HQ_API.asks(
    "POST",
    "/v1/sessions",
    "Sign in",
    answer=models.SessionAnswer,
    body=models.SessionRequest,
    query=Nothing,
    door="nobody",
    problems={401: "user or password is wrong", 429: "too many wrong passwords"},
)
async def sign_in(asked: Asked[models.SessionRequest, Nothing]) -> web.StreamResponse:
    signed_in = await asked.parts.signing_in.sign_in(asked.body.user, asked.body.password)
    response = json_response(
        models.SessionAnswer(token=signed_in.token, expires_at=from_ms(signed_in.expires_ms))
    )
    keep_session(response, signed_in.token, max_age_s=SESSION_MS // 1000)
    return response


@HQ_API.asks("DELETE", "/v1/sessions", "Sign out", answer=None, body=Nothing, query=Nothing)
async def sign_out(asked: Asked[Nothing, Nothing]) -> web.StreamResponse:
    await asked.parts.signing_in.sign_out(token_of(asked.request))
    response = web.Response(status=204)
    forget_session(response)
    return response


@HQ_API.asks(
    "POST",
    "/v1/claims",
    "Make a claim code for a new machine",
    answer=models.ClaimAnswer,
    body=models.ClaimRequest,
    query=Nothing,
    problems={
        404: "no such agent in the inventory",
        409: "the agent's number is taken",
        503: "HQ is not certified yet",
    },
)
async def make_claim(asked: Asked[models.ClaimRequest, Nothing]) -> models.ClaimAnswer:
    made = await asked.parts.enrolling.make_claim(
        asked.body.branch, asked.body.agent, address=_own_address(asked)
    )
    return models.ClaimAnswer(claim_code=made.text, expires_at=from_ms(made.expires_ms))


def _own_address(asked: Asked[models.ClaimRequest, Nothing]) -> str:
    """Where agents find HQ: where the setting says, else where this request found it. Errors: Problem 400."""
    host = (asked.parts.public_url or f"https://{asked.request.host}").removeprefix("https://")
    address = host.lower().removesuffix(":443")
    if not is_address(address):
        raise Problem(
            400,
            "no_address",
            "No address for the agent",
            "Set public_url, or send a Host header that is one.",
        )
    return address


@HQ_API.asks("GET", "/v1/branches", "All branches", answer=models.BranchesAnswer, body=Nothing, query=Nothing)
async def branches(asked: Asked[Nothing, Nothing]) -> models.BranchesAnswer:
    return models.BranchesAnswer(
        branches=[
            models.BranchAnswer(
                code=branch.code,
                name=branch.name,
                time_zone=branch.time_zone,
                currency=branch.currency,
                agents=[agent.name for agent in branch.agents],
            )
            for branch in asked.parts.overview.branches()
        ]
    )


@HQ_API.asks(
    "GET",
    "/v1/agents",
    "All agents, and how far each is",
    answer=models.AgentsAnswer,
    body=Nothing,
    query=Nothing,
)
async def agents(asked: Asked[Nothing, Nothing]) -> models.AgentsAnswer:
    return models.AgentsAnswer(agents=[_agent(view) for view in await asked.parts.overview.agents()])


@HQ_API.asks(
    "GET",
    "/v1/agents/{agent}",
    "One agent, and how far it is",
    answer=models.AgentAnswer,
    body=Nothing,
    query=Nothing,
    problems={404: "no branch lists it, and it never had a claim"},
)
async def agent(asked: Asked[Nothing, Nothing]) -> models.AgentAnswer:
    name = AgentName(asked.request.match_info["agent"])
    view = await asked.parts.overview.agent(name)
    if view is None:
        raise Refused("agent_not_listed", f"there is no agent {name!r}")
    return _agent(view)


@HQ_API.asks(
    "GET", "/v1/campaigns", "All campaigns", answer=models.CampaignsAnswer, body=Nothing, query=Nothing
)
async def campaigns(asked: Asked[Nothing, Nothing]) -> models.CampaignsAnswer:
    return models.CampaignsAnswer(
        campaigns=[
            models.CampaignAnswer(
                id=campaign.id,
                name=campaign.name,
                trigger=campaign.trigger.on,
                state=state,
                edition=campaign.edition,
                currency=campaign.offer.currency,
                stopped=_stop(asked.parts.overview.stop_of(campaign.id)),
            )
            for campaign, state in asked.parts.overview.campaigns()
        ]
    )


@HQ_API.asks(
    "GET",
    "/v1/reports/funnel",
    "From detected to redeemed, per campaign",
    answer=models.FunnelAnswer,
    body=Nothing,
    query=models.FunnelQuery,
)
async def funnel(asked: Asked[Nothing, models.FunnelQuery]) -> models.FunnelAnswer:
    query, overview = asked.query, asked.parts.overview
    currencies = {campaign.id: campaign.offer.currency for campaign, _ in overview.campaigns()}
    return models.FunnelAnswer(
        first=query.first,
        last=query.last,
        campaigns=[
            models.FunnelAnswerLine(
                campaign=line.campaign,
                detected=line.detected,
                shown=line.shown,
                claimed=line.claimed,
                redeemed=line.redeemed,
                won=line.won,
                claimed_minor=line.claimed_minor,
                redeemed_minor=line.redeemed_minor,
                currency=currencies[line.campaign],
            )
            for line in await overview.funnel(query.first, query.last, branch=query.branch)
        ],
    )


@HQ_API.asks(
    "GET",
    "/v1/coupons/{code}",
    "One coupon's life, by its short code or QR text",
    answer=models.CouponAnswer,
    body=Nothing,
    query=Nothing,
    problems={404: "no coupon has this code, as far as HQ knows"},
)
async def coupon(asked: Asked[Nothing, Nothing]) -> models.CouponAnswer:
    found = await asked.parts.overview.coupon(asked.request.match_info["code"])
    if isinstance(found, Refusal):
        raise Problem(
            404,
            found.reason.value,
            "No coupon has this code",
            "HQ knows a coupon once its store has sent it; look at the agent's last contact.",
        )
    return _coupon(found)


def _stop(stop: CampaignStop | None) -> models.StopAnswer | None:
    if stop is None:
        return None
    return models.StopAnswer(at=from_ms(stop.at_ms), by=stop.by, honour_issued=stop.honour_issued)


def _agent(view: AgentView) -> models.AgentAnswer:
    kept = view.report
    report = kept.report if kept is not None else None
    return models.AgentAnswer(
        name=view.name,
        branch=view.branch,
        number=view.number,
        state=view.state,
        enrolled_at=_at(view.enrolled_ms),
        last_contact_at=_at(view.last_contact_ms),
        public_key_hex=view.public_key.hex() if view.public_key is not None else None,
        backlog=report.backlog if report else None,
        status=report.status if report else None,
        issues=list(report.issues) if report else None,
        bundle_sequence=report.bundle_sequence if report else None,
        bundle_wanted=view.bundle_wanted,
        version=report.version if report else None,
        reported_at=from_ms(kept.received_ms) if kept else None,
        dead_letters=sum(lane.letters for lane in view.lanes),
        lanes=[
            models.LaneAnswer(
                lane=lane.key.lane,
                epoch=lane.key.epoch,
                mark=lane.seq,
                received_at=from_ms(lane.received_ms),
                dead_letters=lane.letters,
            )
            for lane in view.lanes
        ],
    )


def _coupon(view: CouponView) -> models.CouponAnswer:
    issued = next((line for line in view.lines if line.what == "coupon_issued"), view.lines[0])
    return models.CouponAnswer(
        coupon=view.coupon,
        state=view.standing,
        campaign=issued.campaign,
        branch=view.agent.branch,
        agent=view.agent.name,
        currency=issued.currency,
        not_after=_at(issued.not_after_ms),
        timeline=[_step(line) for line in view.lines],
        earlier=list(view.earlier),
    )


# The words of the stores' own timelines.
_STEPS = {"coupon_issued": "issued", "coupon_redeemed": "redeemed", "redemption_undone": "undone"}


def _step(line: MoneyLine) -> models.TimelineStep:
    return models.TimelineStep(
        what=_STEPS.get(line.what, line.what),
        at=from_ms(line.at_ms),
        amount_minor=line.amount_minor,
        order=line.order_id,
        redemption=line.redemption,
        till=line.till,
        cashier=line.by_whom,
    )


def _at(instant_ms: int | None) -> datetime | None:
    return None if instant_ms is None else from_ms(instant_ms)
