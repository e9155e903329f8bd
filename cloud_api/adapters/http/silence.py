"""Connections that say nothing: one that has not sent the head of a request in its first seconds is closed.

The server library waits for that without an end. So whoever opened connections could hold all files that HQ may open,
and their memory, with next to no traffic.
"""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

# A handshake and the head of a request over the worst of lines; a browser that connected ahead connects again.
FIRST_S: Final = 30.0


class Silence:
    """``opened`` makes the protocol of a new connection; ``heard`` is the application's outermost middleware."""

    def __init__(self, *, first_s: float = FIRST_S) -> None:
        self._first_s = first_s
        self._silent: set[web.RequestHandler] = set()

    def opened(self, server: web.Server) -> web.RequestHandler:
        protocol = server()
        self._silent.add(protocol)
        asyncio.get_running_loop().call_later(self._first_s, self._end, protocol)
        return protocol

    def _end(self, protocol: web.RequestHandler) -> None:
        if protocol in self._silent:
            self._silent.discard(protocol)
            if protocol.transport is not None:
                protocol.transport.abort()

    @property
    def heard(self) -> Middleware:
        @web.middleware
        async def heard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._silent.discard(request.protocol)
            return await handler(request)

        return heard
