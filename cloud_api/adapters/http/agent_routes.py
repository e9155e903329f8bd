"""What agents ask for: to be enrolled, and to have their batches taken."""

import asyncio

from aiohttp import web

from cloud_api.adapters.http.operations import (
    Asked,
    Nothing,
    Operations,
    json_response,
    limited_body,
)
from cloud_api.adapters.http.parts import PARTS
from cloud_api.adapters.http.problems import Problem
from cloud_api.services.refused import Refused
from engagement.line.addresses import BATCH_BYTES_MAX, BATCH_ENCODING, BATCH_TYPE, ENROLMENTS_PATH
from engagement.line.answers import BatchAnswer, EnrolmentAnswer, EnrolmentRequest

AGENT_API = Operations()

# The largest body over a line of 128 kbit/s, and some.
_BODY_S_MAX = 30.0


@AGENT_API.asks(
    "POST",
    ENROLMENTS_PATH,
    "Become an agent, by a claim code",
    answer=EnrolmentAnswer,
    body=EnrolmentRequest,
    query=Nothing,
    door="nobody",
    problems={403: "unknown or expired claim, or a wrong proof", 409: "the claim was used"},
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
    with parts.ingesting.a_reading():
        body = await _arriving(request)
    with parts.ingesting.a_place():
        sender = parts.ingesting.sender(request.method, _target_uri(request), request.headers, body)
        if sender != request.match_info["agent"]:
            raise Refused("agent_mismatch", f"agent {sender!r} sent to another agent's address")
        return json_response(await parts.ingesting.take(sender, body))


async def _arriving(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_S_MAX):
            return await limited_body(request, BATCH_BYTES_MAX)
    except TimeoutError:
        raise Problem(
            408,
            "too_slow",
            "The body came too slowly",
            f"Send it within {_BODY_S_MAX:g} s, or send fewer entries.",
        ) from None


def _demand_kind(request: web.Request) -> None:
    encoding = request.headers.get("Content-Encoding", "")
    if request.content_type != BATCH_TYPE or encoding != BATCH_ENCODING:
        raise Problem(
            415,
            "wrong_type",
            "Another type of body",
            f"It is {request.content_type[:80]!r} packed with {encoding[:20]!r}; send {BATCH_TYPE} packed with {BATCH_ENCODING}.",
        )


def _target_uri(request: web.Request) -> str:
    """The address as the sender wrote it; only its own octets can have been signed."""
    base = request.app[PARTS].public_url or f"{request.scheme}://{request.host}"
    return base + request.raw_path
