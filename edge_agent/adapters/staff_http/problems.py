"""Errors as the API tells them: RFC 9457 problem documents. The one mapping from an error to status and body."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.ports import StoreClosed, StoreFailed, StoreFull
from engagement.ledger.group import RecordUnreadable

CONTENT_TYPE = "application/problem+json"
# A value is quoted so that its sender finds it, not echoed whole.
_VALUE_CHARS_MAX = 100
# After this long a store that is restarting answers again.
_RETRY_AFTER_S = 2


class FieldProblem(BaseModel):
    """``field`` as a path, as in ``codes.0``; ``value`` as JSON, cut short; ``allowed`` what would be right."""

    model_config = ConfigDict(extra="forbid")
    field: str
    value: str | None
    allowed: str


class ProblemDocument(BaseModel):
    """RFC 9457; ``code`` is stable, ``detail`` says what to do."""

    model_config = ConfigDict(extra="forbid")
    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldProblem] = []


@dataclass
class Problem(Exception):
    """An answer that is not what was asked for."""

    status: int
    code: str
    title: str
    detail: str
    errors: Sequence[FieldProblem] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> ProblemDocument:
        return ProblemDocument(
            title=self.title, status=self.status, code=self.code, detail=self.detail, errors=list(self.errors)
        )

    def response(self) -> web.Response:
        return web.Response(
            status=self.status,
            body=self.document.model_dump_json().encode(),
            content_type=CONTENT_TYPE,
            headers=self.headers,
        )


def invalid_fields(error: ValidationError) -> Problem:
    """Every field that is wrong, at once."""
    errors = [
        FieldProblem(
            field=".".join(map(str, each["loc"])) or "body",
            value=None if each["type"] == "missing" else _quoted(each["input"]),
            allowed=each["msg"],
        )
        for each in error.errors(include_url=False, include_context=False)
    ]
    named = ", ".join(each.field for each in errors)
    return Problem(
        422, "invalid_fields", "Some fields cannot be used", f"Correct these fields: {named}.", errors
    )


def _quoted(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}…"


def unauthorised(code: str, hint: str) -> Problem:
    return Problem(
        401, code, "No till is known by this token", hint, headers={"WWW-Authenticate": 'Bearer realm="till"'}
    )


def as_problem(error: Exception) -> Problem | None:
    """The answer to an error; None when it is our own bug."""
    match error:
        case Problem():
            return error
        case StoreFull():
            return _unavailable("store_full", "The disk is full; ask HQ to free space on the mini-PC.")
        case StoreFailed():
            return _unavailable(
                "store_failed",
                "Whether this was kept is not known: send the same request again, with the same ids.",
            )
        case StoreClosed():
            return _unavailable(
                "store_closed", "The agent is stopping or starting; nothing was kept. Send it again."
            )
        case RecordUnreadable():
            return Problem(
                500,
                error.code,
                "A stored row is damaged",
                f"Tell HQ: {error}. Other coupons are not affected.",
            )
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return Problem(
                405,
                "method_not_allowed",
                "This address takes another method",
                f"{error.method} is not possible here; allowed: {allowed}.",
                headers={"Allow": allowed},
            )
        case web.HTTPNotFound():
            return Problem(404, "no_such_address", "There is nothing at this address", "See /openapi.json.")
        case web.HTTPRequestEntityTooLarge():
            return too_large()
        case _:
            return None


def too_large() -> Problem:
    return Problem(413, "too_large", "The body is too large", "Send less than 64 KiB of JSON.")


def _unavailable(code: str, detail: str) -> Problem:
    return Problem(
        503, code, "Not possible at the moment", detail, headers={"Retry-After": str(_RETRY_AFTER_S)}
    )


def internal() -> Problem:
    """Our own bug, told without its inside."""
    return Problem(
        500,
        "internal",
        "The agent made a mistake",
        "It was logged. Send the same request again; tell HQ if it stays.",
    )
