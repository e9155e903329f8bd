"""Describes the API as OpenAPI 3.1, from the models that read and write it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edge_agent.adapters.staff_http.operations import NoBody, Operation
from edge_agent.adapters.staff_http.problems import CONTENT_TYPE, ProblemDocument

# A model's schema by the model and whether it is read or written.
_Schemas = Mapping[Any, dict[str, Any]]
_REF = "#/components/schemas/{model}"


def describe(operations: Iterable[Operation[Any]]) -> dict[str, Any]:
    """The document, as plain values for JSON; its version is the agent's, which whoever serves it fills in."""
    operations = tuple(operations)
    schemas, components = models_json_schema(
        [
            *((each.body, "validation") for each in operations if each.body is not NoBody),
            *(
                (answer, "serialization")
                for each in operations
                for answer in each.answers.values()
                if not isinstance(answer, str)
            ),
            (ProblemDocument, "serialization"),
        ],
        ref_template=_REF,
    )
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(_plain(each.path), {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Beckon, staff side of one store",
            "version": "",
            "description": "Tills redeem coupons here, with or without a line to HQ. A refusal is no error: it is "
            "an answer with `decision: refused`, a stable `reason`, and sentences for cashier and shopper.",
        },
        "paths": paths,
        "components": {
            "schemas": components.get("$defs", {}),
            "securitySchemes": {"till": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(each: Operation[Any], schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": each.summary,
        "operationId": each.id,
        "responses": {
            str(status): {"description": "The answer", "content": _content(answer, schemas)}
            for status, answer in each.answers.items()
        }
        | {
            str(status): {
                "description": means,
                "content": {CONTENT_TYPE: {"schema": schemas[ProblemDocument, "serialization"]}},
            }
            for status, means in each.problems.items()
        },
    }
    names = re.findall(r"{(\w+)", each.path)
    if names:
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if each.body is not NoBody:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[each.body, "validation"]}},
        }
    if each.needs_token:
        described["security"] = [{"till": []}]
    return described


def _content(answer: type[BaseModel] | str, schemas: _Schemas) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "string"} if answer.startswith("text/") else {"type": "object"}}}
    return {"application/json": {"schema": schemas[answer, "serialization"]}}


def _plain(path: str) -> str:
    """The path without the router's patterns."""
    return re.sub(r"{(\w+):[^}]*}", r"{\1}", path)
