"""What stands before and behind every https handler: who may post, which headers go out, what a fault becomes."""

from urllib.parse import urlsplit

from aiohttp import web

from edge_agent.adapters.guest_http.faults import BadRequest, bad_request_problem, problem, status_of
from edge_agent.adapters.guest_http.packing import Packed, html_answer
from edge_agent.adapters.guest_http.site import SITE, Handler

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what other sites' pages send, and turn every fault into an answer."""
    try:
        if request.method not in _SAFE_METHODS and not _is_same_site(request):
            raise web.HTTPForbidden
        response = await handler(request)
    except web.HTTPRedirection as redirection:
        _dress(redirection, request)
        raise
    except Exception as error:  # the top of a request's task: the phone gets an answer whatever happened
        response = _fault(request, error)
    _dress(response, request)
    return response


def _dress(response: web.StreamResponse, request: web.Request) -> None:
    """The headers that every answer wears."""
    headers = response.headers
    headers.setdefault("Cache-Control", "no-store")
    headers["X-Content-Type-Options"] = "nosniff"
    # Not no-referrer: browsers then send "Origin: null" with our own forms, which other sites can send as well.
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["X-Frame-Options"] = "DENY"
    headers["Content-Security-Policy"] = request.app[SITE].assets.policy
    # Everything is off but the motion sensors, which the shake needs.
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=()"


def _is_same_site(request: web.Request) -> bool:
    """Whether a post comes from a page of ours, or from no page at all, as scripts' do."""
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site is not None:
        return fetch_site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def _fault(request: web.Request, error: Exception) -> web.Response:
    status, code = status_of(error)
    if isinstance(error, BadRequest) and _wants_json(request):
        response = bad_request_problem(error)
    elif _wants_json(request):
        response = problem(status, code, _DETAILS.get(code, str(error)))
    else:
        response = fault_page(request, status, error if isinstance(error, BadRequest) else None)
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


_DETAILS = {
    "cross_site": "Another site's page sent this; send it from our own pages or from a script without Origin.",
    "not_found": "There is nothing at this address; docs/contract.md lists what there is.",
    "too_large": "The body is larger than 64 kB.",
    "store_closed": "The store's mini-PC is just restarting; ask again in a few seconds.",
    "internal_error": "The fault has been logged. Asking again may help.",
}


def _wants_json(request: web.Request) -> bool:
    return request.path.startswith(("/api/", "/draws/", "/capport"))


def fault_page(request: web.Request, status: int, error: BadRequest | None = None) -> web.Response:
    """A page in the style of the others that says what happened and leads back."""
    site = request.app[SITE]
    wording = site.wording(request)
    say = wording.text
    if status == 404:
        title, text = say("fault.missing_title"), say("fault.missing")
    elif status in (400, 405, 413, 422):
        title, text = say("fault.broken_title"), say("fault.broken")
    elif status == 403:
        title, text = say("fault.foreign_title"), say("fault.foreign")
    else:
        title, text = say("fault.ours_title"), say("fault.ours")
    facts = {"title": title, "text": text, "detail": str(error) if error else ""}
    page = site.render("message.html", wording, site.chosen_language(request), facts)
    return html_answer(request, Packed(page), status=status)
