"""The listener's application: routes, headers, and what becomes of an error; and how it is served."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from time import monotonic

from aiohttp import web, web_response
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from cloud_api.adapters.http.agent_routes import AGENT_API
from cloud_api.adapters.http.authority_routes import AUTHORITY_API
from cloud_api.adapters.http.console.page import page_for_error
from cloud_api.adapters.http.console.routes import add_console
from cloud_api.adapters.http.estate_routes import ESTATE_API
from cloud_api.adapters.http.hq_routes import HQ_API
from cloud_api.adapters.http.openapi import describe
from cloud_api.adapters.http.parts import PARTS, Parts
from cloud_api.adapters.http.probes import PROBES
from cloud_api.adapters.http.problems import Problem, as_problem, internal
from cloud_api.adapters.http.rights_routes import RIGHTS_API
from cloud_api.adapters.http.silence import FIRST_S, Silence
from cloud_api.adapters.http.upkeep_routes import UPKEEP_API

_LOG = logging.getLogger(__name__)

# Open requests may finish this long after the stop; systemd and `beckon up` allow 20 s in all.
_REQUESTS_S_MAX = 3.0
# A chain of stores that comes back at once waits in the kernel, not at our door.
_BACKLOG = 4096
# Agents keep one connection open between their slots; making a new one costs both sides more than keeping it.
_KEEP_ALIVE_S = 15 * 60.0
# What answers call their server. The library would name itself and Python with their versions, which helps attackers alone.
_SERVER = "Beckon"
# What answers programs; a person who opens one of these wants to see what they get.
_API_PATHS = ("/v1/", "/health", "/metrics", "/openapi.json", "/assets/", "/events")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
}


def build_app(parts: Parts, *, now_s: Callable[[], float] = monotonic) -> web.Application:
    """Everything that the cloud serves. ``now_s`` times requests."""
    app = web.Application(middlewares=[_timed(parts, now_s), _answer_errors])
    app[PARTS] = parts
    operations = (
        *AGENT_API.all,
        *HQ_API.all,
        *ESTATE_API.all,
        *AUTHORITY_API.all,
        *UPKEEP_API.all,
        *RIGHTS_API.all,
        *PROBES.all,
    )
    for operation in operations:
        app.router.add_route(operation.method, operation.path, operation.handle)
    document = describe(operations, version=parts.version)

    async def openapi(request: web.Request) -> web.StreamResponse:
        return web.json_response(document)

    app.router.add_get("/openapi.json", openapi)
    add_console(app)
    app.on_response_prepare.append(_add_headers)
    return app


@asynccontextmanager
async def serving(
    app: web.Application, *, address: str, port: int, tls: ssl.SSLContext
) -> AsyncIterator[int]:
    """The port that is listened on, until the block ends; 0 takes a free one. Errors: OSError when it is taken.

    Bodies come as they were sent: a batch's digest is that of its packed form, and it is unpacked within limits.
    """
    _overlook_peers_mistakes()
    # The library has no setting for it, and answers broken requests itself, where no middleware or signal is asked.
    vars(web_response)["SERVER_SOFTWARE"] = _SERVER
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_REQUESTS_S_MAX,
        auto_decompress=False,
        keepalive_timeout=_KEEP_ALIVE_S,
    )
    silence = Silence()
    app.middlewares.insert(0, silence.heard)
    await runner.setup()
    server = runner.server
    assert server is not None
    try:
        listener = await asyncio.get_running_loop().create_server(
            lambda: silence.opened(server),
            address,
            port,
            ssl=tls,
            ssl_handshake_timeout=FIRST_S / 2,
            backlog=_BACKLOG,
        )
        with closing(listener):
            yield listener.sockets[0].getsockname()[1]
    finally:
        await runner.cleanup()


def _overlook_peers_mistakes() -> None:
    """Leave out the server library's traceback for each request that breaks HTTP: anybody can send thousands a second."""
    logging.getLogger("aiohttp.server").addFilter(_is_not_the_peers)


def _is_not_the_peers(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (HttpProcessingError, web.RequestPayloadError))


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def _timed(parts: Parts, now_s: Callable[[], float]) -> Middleware:
    @web.middleware
    async def timed(request: web.Request, handler: Handler) -> web.StreamResponse:
        began_s = now_s()
        try:
            return await handler(request)
        finally:
            resource = request.match_info.route.resource
            if resource is not None:
                parts.metrics.took(resource.canonical, now_s() - began_s)

    return timed


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors become problem documents, and pages for browsers; an error of ours is logged and told as one."""
    try:
        return await handler(request)
    except Exception as error:  # the top of a request: whatever went wrong ends here, recorded
        problem = as_problem(error)
        if problem is None:
            _LOG.exception("a request failed", extra={"route": _route(request)})
            problem = internal()
        return await _told(request, problem)


async def _told(request: web.Request, problem: Problem) -> web.StreamResponse:
    """Browsers name HTML among what they take for a page, and nobody else does."""
    if request.path.startswith(_API_PATHS) or "text/html" not in request.headers.get("Accept", ""):
        return problem.response()
    return await page_for_error(request, problem)


def _route(request: web.Request) -> str:
    """The route's pattern, for a path may hold a code."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
