"""Both APIs keep what their OpenAPI documents promise, to whoever is let in, whatever is asked."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from requests import PreparedRequest
from requests.auth import AuthBase
from typing_extensions import override

from engagement.ids import AgentName
from engagement.line.addresses import BATCH_ENCODING, BATCH_TYPE
from engagement.line.signature import sign_request
from tests.fakes.agent_process import START_S_MAX, agent_on, lay_agent_home
from tests.fakes.cloud_process import PASSWORD, USER, CloudHome, CloudProcess, desk
from tests.fakes.described_api import DescribedApi
from tests.fakes.hq import AGENT, HARBOUR, OTHER, PARK, private_key
from tests.fakes.whole_store import ask, get, until

SIGN_OUT = ("/v1/sessions", "DELETE")


class Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    @override
    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Signed(AuthBase):
    """As an agent signs, the very bytes that go out."""

    def __init__(self, agent: AgentName) -> None:
        self._agent = agent

    @override
    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        assert request.method is not None
        assert request.url is not None
        body = request.body or b""
        assert isinstance(body, str | bytes)
        if request.headers.get("Content-Type") == BATCH_TYPE:
            request.headers["Content-Encoding"] = BATCH_ENCODING
        signed = sign_request(
            request.method,
            request.url,
            body.encode() if isinstance(body, str) else body,
            keyid=self._agent,
            created_s=0,
            nonce="n",
            sign=private_key(self._agent).sign,
        )
        request.headers.update(signed)
        return request


def document_of(url: str, ca_file: Path) -> dict[str, Any]:
    status, body = get(f"{url}/openapi.json", str(ca_file))
    assert status == 200
    document: dict[str, Any] = json.loads(body)
    return document


@pytest.fixture
def hq(tmp_path: Path) -> Iterator[CloudHome]:
    """With two agents that are enrolled."""
    home = CloudHome(tmp_path)
    process = CloudProcess(home)

    async def prepare() -> None:
        await process.run()
        async with desk(home) as operator:
            await operator.sign_in()
            await operator.enrol(HARBOUR, AGENT)
            await operator.enrol(PARK, OTHER)

    try:
        asyncio.run(prepare())
        yield home
        assert process.process is not None
        assert process.process.poll() is None, process.output.read_text()
    finally:
        if process.process is not None:
            process.kill()


def test_hq_keeps_its_document(hq: CloudHome) -> None:
    ca_file = hq.folder / "ca.pem"
    document = document_of(hq.url, ca_file)
    token, spent = (_signed_in(hq.url, ca_file) for _ in range(2))

    def auth(path: str, method: str) -> AuthBase | None:
        doors = {
            door for each in document["paths"][path][method.lower()].get("security", []) for door in each
        }
        if "signature" in doors:
            return Signed(AGENT)
        return Bearer(spent if (path, method) == SIGN_OUT else token) if doors else None

    # The agent that signs is not the one that operators try things on.
    signed = {path for path, methods in document["paths"].items() if "signature" in str(methods)}
    for paths, agent in ((signed, AGENT), (document["paths"].keys() - signed, OTHER)):
        part = {**document, "paths": {path: document["paths"][path] for path in sorted(paths)}}
        known = {"agent": agent, "id": "welcome", "campaign": "welcome"}
        api = DescribedApi(part, hq.url, ca_file, auth, known)
        assert api.faults() == []
        refused = [name for name, statuses in api.answered.items() if set(statuses) <= {401, 403}]
        assert refused == [], "nothing behind the door was reached"


def _signed_in(url: str, ca_file: Path) -> str:
    answer = requests.post(
        f"{url}/v1/sessions", json={"user": USER, "password": PASSWORD}, verify=str(ca_file), timeout=10
    )
    token: str = answer.json()["token"]
    return token


def test_a_stores_staff_side_keeps_its_document(tmp_path: Path) -> None:
    home = lay_agent_home(tmp_path / "home")
    url, ca_file = home.access.staff_url, home.access.ca_file
    with agent_on(home) as agent:
        until(lambda: _answers(url, ca_file), START_S_MAX, lambda: agent.text)
        document = document_of(url, ca_file)
        till = Bearer(home.access.till_tokens["till-1"])
        known = {"id": "shake", "code": _welcome_code(home.access.guest_url, ca_file)}
        api = DescribedApi(document, url, ca_file, lambda path, method: till, known)
        assert api.faults() == []
        assert [name for name, statuses in api.answered.items() if set(statuses) <= {401, 403}] == []
        assert not agent.has_ended, agent.text


def _welcome_code(guest_url: str, ca_file: Path) -> str:
    status, body = ask("POST", f"{guest_url}/api/consent", str(ca_file), body={"terms": True})
    assert status == 200, body
    return quote(json.loads(body)["coupons"][0]["code"], safe="")


def _answers(url: str, ca_file: Path) -> bool:
    try:
        return get(f"{url}/health", str(ca_file))[0] in (200, 503)
    except OSError:
        return False
