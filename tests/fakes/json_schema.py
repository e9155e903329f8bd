"""Checks a JSON value against the part of JSON Schema that our API description uses; an unknown keyword is an error."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_NOTES = {"title", "description", "default", "type"}


def faults(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], path: str = "$") -> list[str]:
    """What is wrong, each with its path; empty when the value is as described."""
    kind = schema.get("type")
    if kind is not None and not _is_a(value, kind):
        return [f"{path}: {value!r} is no {kind}"]
    found: list[str] = []
    for keyword, rule in schema.items():
        match keyword:
            case "$ref":
                target: Any = document
                for part in rule.removeprefix("#/").split("/"):
                    target = target[part]
                found += faults(value, target, document, path)
            case "anyOf":
                if all(faults(value, option, document, path) for option in rule):
                    found.append(f"{path}: {value!r} is none of {rule}")
            case "properties":
                for name in rule.keys() & value.keys():
                    found += faults(value[name], rule[name], document, f"{path}.{name}")
            case "required":
                found += [f"{path}: {name} is missing" for name in rule if name not in value]
            case "additionalProperties":
                for name in value.keys() - schema.get("properties", {}).keys():
                    if rule is False:
                        found.append(f"{path}: {name} is not described")
                    else:
                        found += faults(value[name], rule, document, f"{path}.{name}")
            case "propertyNames":
                for name in value:
                    found += faults(name, rule, document, f"{path}.{name}")
            case "items":
                for index, item in enumerate(value):
                    found += faults(item, rule, document, f"{path}[{index}]")
            case "enum":
                found += [] if value in rule else [f"{path}: {value!r} is not in {rule}"]
            case "const":
                found += [] if value == rule else [f"{path}: {value!r} is not {rule!r}"]
            case "pattern":
                found += [] if re.search(rule, value) else [f"{path}: {value!r} does not match {rule}"]
            case "format":
                found += _format_faults(value, rule, path)
            case "minimum" | "maximum":
                right = value >= rule if keyword == "minimum" else value <= rule
                found += [] if right else [f"{path}: {value!r} is beyond the {keyword} {rule}"]
            case "exclusiveMinimum" | "exclusiveMaximum":
                right = value > rule if keyword == "exclusiveMinimum" else value < rule
                found += [] if right else [f"{path}: {value!r} is beyond the {keyword} {rule}"]
            case "minLength" | "maxLength" | "minItems" | "maxItems":
                right = len(value) >= rule if keyword.startswith("min") else len(value) <= rule
                found += [] if right else [f"{path}: length {len(value)}, {keyword} {rule}"]
            case _ if keyword not in _NOTES:
                raise AssertionError(f"the schema uses {keyword!r}, which this checker does not know")
    return found


def _format_faults(value: str, kind: str, path: str) -> list[str]:
    match kind:
        case "date-time":
            is_right = datetime.fromisoformat(value).tzinfo is not None
        case "uuid":
            is_right = str(UUID(value)) == value
        case _:
            raise AssertionError(f"the schema uses format {kind!r}, which this checker does not know")
    return [] if is_right else [f"{path}: {value!r} is no {kind}"]


def _is_a(value: Any, kind: str) -> bool:
    """In JSON true is no number, though Python counts it as one."""
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
