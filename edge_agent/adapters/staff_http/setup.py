"""The staff listener of a mini-PC that is not set up: health, figures, and the way in for its claim code."""

import logging

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from edge_agent.adapters.metrics import CONTENT_TYPE, Metrics
from edge_agent.adapters.staff_http.operations import json_response
from edge_agent.adapters.staff_http.probes import health_answer
from edge_agent.adapters.staff_http.problems import Problem, as_problem, internal, invalid_fields
from edge_agent.services.setting_up import SettingUp
from engagement.line.claim import MalformedClaim
from engagement.line.setup import CLAIM_PATH, SETUP_PATH, SealedClaim, SetupRefused

_LOG = logging.getLogger(__name__)

# The largest that comes in is a sealed claim code of some 3 kB.
_BODY_BYTES_MAX = 16 * 1024


def build_setup_app(setting_up: SettingUp) -> web.Application:
    """Everything else is answered with 503: this box serves no store yet."""
    metrics = Metrics()

    async def health(request: web.Request) -> web.StreamResponse:
        return json_response(health_answer(setting_up.report()), 200)

    async def figures(request: web.Request) -> web.StreamResponse:
        text = metrics.exposition(setting_up.report(), setting_up.counts())
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def offer(request: web.Request) -> web.StreamResponse:
        return json_response(setting_up.offer(), 200)

    async def claim(request: web.Request) -> web.StreamResponse:
        setting_up.take_claim(await _sealed(request))
        return json_response(setting_up.offer(), 202)

    async def nothing_yet(request: web.Request) -> web.StreamResponse:
        (issue,) = setting_up.report().issues
        raise Problem(503, issue.code, "This mini-PC is not set up", f"{issue.means} {issue.do}")

    app = web.Application(client_max_size=_BODY_BYTES_MAX, middlewares=[_close_after_each, _answer_errors])
    app.add_routes(
        [
            web.get("/health", health),
            web.get("/metrics", figures),
            web.get(SETUP_PATH, offer),
            web.post(CLAIM_PATH, claim),
            web.route("*", "/{anything:.*}", nothing_yet),
        ]
    )
    app.on_response_prepare.append(_add_headers)
    return app


async def _sealed(request: web.Request) -> SealedClaim:
    """Errors: Problem."""
    try:
        return SealedClaim.model_validate_json(await request.read())
    except ValidationError as invalid:
        raise invalid_fields(invalid) from None


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def _close_after_each(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A connection that was made while this listener closes would go on being answered here, beside the open store."""
    response = await handler(request)
    response.force_close()
    return response


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (SetupRefused, MalformedClaim) as refused:
        return Problem(422, refused.code, "The claim is not taken", f"{refused}.").response()
    except OSError as failure:
        detail = f"The claim code cannot be kept: {failure.strerror}."
        return Problem(503, "not_kept", "Not possible at the moment", detail).response()
    except Exception as error:  # the top of a request: whatever went wrong ends here, recorded
        problem = as_problem(error)
        if problem is None:
            _LOG.exception("a request failed", extra={"route": request.path[:80]})
        return (problem or internal()).response()
