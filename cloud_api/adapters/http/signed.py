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

M = TypeVar("M", bound=BaseModel)

# The largest body over a line of 128 kbit/s, and some.
_BODY_S_MAX = 30.0


async def arriving(request: web.Request, bytes_max: int) -> bytes:
    """The body. Errors: Problem 408, 413; before any of it is read SignatureRefused and Refused overloaded."""
    with request.app[PARTS].ingesting.a_reading(request.headers):
        try:
            async with asyncio.timeout(_BODY_S_MAX):
                return await limited_body(request, bytes_max)
        except TimeoutError:
            raise Problem(
                408,
                "too_slow",
                "The body came too slowly",
                f"Send it within {_BODY_S_MAX:g} s, or send less.",
            ) from None


def sender_of(request: web.Request, body: bytes) -> AgentName:
    """The agent that signed, at its own address. Errors: SignatureRefused; Refused agent_mismatch."""
    sender = request.app[PARTS].ingesting.sender(request.method, _target_uri(request), request.headers, body)
    if sender != request.match_info["agent"]:
        raise Refused("agent_mismatch", f"agent {sender!r} sent to another agent's address")
    return sender


async def signed(request: web.Request, model: type[M]) -> tuple[AgentName, M]:
    """Who sent it and what, as JSON. Errors: Problem 400, 408, 413, 422; SignatureRefused; Refused."""
    body = await arriving(request, BODY_BYTES_MAX)
    sender = sender_of(request, body)
    return sender, parsed(model, body)


def _target_uri(request: web.Request) -> str:
    """The address as the sender wrote it; only its own octets can have been signed."""
    base = request.app[PARTS].public_url or f"{request.scheme}://{request.host}"
    return base + request.raw_path
