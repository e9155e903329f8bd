"""Requests that agents sign: a body that arrives in time, and who sent it."""

import asyncio
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from cloud_api.adapters.http.operations import BODY_BYTES_MAX, limited_body, parsed
from cloud_api.adapters.http.parts import PARTS
from cloud_api.adapters.http.problems import Problem
from cloud_api.services.refused import Refused
from engagement.ids import AgentName
from engagement.line.signature import demand_digest

M = TypeVar("M", bound=BaseModel)

# The largest body over a line of 128 kbit/s, and some.
_BODY_S_MAX = 30.0


async def arriving(request: web.Request, bytes_max: int) -> tuple[AgentName, bytes]:
    """Who sent it, to its own address, and the body that was signed.

    Errors: Problem 408, 413; SignatureRefused; before any of the body is read Refused overloaded and agent_mismatch.
    """
    target_uri, headers = _target_uri(request), request.headers
    with request.app[PARTS].ingesting.a_reading(request.method, target_uri, headers) as sender:
        if sender != request.match_info["agent"]:
            raise Refused("agent_mismatch", f"agent {sender!r} sent to another agent's address")
        try:
            async with asyncio.timeout(_BODY_S_MAX):
                body = await limited_body(request, bytes_max)
        except TimeoutError:
            raise Problem(
                408,
                "too_slow",
                "The body came too slowly",
                f"Send it within {_BODY_S_MAX:g} s, or send less.",
            ) from None
    demand_digest(headers, body)
    return sender, body


async def signed(request: web.Request, model: type[M]) -> tuple[AgentName, M]:
    """Who sent it and what, as JSON. Errors: Problem 400, 408, 413, 422; SignatureRefused; Refused."""
    sender, body = await arriving(request, BODY_BYTES_MAX)
    return sender, parsed(model, body)


def _target_uri(request: web.Request) -> str:
    """The address as the sender wrote it; only its own octets can have been signed."""
    base = request.app[PARTS].public_url or f"{request.scheme}://{request.host}"
    return base + request.raw_path
