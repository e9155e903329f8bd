"""The stream that says when something new has arrived; the page then fetches itself anew."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from cloud_api.adapters.http.console.page import session_of
from cloud_api.adapters.http.parts import PARTS

# A redemption is on the page within two seconds; under load all that arrives in between is one event.
_LOOK_S = 0.5
# Looks between two signs of life, and between two checks that the session still stands.
_LOOKS_PER_SIGN = 30
# HQ's people have a few windows each; one costs a look at a counter twice a second.
_STREAMS_MAX = 256


@dataclass
class _Streams:
    open: int = 0
    stopping: bool = False


_STREAMS = web.AppKey("streams", _Streams)


def add_live(app: web.Application) -> None:
    app[_STREAMS] = _Streams()
    app.router.add_get("/events", _events)
    app.on_shutdown.append(_stop_streams)


async def _events(request: web.Request) -> web.StreamResponse:
    """Server-sent events, until the browser goes, the session is over or the cloud stops."""
    streams = request.app[_STREAMS]
    if not await _is_signed_in(request):
        return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer realm="hq"'})
    if streams.open >= _STREAMS_MAX:
        return web.Response(status=503, headers={"Retry-After": "10"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    streams.open += 1
    try:
        told = _happened(request)
        await response.prepare(request)
        # The page was made a moment before its stream opened: what came in between would be missed.
        await response.write(b"retry: 2000\nevent: changed\ndata:\n\n")
        await _tell_changes(request, response, told)
    except ConnectionResetError:
        pass  # the browser went away, which is how every stream ends
    finally:
        streams.open -= 1
    return response


async def _tell_changes(request: web.Request, response: web.StreamResponse, told: int) -> None:
    """``told``: what had happened when the page last heard."""
    streams = request.app[_STREAMS]
    looks = 0
    while not streams.stopping:
        await asyncio.sleep(_LOOK_S)
        looks += 1
        if (now := _happened(request)) != told:
            told = now
            await response.write(b"event: changed\ndata:\n\n")
        elif looks % _LOOKS_PER_SIGN == 0:
            if not await _is_signed_in(request):
                return
            await response.write(b": still here\n\n")


def _happened(request: web.Request) -> int:
    """Rises with every batch that is kept, and with whatever else people see."""
    parts = request.app[PARTS]
    return parts.ingesting.tallies.batches + parts.news.count


async def _is_signed_in(request: web.Request) -> bool:
    token = session_of(request)
    return bool(token) and await request.app[PARTS].signing_in.user_of(token) is not None


async def _stop_streams(app: web.Application) -> None:
    app[_STREAMS].stopping = True
