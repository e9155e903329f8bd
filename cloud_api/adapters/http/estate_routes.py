"""What the desk asks for: the estate as it is, a change of it, and a campaign stopped everywhere."""

import asyncio
from typing import Annotated

from aiohttp import web
from pydantic import Field

from cloud_api.adapters.http.doors import user_of
from cloud_api.adapters.http.models import Answering, Asking
from cloud_api.adapters.http.operations import (
    Asked,
    Nothing,
    Operations,
    json_response,
    limited_body,
    parsed,
)
from cloud_api.adapters.http.parts import PARTS
from cloud_api.adapters.http.problems import Problem
from engagement.estate.estate import Change, Estate
from engagement.ids import CampaignId

ESTATE_API = Operations()

# 10,000 branches with 100,000 beacons take 25 MB.
_CHANGE_BYTES_MAX = 64 * 2**20
# Those 25 MB over a line of 1 Mbit/s, and some.
_CHANGE_S_MAX = 300.0


class RevisionAnswer(Answering):
    revision: Annotated[int, Field(description="The estate's, with all of the change in it.")]


class StopRequest(Asking):
    honour_issued: Annotated[
        bool, Field(description="Whether coupons that were given are still redeemed.")
    ] = False


@ESTATE_API.serves(
    "GET",
    "/v1/estate",
    "Everything that HQ wants: branches, campaigns, stops, members",
    answers={200: Estate},
    door="session",
    problems={
        401: "unknown or missing token",
        403: "a cookie from another site",
        503: "the cloud is restarting; ask again",
    },
)
async def estate(request: web.Request) -> web.StreamResponse:
    await user_of(request)
    return web.Response(text=await request.app[PARTS].changing.text(), content_type="application/json")


@ESTATE_API.serves(
    "POST",
    "/v1/estate/changes",
    "Change the estate, whole or not at all",
    answers={200: RevisionAnswer},
    door="session",
    body=Change,
    problems={
        400: "not JSON",
        401: "unknown or missing token",
        403: "a cookie from another site",
        408: "the body came too slowly",
        409: "made against another revision than the present one, which is `revision`",
        413: "body too large",
        422: "fields that cannot be used, or a change that does not fit; every complaint is in `errors`",
        503: "the cloud is busy or restarting: ask for the estate, then send it again",
    },
)
async def change(request: web.Request) -> web.StreamResponse:
    user, changing = await user_of(request), request.app[PARTS].changing
    async with changing.arriving:
        body = await _arriving(request)
    async with changing.room:
        # In a thread: a chain's change takes seconds to read, and agents want answers meanwhile.
        asked = await asyncio.to_thread(parsed, Change, body)
        del body  # 25 MB, while the change takes most of what it takes
        return json_response(RevisionAnswer(revision=await changing.apply(asked, by=user)))


@ESTATE_API.asks(
    "POST",
    "/v1/campaigns/{id}/stop",
    "Stop a campaign everywhere, for good",
    answer=RevisionAnswer,
    body=StopRequest,
    query=Nothing,
    problems={404: "no such campaign"},
)
async def stop(asked: Asked[StopRequest, Nothing]) -> RevisionAnswer:
    campaign = CampaignId(asked.request.match_info["id"])
    revision = await asked.parts.changing.stop(
        campaign, honour_issued=asked.body.honour_issued, by=asked.user
    )
    return RevisionAnswer(revision=revision)


async def _arriving(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_CHANGE_S_MAX):
            return await limited_body(request, _CHANGE_BYTES_MAX)
    except TimeoutError:
        raise Problem(
            408, "too_slow", "The body came too slowly", f"Send it within {_CHANGE_S_MAX:g} s."
        ) from None
