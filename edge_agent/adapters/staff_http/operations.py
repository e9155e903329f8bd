"""The API's operations: each declares its models once; reading, answering and /openapi.json follow from that."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.adapters.staff_http.doors import till_of_bearer
from edge_agent.adapters.staff_http.parts import PARTS, Parts
from edge_agent.adapters.staff_http.problems import Problem, invalid_fields, too_large
from edge_agent.adapters.wording import Wording
from engagement.ids import TillName

# The largest request of a till, an order with twenty codes, has 4 kB.
BODY_BYTES_MAX = 64 * 1024

B = TypeVar("B", bound=BaseModel)


class NoBody(BaseModel):
    """For operations that take none."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True)
class Asked(Generic[B]):
    """One request, read and checked. ``wording`` is for the sentences of the answer."""

    request: web.Request
    parts: Parts
    till: TillName
    body: B
    wording: Wording


@dataclass(frozen=True)
class Operation(Generic[B]):
    method: str
    path: str
    summary: str
    body: type[B]
    answers: Mapping[int, type[BaseModel] | str]
    needs_token: bool
    problems: Mapping[int, str]
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]]

    @property
    def id(self) -> str:
        words = re.findall(r"[a-z_0-9]+", re.sub(r":[^}]*", "", self.path))
        return "_".join([self.method.lower(), *words])


Answer = Callable[[Asked[B]], Awaitable[BaseModel]]
Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Operations:
    """Collects operations by decorating their handlers."""

    all: list[Operation[Any]] = field(default_factory=list)

    def asks(
        self,
        method: str,
        path: str,
        summary: str,
        *,
        answer: type[BaseModel],
        body: type[B],
        problems: Mapping[int, str] | None = None,
    ) -> Callable[[Answer[B]], Answer[B]]:
        """An operation for tills: bearer token, JSON in, JSON out."""

        def add(answer_to: Answer[B]) -> Answer[B]:
            async def handle(request: web.Request) -> web.StreamResponse:
                parts = request.app[PARTS]
                till = till_of_bearer(request)
                read = await _read(request, body)
                wording = parts.catalogue.choose(request.headers.get("Accept-Language"), parts.languages)
                answered = await answer_to(Asked(request, parts, till, read, wording))
                response = json_response(answered)
                response.headers["Content-Language"] = wording.language
                return response

            common = {401: "unknown or missing token", 503: "the store is restarting; ask again"}
            if body is not NoBody:
                common |= {400: "not JSON", 413: "body too large", 422: "fields that cannot be used"}
            self.all.append(
                Operation(
                    method=method,
                    path=path,
                    summary=summary,
                    body=body,
                    answers={200: answer},
                    needs_token=True,
                    problems=common | dict(problems or {}),
                    handle=handle,
                )
            )
            return answer_to

        return add

    def tells(
        self, path: str, summary: str, *, answers: Mapping[int, type[BaseModel] | str]
    ) -> Callable[[Plain], Plain]:
        """Something that anybody on the staff network may read. A string among the answers is a media type."""

        def add(handle: Plain) -> Plain:
            self.all.append(
                Operation(
                    method="GET",
                    path=path,
                    summary=summary,
                    body=NoBody,
                    answers=answers,
                    needs_token=False,
                    problems={},
                    handle=handle,
                )
            )
            return handle

        return add


def json_response(answer: BaseModel, status: int = 200) -> web.Response:
    return web.Response(
        body=answer.model_dump_json().encode(),
        content_type="application/json",
        charset="utf-8",
        status=status,
    )


async def _read(request: web.Request, model: type[B]) -> B:
    if model is NoBody:
        return model()
    data = await _limited(request)
    try:
        return model.model_validate_json(data or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise Problem(400, "not_json", "The body is not JSON", f"{first['msg']}.") from None
        raise invalid_fields(error) from None


async def _limited(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise too_large()
    data = bytearray()
    try:
        async for chunk in request.content.iter_any():
            data += chunk
            if len(data) > BODY_BYTES_MAX:
                raise too_large()
    except web.RequestPayloadError:
        raise Problem(
            400, "not_json", "The body cannot be read", "Send JSON, packed as Content-Encoding says."
        ) from None
    return bytes(data)
