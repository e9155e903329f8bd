"""The estate through HQ's routes, as the desk and the agents meet it: changes, stops, sealed bundles, reports."""

import asyncio
import json
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse

from cloud_api.adapters.http.doors import SESSION_COOKIE
from engagement.estate.bundle import Bundle
from engagement.estate.estate import Change, DropBranch, Estate, PutBranch, Step
from engagement.ids import AgentName, BranchCode, CampaignId
from engagement.line.addresses import bundle_path, reports_path
from engagement.line.seal import SealKind, open_seal
from tests.fakes import shop
from tests.fakes.cloud_process import CloudProcess, Desk
from tests.fakes.estates import access, branch, publish, put
from tests.fakes.hq import AGENT, HARBOUR, OTHER, PARK

AGENT_ROUTES = "/v1/agents/{agent}/"
STOP_ROUTE = "/v1/campaigns/{id}/stop"
CHANGE_BYTES_MAX = 64 * 2**20
REPORT = {"bundle_sequence": 0, "status": "ok", "issues": [], "backlog": {"money": 3}, "version": "1"}
BEACON = {"name": "tag", "role": "tag", "altbeacon": {"id": "ab" * 20}}


@pytest.fixture(scope="module")
def laid_out() -> None:
    """HQ knows nothing yet."""


async def change(hq: Desk, base: int, steps: Iterable[Step]) -> tuple[int, Any]:
    body = Change(base=base, steps=tuple(steps)).model_dump_json().encode()
    return await hq.ask("POST", "/v1/estate/changes", raw=body)


async def estate(hq: Desk) -> Estate:
    status, answer = await hq.ask("GET", "/v1/estate")
    assert status == 200
    return Estate.model_validate(answer)


async def bundle(hq: Desk, *, by: AgentName = AGENT) -> Bundle:
    status, answer = await hq.signed("GET", bundle_path(by), by=by)
    assert status == 200, answer
    root_pem = (hq.home.folder / "ca.pem").read_text()
    return Bundle.model_validate_json(open_seal(json.dumps(answer), SealKind.BUNDLE, root_pem=root_pem))


async def report(hq: Desk, *, by: AgentName = AGENT, **changes: object) -> tuple[int, Any]:
    return await hq.say(by, "reports", REPORT | changes)


def first_steps() -> tuple[Step, ...]:
    here = branch("HARBOUR", AGENT, beacons=[BEACON])
    return (
        PutBranch(branch=here, access=access("till 1")),
        *put(branch("PARK", OTHER)),
        *publish(shop.campaign(), shop.shake_campaign()),
    )


async def test_from_an_empty_hq_to_a_bundle_that_follows_every_change(
    hq: Desk, running: CloudProcess
) -> None:
    assert await estate(hq) == Estate()
    assert await change(hq, 0, first_steps()) == (200, {"revision": 1})
    await hq.enrol(HARBOUR, AGENT)
    first = await bundle(hq)
    assert (first.agent, first.sequence, first.agent_number) == (AGENT, 1, 1)
    assert [each.name for each in first.branch.beacons] == ["tag"]
    assert [each.name for each in first.tills] == ["till 1"]
    answer = {"bundle_sequence": 1, "again_ms": 2000, "number": 0, "is_old": False, "wants_proof": False}
    assert await report(hq) == (200, answer)
    status, answer = await hq.ask(
        "POST", "/v1/campaigns/shake/stop", {"honour_issued": True}, route=STOP_ROUTE
    )
    assert (status, answer) == (200, {"revision": 2})
    assert (await report(hq, bundle_sequence=1))[1]["bundle_sequence"] == 2
    running.kill()
    await running.run()
    later = await bundle(hq)
    assert (later.sequence, [(stop.campaign, stop.honour_issued) for stop in later.stops]) == (
        2,
        [(CampaignId("shake"), True)],
    )
    _, answer = await hq.ask("GET", "/v1/campaigns")
    states = {each["id"]: (each["state"], each["stopped"]) for each in answer["campaigns"]}
    assert states["welcome"][1] is None
    state, stopped = states["shake"]
    assert (state, stopped["by"], stopped["honour_issued"]) == ("stopped", "hq", True)
    _, answer = await hq.ask("GET", "/v1/agents")
    here, there = answer["agents"]
    told = ("status", "issues", "bundle_sequence", "bundle_wanted", "version", "backlog")
    assert [here[key] for key in told] == ["ok", [], 1, 2, "1", {"money": 3}]
    assert here["reported_at"] is not None
    assert [there[key] for key in told] == [None, None, None, 2, None, None]


async def test_two_operators_at_once_never_half_apply(hq: Desk) -> None:
    await change(hq, 0, first_steps())
    results = await asyncio.gather(
        *(change(hq, 1, put(branch(f"X{number}", f"x-{number}"))) for number in range(4))
    )
    taken = [answer for status, answer in results if status == 200]
    assert taken == [{"revision": 2}]
    for status, answer in results:
        if status != 200:
            assert (status, answer["code"], answer["revision"]) == (409, "estate_moved", 2)
    assert len((await estate(hq)).branches) == 3


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.2, 0.3, 0.4, 0.6])
async def test_a_change_that_hq_dies_in_is_applied_whole_or_not_at_all(
    hq: Desk, running: CloudProcess, after_s: float
) -> None:
    await change(hq, 0, first_steps())
    many = [branch(f"B{number:03}", f"b-{number}", beacons=[BEACON]) for number in range(400)]
    asked = asyncio.ensure_future(change(hq, 1, (*put(*many), DropBranch(code=HARBOUR))))
    await asyncio.wait([asked], timeout=after_s)
    running.kill()
    told = 1
    with suppress(ClientError):
        told = (await asked)[1]["revision"]
    await running.run()
    found = await estate(hq)
    assert found.revision >= told
    codes = {each.branch.code for each in found.branches}
    if found.revision == 1:
        assert codes == {HARBOUR, PARK}
    else:
        assert (found.revision, codes) == (2, {PARK, *(each.code for each in many)})


