"""Describes the API as OpenAPI 3.1, from the models that read and write it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cloud_api.adapters.http.doors import SESSION_COOKIE
from cloud_api.adapters.http.operations import Nothing, Operation
from cloud_api.adapters.http.problems import CONTENT_TYPE, ProblemDocument

# A model's schema by the model and whether it is read or written.
_Schemas = Mapping[Any, dict[str, Any]]
_REF = "#/components/schemas/{model}"
_SECURITY: Mapping[str, list[dict[str, list[str]]]] = {
    "session": [{"bearer": []}, {"cookie": []}],
    "signature": [{"signature": []}],
}


def describe(operations: Iterable[Operation], *, version: str) -> dict[str, Any]:
    """The document, as plain values for JSON."""
    operations = tuple(operations)
    written: list[tuple[type[BaseModel], Any]] = [
        (each.body, "validation")
        for each in operations
        if not isinstance(each.body, str) and each.body is not Nothing
    ]
    for each in operations:
        written += [
            (answer, "serialization")
            for answer in each.answers.values()
            if answer is not None and not isinstance(answer, str)
        ]
    schemas, components = models_json_schema(
        [*written, (ProblemDocument, "serialization")], ref_template=_REF
    )
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Beckon, HQ",
            "version": version,
            "description": "Agents send signed batches (RFC 9421, RFC 9530); people sign in and look. "
            "Errors are problem documents with a stable `code`.",
        },
        "paths": paths,
        "components": {
            "schemas": components.get("$defs", {}),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Signature",
                    "description": "Ed25519 over @method, @target-uri and content-digest (RFC 9421).",
                },
            },
        },
    }


def _operation(each: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": each.summary,
        "operationId": each.id,
        "responses": {
            str(status): {"description": "The answer"}
            | ({} if answer is None else {"content": _content(answer, schemas)})
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
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", each.path)
    ]
    parameters += _query(each.query)
    if parameters:
        described["parameters"] = parameters
    if isinstance(each.body, str):
        binary = {"type": "string", "contentMediaType": each.body}
        described["requestBody"] = {"required": True, "content": {each.body: {"schema": binary}}}
    elif each.body is not Nothing:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[each.body, "validation"]}},
        }
    if each.door in _SECURITY:
        described["security"] = _SECURITY[each.door]
    return described


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": described,
        }
        for name, described in schema.get("properties", {}).items()
    ]


def _content(answer: type[BaseModel] | str, schemas: _Schemas) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "string"} if answer.startswith("text/") else {"type": "object"}}}
    return {"application/json": {"schema": schemas[answer, "serialization"]}}
