"""Calls HQ's API over TLS as its operator, trusting the home's authority only."""

import asyncio
import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

from engagement.ids import AgentName, BranchCode
from provisioning.ports import Certified, Hq, HqAuthority, HqKey, HqRefused, HqSilent

# A sign-in takes HQ 50 ms; on a machine that is just starting everything, some times that.
_ANSWER_S = 5.0
_ANSWER_BYTES_MAX = 10_000_000
_UNAUTHORISED = 401


class HqCalls(Hq, HqAuthority):
    """``url``: HQ's address without a path. Signs in when it must, and again once its session is over."""

    def __init__(self, *, url: str, ca_file: Path, user: str, password: str) -> None:
        self._url = urlsplit(url)
        self._ca_file = ca_file
        self._credentials = {"user": user, "password": password}
        self._token: str | None = None

    @override
    async def agent_state(self, agent: AgentName) -> str | None:
        answer = await self._ask("GET", "/v1/agents")
        try:
            return next((str(each["state"]) for each in answer["agents"] if each["name"] == agent), None)
        except (KeyError, TypeError) as stranger:
            raise HqSilent("it lists no agents") from stranger

    @override
    async def claim_code(self, branch: BranchCode, agent: AgentName) -> str:
        answer = await self._ask("POST", "/v1/claims", {"branch": branch, "agent": agent})
        return _text(answer, "claim_code")

    @override
    async def authority(self) -> HqKey:
        answer = await self._ask("GET", "/v1/authority")
        certificate_pem, root_pem = answer.get("certificate_pem"), answer.get("root_pem")
        is_certified = isinstance(certificate_pem, str) and isinstance(root_pem, str)
        return HqKey(
            _text(answer, "request_pem"), Certified(certificate_pem, root_pem) if is_certified else None
        )

    @override
    async def put_authority(self, certified: Certified, *, replace_root: bool) -> None:
        await self._ask("PUT", "/v1/authority", {**certified._asdict(), "replace_root": replace_root})

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        status, answer = await self._send(method, path, body)
        if status == _UNAUTHORISED:
            self._token = None
            status, answer = await self._send(method, path, body)
        if status >= 500:
            raise HqSilent(f"it answers {status}")
        if status >= 400:
            raise HqRefused(_detail(answer) or f"it answers {status}")
        return answer

    async def _send(self, method: str, path: str, body: object) -> tuple[int, Any]:
        if self._token is None:
            status, answer = await asyncio.to_thread(
                self._exchange, "POST", "/v1/sessions", self._credentials
            )
            if status != 200:
                return status, answer
            self._token = _text(answer, "token")
        return await asyncio.to_thread(self._exchange, method, path, body)

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, Any]:
        """Status and JSON. Errors: HqSilent."""
        assert self._url.hostname is not None
        context = ssl.create_default_context(cafile=str(self._ca_file))
        connection = http.client.HTTPSConnection(
            self._url.hostname, self._url.port, timeout=_ANSWER_S, context=context
        )
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read(_ANSWER_BYTES_MAX))
        except (OSError, http.client.HTTPException, ValueError) as failure:
            raise HqSilent(str(failure)) from failure
        finally:
            connection.close()


def _text(answer: Any, key: str) -> str:
    found = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(found, str):
        raise HqSilent(f"its answer has no {key}")
    return found


def _detail(answer: Any) -> str:
    """Of a problem document."""
    return str(answer.get("detail", "")) if isinstance(answer, dict) else ""
