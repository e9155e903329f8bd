"""The one mapping from what goes wrong to what the guest side answers: problem documents for scripts, pages for people."""

import logging
from collections.abc import Mapping
from typing import TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError

from edge_agent.ports import StoreClosed
from engagement.values import Value

B = TypeVar("B", bound=Value)

_log = logging.getLogger(__name__)

# What aiohttp raises over a body that is no form, or is not packed as it says.
_UNREADABLE = (ValueError, LookupError, RuntimeError, HttpProcessingError, web.RequestPayloadError)

PROBLEM_TYPE = "application/problem+json"
# Quoted back so that the sender finds the mistake; more of it helps nobody.
_VALUE_CHARS_MAX = 80


class BadRequest(Exception):
    """A request that breaks the contract. ``status`` 400 when it cannot be read at all, 422 when a field is wrong."""

    code = "bad_request"

    def __init__(self, *, field: str, value: object, allowed: str, status: int = 422) -> None:
        self.field, self.value, self.allowed, self.status = field, shortened(value), allowed, status
        super().__init__(f"{field} is {self.value}; allowed: {allowed}")


def shortened(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _VALUE_CHARS_MAX else text[:_VALUE_CHARS_MAX] + "…"


def problem(status: int, code: str, detail: str, extra: Mapping[str, object] | None = None) -> web.Response:
    """A problem document. Source: RFC 9457."""
    body = {"type": "about:blank", "title": _TITLES[status], "status": status, "code": code, "detail": detail}
    return web.json_response(body | dict(extra or {}), status=status, content_type=PROBLEM_TYPE)


def bad_request_problem(error: BadRequest) -> web.Response:
    facts = {"field": error.field, "value": error.value, "allowed": error.allowed}
    return problem(error.status, error.code, str(error), facts)


_TITLES = {
    400: "The request cannot be read",
    403: "Not from here",
    404: "There is nothing here",
    405: "This cannot be done here",
    413: "The request is too large",
    422: "A field of the request is wrong",
    500: "Something broke on our side",
    503: "Not just now",
}


def status_of(error: Exception) -> tuple[int, str]:
    """Status and stable code of whatever a handler let through."""
    if isinstance(error, BadRequest):
        return error.status, error.code
    if isinstance(error, web.HTTPException):
        known = {403: "cross_site", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
        return error.status, known.get(error.status, "bad_request")
    if isinstance(error, StoreClosed):
        return 503, "store_closed"
    _log.error("a guest request failed", exc_info=error)
    return 500, "internal_error"


async def read_body(request: web.Request, shape: type[B]) -> B:
    """The JSON body as a value. Errors: BadRequest naming the field; HTTPRequestEntityTooLarge."""
    try:
        body = await request.read()
    except web.RequestPayloadError as error:
        raise _unreadable("a JSON object, packed as Content-Encoding says") from error
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = _path_of(first["loc"])
        if first["type"] in ("json_invalid", "model_type"):
            text = body.decode(errors="replace")
            raise BadRequest(field="body", value=text, allowed="a JSON object", status=400) from error
        value = "missing" if first["type"] == "missing" else first["input"]
        raise BadRequest(field=field, value=value, allowed=first["msg"]) from error


async def read_form(request: web.Request) -> dict[str, str]:
    """The form's text fields; of a field that comes twice, the first. Errors: as read_body."""
    try:
        posted = await request.post()
    except _UNREADABLE as error:
        raise _unreadable("a form in UTF-8, packed as Content-Encoding says") from error
    return {name: value for name in posted if isinstance(value := posted[name], str)}


def _unreadable(allowed: str) -> BadRequest:
    return BadRequest(field="body", value="unreadable", allowed=allowed, status=400)


def _path_of(location: tuple[int | str, ...]) -> str:
    """As ``heard[0].data``."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.lstrip(".") or "body"
