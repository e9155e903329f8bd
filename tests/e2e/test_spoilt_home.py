"""A store whose files were spoilt while it was off: it opens, serves its tills, and gives out nothing that is not its own."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engagement.estate.bundle import CampaignStop
from engagement.ids import CampaignId
from tests.fakes.agent_process import AgentHome, agent_on, lay_agent_home
from tests.fakes.callers import Callers, callers

ANNA, BERT = "127.52.0.1", "127.52.0.2"
TERMS = {"terms": True, "analytics": False, "marketing": False}


@pytest.fixture
def home(tmp_path: Path) -> AgentHome:
    return lay_agent_home(tmp_path / "home")


def stop_in_bundle(home: AgentHome, campaign: str) -> None:
    bundle_file = Path(str(home.settings["bundle"]))
    bundle = json.loads(bundle_file.read_bytes())
    stop = CampaignStop(campaign=CampaignId(campaign), honour_issued=False, by="Li", at_ms=1)
    bundle_file.write_text(json.dumps(bundle | {"stops": [stop.model_dump(mode="json")]}))


def lay_row(home: AgentHome, kind: str, row_id: str, body: str) -> None:
    with closing(sqlite3.connect(home.ledger)) as ledger, ledger:
        ledger.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", (kind, row_id, body))


async def titles(calls: Callers, address: str) -> list[str]:
    """Campaigns of the coupons that a phone gets on its first visit."""
    phone = await calls.phone(address)
    answer = await phone.ask("POST", "/api/consent", TERMS)
    assert answer.status == 200, answer.body
    return [card["campaign"] for card in answer.json["coupons"]]


async def issues(calls: Callers) -> set[str]:
    till = await calls.till()
    return {issue["code"] for issue in (await till.ask("GET", "/health")).json["issues"]}


async def test_a_ledger_that_was_leased_frees_no_local_budget_when_the_enrolment_is_gone(
    home: AgentHome,
) -> None:
    with agent_on(home) as agent:
        async with callers(home.access) as calls:
            assert await titles(calls, ANNA) == ["welcome"]
        agent.stop()
    lay_row(home, "lease_desk", "leases", json.dumps({"id": "leases", "number": 3}))
    with agent_on(home):
        async with callers(home.access) as calls:
            assert await titles(calls, BERT) == []
            assert "not_enrolled" in await issues(calls)
            assert await titles(calls, ANNA) == ["welcome"], "what she has, she keeps"


async def test_rows_that_cannot_be_read_take_only_what_they_held(home: AgentHome) -> None:
    with agent_on(home) as agent:
        async with callers(home.access) as calls:
            assert await titles(calls, ANNA) == ["welcome"]
        agent.stop()
    stop_in_bundle(home, "shake")
    lay_row(home, "stop", "shake", "{}")
    lay_row(home, "serial", "serial", "{}")
    with agent_on(home) as agent:
        async with callers(home.access) as calls:
            assert await titles(calls, ANNA) == ["welcome"]
            assert await titles(calls, BERT) == []
            page = await (await calls.phone(ANNA)).ask("GET", "/?lang=en")
            assert page.status == 200
        assert agent.stop() == 0
