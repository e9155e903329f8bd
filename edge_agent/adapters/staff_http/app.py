"""The staff listener's application: routes, headers, and what becomes of an error."""

import logging
from collections.abc import Callable
from time import monotonic

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edge_agent.adapters.barcode import FrameReader
from edge_agent.adapters.metrics import Metrics
from edge_agent.adapters.page_templates import PageTemplates
from edge_agent.adapters.staff_http.api import API
from edge_agent.adapters.staff_http.openapi import describe
from edge_agent.adapters.staff_http.page_errors import page_for_error
from edge_agent.adapters.staff_http.pages import add_pages
from edge_agent.adapters.staff_http.parts import PARTS, Parts, ReadFrame
from edge_agent.adapters.staff_http.probes import PROBES
from edge_agent.adapters.staff_http.problems import as_problem, internal
from edge_agent.adapters.wording import Catalogue
from edge_agent.services.board import Board
from edge_agent.services.cashiers import Cashiers
from edge_agent.services.premises import Premises
from edge_agent.services.redeeming import Redeeming
from edge_agent.services.status import Health

_LOG = logging.getLogger(__name__)

# The largest that comes in is a camera frame of 1280 x 960 grey pixels.
_BODY_BYTES_MAX = 1280 * 960 + 1024

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # With no-referrer browsers would send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
}
# Asked by our own script, which reads problems.
_FRAME_PATH = "/till/frame"
_API_PATHS = ("/v1/", "/health", "/metrics", "/openapi.json")


def build_staff_app(
    *,
    premises: Premises,
    redeeming: Redeeming,
    cashiers: Cashiers,
    board: Board,
    health: Health,
    read_frame: ReadFrame | None = None,
    now_s: Callable[[], float] = monotonic,
) -> web.Application:
    """Everything that the staff listener serves. ``read_frame`` reads camera frames; ``now_s`` times requests."""
    parts = Parts(
        premises=premises,
        redeeming=redeeming,
        cashiers=cashiers,
        board=board,
        health=health,
        read_frame=read_frame or FrameReader().read,
        metrics=Metrics(),
        catalogue=Catalogue.load("staff"),
        templates=PageTemplates("staff"),
    )
    app = web.Application(client_max_size=_BODY_BYTES_MAX, middlewares=[_timed(parts, now_s), _answer_errors])
    app[PARTS] = parts
    for operation in (*API.all, *PROBES.all):
        # add_get answers HEAD as well, which some watchers ask.
        add = app.router.add_get if operation.method == "GET" else app.router.add_post
        add(operation.path, operation.handle)
    document = describe((*API.all, *PROBES.all))

    async def openapi(request: web.Request) -> web.StreamResponse:
        info = document["info"] | {"version": health.report().version}
        return web.json_response(document | {"info": info})

    app.router.add_get("/openapi.json", openapi)
    add_pages(app)
    app.on_response_prepare.append(_add_headers)
    return app


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
            if resource is not None and resource.canonical != "/staff/live":
                parts.metrics.took(resource.canonical, now_s() - began_s)

    return timed


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors become problem documents for tills, and pages for people; an error of ours is logged and told as one."""
    try:
        return await handler(request)
    except web.HTTPRedirection:
        raise
    except Exception as error:  # the top of a request: whatever went wrong ends here, recorded
        problem = as_problem(error)
        if problem is None:
            _LOG.exception("a request failed", extra={"route": _route(request)})
            problem = internal()
        if request.path.startswith(_API_PATHS) or request.path == _FRAME_PATH:
            return problem.response()
        return await page_for_error(request, problem)


def _route(request: web.Request) -> str:
    """The route's pattern, for a path may hold a code."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
