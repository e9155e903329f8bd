"""What agents ask for: to be enrolled, to have their batches and reports taken, and their bundles."""

from aiohttp import web

from cloud_api.adapters.http.operations import (
    Asked,
    Nothing,
    Operations,
    json_response,
)
from cloud_api.adapters.http.parts import PARTS
from cloud_api.adapters.http.problems import Problem
from cloud_api.adapters.http.signed import arriving, signed
from engagement.line.addresses import BATCH_BYTES_MAX, BATCH_ENCODING, BATCH_TYPE, ENROLMENTS_PATH
from engagement.line.answers import (
    AgentReport,
    BatchAnswer,
    EnrolmentAnswer,
    EnrolmentRequest,
    ReportAnswer,
)
from engagement.line.seal import Sealed

AGENT_API = Operations()


@AGENT_API.asks(
    "POST",
    ENROLMENTS_PATH,
    "Become an agent, by a claim code",
    answer=EnrolmentAnswer,
    body=EnrolmentRequest,
    query=Nothing,
    door="nobody",
    problems={
        403: "unknown or expired claim, or a wrong proof",
        409: "the claim was used",
        503: "HQ is not certified yet: come again",
    },
)
async def enrol(asked: Asked[EnrolmentRequest, Nothing]) -> EnrolmentAnswer:
    return await asked.parts.enrolling.enrol(asked.body)


@AGENT_API.serves(
    "POST",
    "/v1/agents/{agent}/batches",
    "Send journal entries",
    answers={200: BatchAnswer},
    door="signature",
    body=BATCH_TYPE,
    problems={
        400: "no batch, or not packed",
        401: "unknown, revoked, or badly signed",
        403: "another agent's batch",
        408: "the body came too slowly",
        409: "a gap, or another history",
        413: "body too large",
        415: "another type or packing",
        422: "words that HQ does not know",
        429: "busy: come again after slot_ms",
        503: "nothing was kept, or it is not known: send it again",
    },
)
async def take_batch(request: web.Request) -> web.StreamResponse:
    """Room first: when there is none, the body is never read."""
    parts = request.app[PARTS]
    _demand_kind(request)
    sender, body = await arriving(request, BATCH_BYTES_MAX)
    with parts.ingesting.a_place():
        return json_response(await parts.ingesting.take(sender, body))


@AGENT_API.serves(
    "POST",
    "/v1/agents/{agent}/reports",
    "Say how the agent is, and learn which bundle it should have",
    answers={200: ReportAnswer},
    door="signature",
    body=AgentReport,
    problems={
        400: "not JSON",
        401: "unknown, revoked, or badly signed",
        403: "another agent's address",
        408: "the body came too slowly",
        413: "body too large",
        422: "fields that cannot be used",
        429: "busy: come again after slot_ms",
        503: "the report was not kept: come again",
    },
)
async def take_report(request: web.Request) -> web.StreamResponse:
    sender, report = await signed(request, AgentReport)
    return json_response(await request.app[PARTS].reporting.take(sender, report))


@AGENT_API.serves(
    "GET",
    "/v1/agents/{agent}/bundle",
    "The agent's newest bundle, sealed",
    answers={200: Sealed},
    door="signature",
    problems={
        401: "unknown, revoked, or badly signed",
        403: "another agent's bundle",
        404: "no branch lists the agent",
        408: "the body came too slowly",
        413: "a body, where there is none",
        429: "busy: come again after slot_ms",
        503: "HQ is not certified yet, or is restarting",
    },
)
async def give_bundle(request: web.Request) -> web.StreamResponse:
    sender, _ = await arriving(request, 0)
    sealed = await request.app[PARTS].bundling.sealed(sender)
    return web.Response(text=sealed, content_type="application/json")


def _demand_kind(request: web.Request) -> None:
    encoding = request.headers.get("Content-Encoding", "")
    if request.content_type != BATCH_TYPE or encoding != BATCH_ENCODING:
        raise Problem(
            415,
            "wrong_type",
            "Another type of body",
            f"It is {request.content_type[:80]!r} packed with {encoding[:20]!r}; send {BATCH_TYPE} packed with {BATCH_ENCODING}.",
        )
