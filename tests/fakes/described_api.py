"""Asks an API what its OpenAPI document allows, and much that it does not; tells where an answer breaks the document.

Schemathesis makes the requests and judges the answers: no error of the server, and a status, a type, headers and a body
that the document declares. The same document gives the same requests.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from requests.auth import AuthBase
from schemathesis import openapi
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case as AnyCase
from schemathesis.schemas import APIOperation as AnyOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from engagement.line.addresses import BATCH_TYPE

Operation = AnyOperation[Any, Any, Any, Any]
Case = AnyCase[Operation]

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Of each kind of request and operation: all of both documents stays a matter of seconds.
_EXAMPLES = 12
_TIMEOUT_S = 20.0


@schemathesis.serializer(BATCH_TYPE)
def _as_it_is(context: Any, value: Any) -> Any:
    return {"data": value if isinstance(value, bytes) else str(value).encode()}


@dataclass
class DescribedApi:
    """``auth``: what opens an operation, by its path and method; ``known``: values that path parameters may have, and
    which then lead somewhere; ``answered``: how often each status came, by operation."""

    document: Mapping[str, Any]
    url: str
    ca_file: Path
    auth: Callable[[str, str], AuthBase | None]
    known: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    answered: dict[str, dict[int, int]] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """One line for each way in which an operation's answers break the document."""
        schema = openapi.from_dict(dict(self.document))
        found: list[str] = []
        with requests.Session() as session:
            session.trust_env = False
            for result in schema.get_all_operations():
                assert isinstance(result, Ok), result
                for case_faults in self._each(result.ok(), session):
                    found += case_faults
        return sorted(set(found))

    def _each(self, operation: Operation, session: requests.Session) -> Iterator[list[str]]:
        known = {name: self.known[name] for name in _names(operation) if name in self.known}
        for mode in GenerationMode:
            for path_parameters in ({}, known) if known else ({},):
                yield self._asked(operation, mode, path_parameters, session)

    def _asked(
        self,
        operation: Operation,
        mode: GenerationMode,
        path_parameters: Mapping[str, str],
        session: requests.Session,
    ) -> list[str]:
        found: list[str] = []
        tally = self.answered.setdefault(operation.label, {})

        @settings(
            max_examples=_EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(mode))
        def ask(case: Case) -> None:
            case.path_parameters = {**(case.path_parameters or {}), **path_parameters}
            response = case.call(
                base_url=self.url,
                session=session,
                headers=dict(self.headers),
                auth=self.auth(operation.path, operation.method.upper()),
                timeout=_TIMEOUT_S,
                verify=str(self.ca_file),
            )
            tally[response.status_code] = tally.get(response.status_code, 0) + 1
            found.extend(_judged(operation, case, response))

        try:
            ask()
        except Unsatisfiable:
            # There is nothing wrong to be asked where nothing is asked.
            assert mode is GenerationMode.NEGATIVE
        return found


def _names(operation: Operation) -> list[str]:
    return [parameter.name for parameter in operation.path_parameters]


def _judged(operation: Operation, case: Case, response: Response) -> list[str]:
    try:
        case.validate_response(response, checks=_CHECKS)
    except FailureGroup as group:
        return [_line(operation, case, each) for each in group.exceptions]
    except Failure as failure:
        return [_line(operation, case, failure)]
    return []


def _line(operation: Operation, case: Case, failure: BaseException) -> str:
    return f"{operation.label}: {failure}\n{case.as_curl_command()[:600]}"
