"""What HQ's people do about agents, over the real cloud: revoke one, look at dead letters, have them judged again."""

import json
import sqlite3
from contextlib import closing

import pytest

from engagement.journal.entry import encode
from engagement.journal.event import Lane
from tests.fakes.cloud_fixtures import Enrolled
from tests.fakes.cloud_process import CloudHome, CloudProcess, Desk
from tests.fakes.happenings import issued, money
from tests.fakes.hq import AGENT, HARBOUR, OTHER, PARK, Journal

TODAY = "/v1/reports/funnel?from=2026-11-21&to=2026-11-21"
REVOKE = "/v1/agents/{agent}/revoke"
LETTERS = "/v1/dead-letters"


@pytest.fixture(scope="module")
def enrolled() -> Enrolled:
    return (HARBOUR, AGENT), (PARK, OTHER)


async def revoke(hq: Desk, agent: str) -> tuple[int, object]:
    return await hq.ask("POST", f"/v1/agents/{agent}/revoke", route=REVOKE)


async def state_of(hq: Desk, agent: str) -> str:
    _, answer = await hq.ask("GET", "/v1/agents")
    return str(next(each["state"] for each in answer["agents"] if each["name"] == agent))


async def test_a_revoked_agent_gets_nothing_and_others_go_on(hq: Desk) -> None:
    here, there = Journal(), Journal(OTHER)
    for journal in (here, there):
        journal.add(*money(4))
    assert (await hq.send(AGENT, here.packed(1, 2)))[0] == 200
    assert await revoke(hq, AGENT) == (200, {"agent": AGENT, "state": "revoked"})
    assert await revoke(hq, AGENT) == (200, {"agent": AGENT, "state": "revoked"})
    for packed in (here.packed(3, 4), here.packed(1, 2)):
        status, answer = await hq.send(AGENT, packed)
        assert (status, answer["code"]) == (401, "agent_unknown")
    assert (await hq.send(OTHER, there.packed()))[0] == 200
    assert await state_of(hq, AGENT) == "revoked"
    _, answer = await hq.ask("GET", TODAY)
    assert {line["campaign"]: line["claimed"] for line in answer["campaigns"]}["welcome"] == 3


async def test_a_revoked_agent_enrols_again_by_a_new_claim(hq: Desk, running: CloudProcess) -> None:
    journal = Journal()
    journal.add(*money(4))
    await hq.send(AGENT, journal.packed(1, 2))
    await revoke(hq, AGENT)
    running.kill()
    await running.run()
    assert (await hq.send(AGENT, journal.packed(3, 4)))[0] == 401
    await hq.enrol(HARBOUR, AGENT)
    status, answer = await hq.send(AGENT, journal.packed(3, 4))
    assert (status, answer["ack"]) == (200, 4)
    assert await state_of(hq, AGENT) == "active"


async def test_only_known_agents_are_revoked_and_only_by_people_of_hq(hq: Desk) -> None:
    status, answer = await revoke(hq, "stranger")
    assert (status, answer["code"]) == (404, "agent_not_listed")  # type: ignore[index]
    token, hq.token = hq.token, None
    assert (await revoke(hq, AGENT))[0] == 401
    for method, path in (("GET", LETTERS), ("POST", LETTERS + "/judge")):
        status, _ = await hq.ask(method, path)
        assert status == 401
    hq.token = token
    assert await state_of(hq, AGENT) == "active"


def learn(home: CloudHome, *, known: bytes, unknown: bytes) -> None:
    """Make the letters that say ``unknown`` say ``known``: what a newer version's reading does."""
    with closing(sqlite3.connect(home.folder / "hq" / "hq.db", isolation_level=None)) as connection:
        connection.execute("UPDATE dead_letters SET body = ? WHERE body = ?", (known, unknown))


async def test_dead_letters_are_shown_and_judged_again(hq: Desk, running: CloudProcess) -> None:
    journal = Journal()
    unknown = b'{"what":"of_tomorrow","name":"\xff"}'
    journal.add(*money(1))
    journal.add_raw(Lane.MONEY, unknown)
    journal.add_raw(Lane.MONEY, b"{}" + b" " * 5000)
    await hq.send(AGENT, journal.packed())
    status, answer = await hq.ask("GET", LETTERS)
    assert (status, answer["next"]) == (200, None)
    assert [(each["agent"], each["branch"], each["seq"], each["code"]) for each in answer["letters"]] == [
        (AGENT, HARBOUR, 2, "event_unreadable"),
        (AGENT, HARBOUR, 3, "event_unreadable"),
    ]
    assert answer["letters"][0]["body"].startswith('{"what":"of_tomorrow"')
    assert len(answer["letters"][1]["body"]) == 2000
    nothing = {"judged": 2, "used": 0, "left": 2, "next": None}
    assert await hq.ask("POST", LETTERS + "/judge", {}) == (200, nothing)
    running.kill()
    learn(running.home, known=encode(issued(2)), unknown=unknown)
    await running.run()
    status, answer = await hq.ask("POST", LETTERS + "/judge", {"agent": OTHER})
    assert (status, answer["judged"]) == (200, 0)
    used = {"judged": 2, "used": 1, "left": 1, "next": None}
    assert await hq.ask("POST", LETTERS + "/judge", {"agent": AGENT}) == (200, used)
    _, answer = await hq.ask("GET", TODAY)
    assert {line["campaign"]: line["claimed"] for line in answer["campaigns"]}["welcome"] == 2
    _, answer = await hq.ask("GET", LETTERS)
    assert [each["seq"] for each in answer["letters"]] == [3]


async def test_pages_of_letters(hq: Desk) -> None:
    for agent in (AGENT, OTHER):
        journal = Journal(agent)
        for _ in range(3):
            journal.add_raw(Lane.MONEY, b"{}")
        await hq.send(agent, journal.packed())
    found, after = [], ""
    while True:
        status, answer = await hq.ask("GET", f"{LETTERS}?limit=2{after}")
        assert status == 200
        found += [(each["agent"], each["seq"]) for each in answer["letters"]]
        if answer["next"] is None:
            break
        after = f"&after={answer['next']}"
    assert found == [(agent, seq) for agent in (AGENT, OTHER) for seq in (1, 2, 3)]
    _, answer = await hq.ask("GET", f"{LETTERS}?agent={OTHER}&limit=1")
    assert [each["agent"] for each in answer["letters"]] == [OTHER]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "after=x", "after=1-", "agent="])
async def test_queries_that_cannot_be_used(still_hq: Desk, query: str) -> None:
    status, answer = await still_hq.ask("GET", f"{LETTERS}?{query}")
    assert (status, answer["code"]) == (422, "invalid_fields")
    named = query.partition("=")[0]
    assert [each["field"] for each in answer["errors"]] == [named]


async def test_a_body_that_is_no_order_judges_nothing(still_hq: Desk) -> None:
    status, answer = await still_hq.ask("POST", LETTERS + "/judge", raw=json.dumps({"after": 3}).encode())
    assert (status, answer["code"]) == (422, "invalid_fields")
