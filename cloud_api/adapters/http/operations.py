"""The API's operations: each declares its models once; reading, answering and /openapi.json follow from that."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from cloud_api.adapters.http.doors import user_of
from cloud_api.adapters.http.parts import PARTS, Parts
from cloud_api.adapters.http.problems import Problem, invalid_fields, too_large

# The largest request of a person is a claim: some hundred bytes.
BODY_BYTES_MAX = 16 * 1024

# How a caller shows who it is.
Door = Literal["nobody", "session", "signature"]
B = TypeVar("B", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)


class Nothing(BaseModel):
    """For operations that take no body, or no query."""

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True)
class Asked(Generic[B, Q]):
    """One request, read and checked. ``user``: empty where the door is open to all."""

    request: web.Request
    parts: Parts
    user: str
    body: B
    query: Q


@dataclass(frozen=True)
class Operation:
    """``body`` and ``answers``: a model, or a media type where it is no JSON; an answer None has no body."""

    method: str
    path: str
    summary: str
    door: Door
    body: type[BaseModel] | str
    query: type[BaseModel]
    answers: Mapping[int, type[BaseModel] | str | None]
    problems: Mapping[int, str]
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]]

    @property
    def id(self) -> str:
        return "_".join([self.method.lower(), *re.findall(r"[a-z_0-9]+", self.path)])


Answer = Callable[[Asked[B, Q]], Awaitable[BaseModel | web.StreamResponse]]
Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Operations:
    """Collects operations by decorating their handlers."""

    all: list[Operation] = field(default_factory=list)

    def asks(
        self,
        method: str,
        path: str,
        summary: str,
        *,
        answer: type[BaseModel] | None,
        body: type[B],
        query: type[Q],
        door: Door = "session",
        problems: Mapping[int, str] | None = None,
    ) -> Callable[[Answer[B, Q]], Answer[B, Q]]:
        """An operation with JSON in and JSON out; ``answer`` None: 204 without a body."""

        def add(answer_to: Answer[B, Q]) -> Answer[B, Q]:
            async def handle(request: web.Request) -> web.StreamResponse:
                user = await user_of(request) if door == "session" else ""
                asked_for = _read_query(request, query)
                read = await _read(request, body)
                answered = await answer_to(Asked(request, request.app[PARTS], user, read, asked_for))
                return answered if isinstance(answered, web.StreamResponse) else json_response(answered)

            common = {503: "the cloud is restarting; ask again"}
            if door == "session":
                common |= {401: "unknown or missing token", 403: "a cookie from another site"}
            if body is not Nothing:
                common |= {400: "not JSON", 413: "body too large", 422: "fields that cannot be used"}
            if query is not Nothing:
                common |= {422: "a query that cannot be used"}
            answers: Mapping[int, type[BaseModel] | None] = {204: None} if answer is None else {200: answer}
            self._add(
                method, path, summary, door, body, query, answers, common | dict(problems or {}), handle
            )
            return answer_to

        return add

    def serves(
        self,
        method: str,
        path: str,
        summary: str,
        *,
        answers: Mapping[int, type[BaseModel] | str],
        door: Door = "nobody",
        body: type[BaseModel] | str = Nothing,
        problems: Mapping[int, str] | None = None,
    ) -> Callable[[Plain], Plain]:
        """An operation that reads and answers for itself. A string among the answers is a media type."""

        def add(handle: Plain) -> Plain:
            self._add(method, path, summary, door, body, Nothing, answers, problems or {}, handle)
            return handle

        return add

    def _add(
        self,
        method: str,
        path: str,
        summary: str,
        door: Door,
        body: type[BaseModel] | str,
        query: type[BaseModel],
        answers: Mapping[int, type[BaseModel] | str | None],
        problems: Mapping[int, str],
        handle: Plain,
    ) -> None:
        self.all.append(Operation(method, path, summary, door, body, query, answers, dict(problems), handle))


def json_response(answer: BaseModel, status: int = 200) -> web.Response:
    return web.Response(
        body=answer.model_dump_json(by_alias=True).encode(),
        content_type="application/json",
        charset="utf-8",
        status=status,
    )


async def limited_body(request: web.Request, bytes_max: int) -> bytes:
    """Errors: Problem 413."""
    if (request.content_length or 0) > bytes_max:
        raise too_large(bytes_max)
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > bytes_max:
            raise too_large(bytes_max)
    return bytes(data)


async def _read(request: web.Request, model: type[B]) -> B:
    if model is Nothing:
        return model()
    return parsed(model, await limited_body(request, BODY_BYTES_MAX) or b"{}")


def parsed(model: type[B], data: bytes) -> B:
    """Errors: Problem 400, 422."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise Problem(400, "not_json", "The body is not JSON", f"{first['msg']}.") from None
        raise invalid_fields(error) from None


def _read_query(request: web.Request, model: type[Q]) -> Q:
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid_fields(error) from None
