"""Errors as the API tells them: RFC 9457 problem documents. The one mapping from an error to status and body."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from cloud_api.ports.storage import StorageBusy, StorageFailed
from cloud_api.services.changing import ChangeRefused
from cloud_api.services.refused import RefusalCode, Refused
from engagement.line.signature import SignatureRefused

CONTENT_TYPE = "application/problem+json"
# A value is quoted so that its sender finds it, not echoed whole.
_VALUE_CHARS_MAX = 100
# Nobody reads more at once, and a large chain's slip would be megabytes.
_COMPLAINTS_MAX = 1000
# After this long a cloud that is restarting answers again.
_RETRY_AFTER_S = 2
_RETRY_MS = 60_000


class FieldProblem(BaseModel):
    """``field`` as a path; ``value`` as JSON, cut short; ``allowed`` what would be right."""

    model_config = ConfigDict(extra="forbid")
    field: str
    value: str | None
    allowed: str


class ProblemDocument(BaseModel):
    """RFC 9457; ``code`` is stable, ``detail`` says what to do. ``expected``, ``ack`` and ``slot_ms`` are for agents:
    see engagement.line.answers.LineProblem. ``revision`` is the estate's own, where a change was made against another."""

    model_config = ConfigDict(extra="forbid")
    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldProblem] = []
    expected: int | None = None
    ack: int | None = None
    slot_ms: int | None = None
    revision: int | None = None


@dataclass
class Problem(Exception):
    """An answer that is not what was asked for."""

    status: int
    code: str
    title: str
    detail: str
    errors: Sequence[FieldProblem] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, int] = field(default_factory=dict)

    @property
    def document(self) -> ProblemDocument:
        return ProblemDocument(
            title=self.title,
            status=self.status,
            code=self.code,
            detail=self.detail,
            errors=list(self.errors),
            expected=self.more.get("expected"),
            ack=self.more.get("ack"),
            slot_ms=self.more.get("slot_ms"),
            revision=self.more.get("revision"),
        )

    def response(self) -> web.Response:
        return web.Response(
            status=self.status,
            body=self.document.model_dump_json().encode(),
            content_type=CONTENT_TYPE,
            headers=self.headers,
        )


# Status and title of each refusal.
REFUSALS: Mapping[RefusalCode, tuple[int, str]] = {
    "agent_mismatch": (403, "A batch of another agent"),
    "agent_number_taken": (409, "The agent's number is taken"),
    "agent_not_listed": (404, "No such agent"),
    "branch_unknown": (503, "The branch is not known at the moment"),
    "campaign_unknown": (404, "No such campaign"),
    "certificate_wrong": (422, "Not the certificate of HQ's key"),
    "claim_expired": (403, "The claim has expired"),
    "claim_unknown": (403, "No such claim"),
    "claim_used": (409, "The claim was used"),
    "diverged": (409, "Another history"),
    "estate_moved": (409, "The estate has changed since"),
    "gap": (409, "Entries are missing in between"),
    "lease_written_off": (409, "HQ gave this machine up"),
    "mac_wrong": (403, "The proof is wrong"),
    "malformed_batch": (400, "The body is no batch"),
    "not_certified": (503, "HQ is not certified"),
    "not_packed": (400, "The body cannot be unpacked"),
    "overloaded": (429, "HQ is busy"),
    "password_wrong": (401, "Not signed in"),
    "rights_went_back": (409, "A copy of this ledger has asked"),
    "root_pinned": (409, "Agents have pinned another root"),
    "too_many_tries": (429, "Too many tries"),
    "unknown_vocabulary": (422, "The batch uses words that HQ does not know"),
}


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
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}…"


def unauthorised(code: str, hint: str) -> Problem:
    return Problem(401, code, "Nobody is signed in", hint, headers={"WWW-Authenticate": 'Bearer realm="hq"'})


def as_problem(error: Exception) -> Problem | None:
    """The answer to an error; None when it is our own bug."""
    match error:
        case Problem():
            return error
        case Refused():
            return _refusal(error)
        case ChangeRefused():
            return _change_refusal(error)
        case SignatureRefused():
            return Problem(401, error.code, "Not signed by an agent", str(error))
        case StorageBusy():
            return _unavailable(
                "storage_busy", f"Nothing was kept: {error}. Send it again.", slot_ms=_RETRY_MS
            )
        case StorageFailed():
            return _unavailable("storage_failed", "Whether this was kept is not known: send the same again.")
        case web.RequestPayloadError() | ConnectionError():
            return Problem(400, "body_cut", "The body did not arrive whole", "Send it again.")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            detail = f"{error.method} is not possible here; allowed: {allowed}."
            return Problem(
                405,
                "method_not_allowed",
                "This address takes another method",
                detail,
                headers={"Allow": allowed},
            )
        case web.HTTPNotFound():
            return Problem(404, "no_such_address", "There is nothing at this address", "See /openapi.json.")
        case web.HTTPRequestEntityTooLarge():
            return too_large(0)
        case _:
            return None


def _refusal(refused: Refused) -> Problem:
    status, title = REFUSALS[refused.code]
    headers: dict[str, str] = {}
    more = dict(refused.more)
    if refused.code in ("branch_unknown", "not_certified"):
        more = {"slot_ms": _RETRY_MS}
    if "slot_ms" in more:
        headers["Retry-After"] = str(-(-more["slot_ms"] // 1000))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="hq"'
    return Problem(status, refused.code, title, refused.because, headers=headers, more=more)


def _change_refusal(refused: ChangeRefused) -> Problem:
    """Every complaint, each about the change as a whole."""
    told = refused.complaints[:_COMPLAINTS_MAX]
    left = len(refused.complaints) - len(told)
    return Problem(
        422,
        "change_refused",
        "The change does not fit the estate",
        "Nothing was changed. " + ("See errors." if not left else f"See errors; {left} more are not listed."),
        [FieldProblem(field="steps", value=None, allowed=complaint) for complaint in told],
    )


def too_large(bytes_max: int) -> Problem:
    said = f"Send at most {bytes_max} bytes." if bytes_max else "Send less."
    return Problem(413, "too_large", "The body is too large", said)


def _unavailable(code: str, detail: str, **more: int) -> Problem:
    return Problem(
        503,
        code,
        "Not possible at the moment",
        detail,
        headers={"Retry-After": str(_RETRY_AFTER_S)},
        more=more,
    )


def internal() -> Problem:
    """Our own bug, told without its inside."""
    return Problem(
        500,
        "internal",
        "The cloud made a mistake",
        "It was logged. Send the same request again; tell its operator if it stays.",
    )