async def test_a_revoked_agent_gets_nothing(hq: Desk) -> None:
    await change(hq, 0, first_steps())
    await hq.enrol(HARBOUR, AGENT)
    assert (await report(hq))[0] == 200
    await hq.ask("POST", f"/v1/agents/{AGENT}/revoke", {}, route=AGENT_ROUTES + "revoke")
    assert (await report(hq))[1]["code"] == "agent_unknown"
    assert (await hq.signed("GET", bundle_path(AGENT), by=AGENT))[1]["code"] == "agent_unknown"


async def test_a_refused_change_tells_every_complaint(hq: Desk) -> None:
    await change(hq, 0, first_steps())
    before = await estate(hq)
    steps: list[Step] = [
        *put(branch("LAKE", AGENT)),
        DropBranch(code=BranchCode("NONE")),
        *publish(shop.campaign(name="Other")),
    ]
    status, answer = await change(hq, 1, steps)
    assert (status, answer["code"]) == (422, "change_refused")
    assert [each["allowed"][:20] for each in answer["errors"]] == [
        "branch 'NONE' cannot",
        "campaign 'welcome' c",
        "agent name 'harbour-",
    ]
    assert await estate(hq) == before


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b'{"base": 0, "steps": [{"step": "dance"}]}', 422, "invalid_fields"),
        (b'{"base": 0, "steps": [{"step": "put_branch", "branch": {}}]}', 422, "invalid_fields"),
    ],
)
async def test_what_is_no_change_is_refused(still_hq: Desk, raw: bytes, status: int, code: str) -> None:
    answered, answer = await still_hq.ask("POST", "/v1/estate/changes", raw=raw)
    assert (answered, answer["code"]) == (status, code)
    assert (await estate(still_hq)).revision == 0


async def test_a_change_has_an_end(still_hq: Desk) -> None:
    """Answered before any of it is sent."""
    tls = ssl.create_default_context(cafile=still_hq.home.folder / "ca.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", still_hq.home.port, ssl=tls)
    writer.write(
        f"POST /v1/estate/changes HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {still_hq.token}\r\n"
        f"Content-Length: {CHANGE_BYTES_MAX + 1}\r\n\r\n".encode()
    )
    answered = await reader.readuntil(b"}")
    writer.transport.abort()
    await writer.wait_closed()
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in answered


async def test_only_those_who_signed_in_see_and_change_the_estate(still_hq: Desk) -> None:
    still_hq.token = None
    for method, path, route in (
        ("GET", "/v1/estate", ""),
        ("POST", "/v1/estate/changes", ""),
        ("POST", "/v1/campaigns/welcome/stop", STOP_ROUTE),
    ):
        status, answer = await still_hq.ask(method, path, {} if method == "POST" else None, route=route)
        assert (status, answer["code"]) == (401, "token_missing")


async def test_an_agent_gets_its_own_bundle_alone(hq: Desk) -> None:
    await change(hq, 0, first_steps())
    assert (await hq.signed("GET", bundle_path(AGENT), by=AGENT))[1]["code"] == "agent_unknown"
    await hq.enrol(HARBOUR, AGENT)
    await hq.enrol(PARK, OTHER)
    status, answer = await hq.signed("GET", bundle_path(AGENT), by=OTHER)
    assert (status, answer["code"]) == (403, "agent_mismatch")
    status, answer = await hq.signed("POST", reports_path(AGENT), json.dumps(REPORT).encode(), by=OTHER)
    assert (status, answer["code"]) == (403, "agent_mismatch")
    assert (await bundle(hq, by=OTHER)).branch.code == PARK
    await change(hq, 1, (DropBranch(code=HARBOUR),))
    status, answer = await hq.signed("GET", bundle_path(AGENT), by=AGENT)
    assert (status, answer["code"]) == (404, "agent_not_listed")


async def test_the_console_hears_of_changes_and_of_reports(hq: Desk) -> None:
    await change(hq, 0, first_steps())
    await hq.enrol(HARBOUR, AGENT)
    headers = {"Cookie": f"{SESSION_COOKIE}={hq.token}"}
    async with (
        hq.session.get(hq.home.url + "/events", headers=headers) as stream,
        asyncio.timeout(10),
    ):
        await next_event(stream)
        await change(hq, 1, put(branch("LAKE", "lake-1")))
        await next_event(stream)
        await report(hq, status="degraded", issues=["disk_low"])
        await next_event(stream)


async def next_event(stream: ClientResponse) -> None:
    async for line in stream.content:
        if line == b"event: changed\n":
            return
    raise AssertionError("the stream ended")


async def test_reports_that_cannot_be_used_are_refused(hq: Desk) -> None:
    await change(hq, 0, first_steps())
    await hq.enrol(HARBOUR, AGENT)
    status, answer = await report(hq, status="splendid", bundle_sequence=-1)
    assert (status, answer["code"]) == (422, "invalid_fields")
    assert {each["field"] for each in answer["errors"]} == {"status", "bundle_sequence"}
    status, answer = await report(hq, of_tomorrow=[1, 2])
    assert status == 200
    status, answer = await report(hq, version="v" * 20_000)
    assert (status, answer["code"]) == (413, "too_large")


async def test_a_campaign_that_was_never_published_cannot_be_stopped(still_hq: Desk) -> None:
    status, answer = await still_hq.ask("POST", "/v1/campaigns/none/stop", {}, route=STOP_ROUTE)
    assert (status, answer["code"]) == (404, "campaign_unknown")
