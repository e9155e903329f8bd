"""What HQ changes reaches a store at work: real HQ, real agent, nobody restarts anything unless the test cuts the power."""

import asyncio
import json
import ssl
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, DummyCookieJar, TCPConnector

from edge_agent.adapters.kept_twice import copies
from engagement.campaign.model import Campaign
from engagement.estate.bundle import PairedTill
from engagement.estate.estate import Access, Change, PublishCampaign, PutBranch, Step
from engagement.ids import TillName
from tests.fakes import shop
from tests.fakes.agent_process import (
    ROOT,
    START_S_MAX,
    AgentHome,
    AgentProcess,
    agent_environment,
    agent_on,
    lay_agent_home,
)
from tests.fakes.cloud_process import CloudHome, CloudProcess, Desk, cloud, desk
from tests.fakes.hq import AGENT, CHAIN, HARBOUR

# HQ names 2 s between reports of a small chain; a line that failed meanwhile is tried again after up to 30 s.
SEEN_WITHIN_S = 60.0
TOKENS = {"till 1": "the first till's token", "till 2": "the second till's token"}


def branch_with(*tills: str, name: str = "Harbour") -> PutBranch:
    """The store with these tills, each let in by its token."""
    own = CHAIN.branches[0].model_dump(mode="json") | {"name": name, "tills": list(tills)}
    paired = tuple(
        PairedTill(name=TillName(till), token_sha256=sha256(TOKENS[till].encode()).hexdigest())
        for till in tills
    )
    return PutBranch.model_validate({"branch": own, "access": Access(tills=paired).model_dump(mode="json")})


def titled(title: str, **changes: object) -> Campaign:
    return shop.campaign(title={"en": title, "zh-Hans": title}, **changes)


class Store:
    """A store as its tills and shoppers meet it."""

    def __init__(self, home: AgentHome, session: ClientSession) -> None:
        self.home = home
        self.session = session

    async def health(self) -> dict[str, Any]:
        async with self.session.get(self.home.access.staff_url + "/health") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def issues(self) -> list[str]:
        """Codes of what health says; ``away`` while nothing answers."""
        try:
            return [issue["code"] for issue in (await self.health())["issues"]]
        except ClientConnectionError:
            return ["away"]

    async def as_till(self, till: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {TOKENS[till]}"}
        async with self.session.get(self.home.access.staff_url + "/v1/campaigns", headers=headers) as answer:
            return answer.status, await answer.json()

    async def front_page(self) -> str:
        async with self.session.get(self.home.access.guest_url + "/") as answer:
            return await answer.text()


async def seen(what: str, holds: Callable[[], Awaitable[bool]], within_s: float = SEEN_WITHIN_S) -> None:
    """Ask again until it holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not await holds():
        assert loop.time() < deadline, f"{what} was not seen within {within_s:g} s"
        await asyncio.sleep(0.1)


@asynccontextmanager
async def store_at(home: AgentHome) -> AsyncIterator[Store]:
    tls = ssl.create_default_context(cafile=str(home.access.ca_file))
    connector = TCPConnector(ssl=tls)
    async with ClientSession(connector=connector, cookie_jar=DummyCookieJar()) as session:
        yield Store(home, session)


class Hq:
    """The desk at HQ, which counts the revisions."""

    def __init__(self, desk_: Desk) -> None:
        self.desk = desk_
        self.revision = 0

    async def change(self, *steps: Step) -> None:
        body = json.loads(Change(base=self.revision, steps=steps).model_dump_json())
        status, answer = await self.desk.ask("POST", "/v1/estate/changes", body)
        assert status == 200, answer
        self.revision = answer["revision"]

    async def stop(self, campaign: str) -> None:
        status, answer = await self.desk.ask(
            "POST",
            f"/v1/campaigns/{campaign}/stop",
            {"honour_issued": True},
            route="/v1/campaigns/{id}/stop",
        )
        assert status == 200, answer
        self.revision = answer["revision"]

    async def works_from_the_newest(self) -> bool:
        _, answer = await self.desk.ask("GET", "/v1/agents")
        (agent,) = [each for each in answer["agents"] if each["name"] == AGENT]
        return bool(agent["bundle_sequence"]) and agent["bundle_sequence"] == agent["bundle_wanted"]


@pytest.fixture
def box(tmp_path: Path) -> AgentHome:
    """A mini-PC that knows nothing of HQ yet."""
    home = lay_agent_home(tmp_path / "box")
    home.write_settings(bundle=None)
    return home


@asynccontextmanager
async def running_hq(folder: Path) -> AsyncIterator[tuple[CloudProcess, Hq]]:
    home = CloudHome(folder, laid_out=None)
    async with cloud(home) as process, desk(home) as opened:
        await opened.sign_in()
        yield process, Hq(opened)


async def enrol(hq: Hq, home: AgentHome) -> None:
    """By the code that a person types at the box."""
    status, made = await hq.desk.ask("POST", "/v1/claims", {"branch": HARBOUR, "agent": AGENT})
    assert status == 200, made
    command = (sys.executable, "-m", "edge_agent", "enrol", made["claim_code"])
    typed = await asyncio.create_subprocess_exec(
        *command, "--config", str(home.settings_file), cwd=ROOT, env=agent_environment(), stdout=DEVNULL
    )
    assert await asyncio.wait_for(typed.wait(), 60) == 0


async def opens(store: Store, agent: AgentProcess) -> None:
    async def is_open() -> bool:
        found = await store.issues()
        return "away" not in found and "not_set_up" not in found

    try:
        await seen("the open store", is_open, START_S_MAX)
    except AssertionError:
        raise AssertionError(agent.text) from None


async def test_a_change_at_hq_is_the_stores_within_seconds_and_outlives_power_and_line(
    tmp_path: Path, box: AgentHome
) -> None:
    async with running_hq(tmp_path) as (cloud_process, hq), store_at(box) as store:
        await hq.change(branch_with("till 1"), PublishCampaign(campaign=titled("20 off")))
        with agent_on(box) as agent:
            await enrol(hq, box)
            await opens(store, agent)
            pid = agent.process.pid
            assert (await store.as_till("till 1"))[0] == 200
            await hq.change(
                branch_with("till 2", name="Harbour by the Sea"),
                PublishCampaign(campaign=titled("Free tea", id="tea", number=11)),
            )
            await seen("the new name", lambda: _shows(store, "Harbour by the Sea"))
            assert (await store.as_till("till 1"))[0] == 401
            assert (await store.as_till("till 2"))[0] == 200
            await seen("HQ hears of it", hq.works_from_the_newest)
            await hq.stop("tea")
            await seen("the stop", lambda: _is_stopped(store, "tea"))
            assert (agent.process.pid, agent.has_ended) == (pid, False)
            cloud_process.kill()
            agent.kill()
        with agent_on(box) as agent:
            await opens(store, agent)
            assert "Harbour by the Sea" in await store.front_page()
            assert await _is_stopped(store, "tea")


async def test_a_kept_bundle_that_is_damaged_waits_for_hq_and_is_mended_by_it(
    tmp_path: Path, box: AgentHome
) -> None:
    async with running_hq(tmp_path) as (cloud_process, hq), store_at(box) as store:
        await hq.change(branch_with("till 1"))
        with agent_on(box) as agent:
            await enrol(hq, box)
            await opens(store, agent)
            agent.kill()
        cloud_process.kill()
        kept = copies(box.folder / "agent" / "bundle.sealed.json")
        for each in kept:
            each.write_bytes(each.read_bytes()[:-40])
        with agent_on(box) as agent:
            await seen("setup mode", lambda: _has(store, "not_set_up"), START_S_MAX)
            await cloud_process.run()
            await opens(store, agent)
            assert (await store.as_till("till 1"))[0] == 200
        for each in kept:
            assert json.loads(each.read_text(encoding="utf-8"))["kind"] == "bundle"


async def _shows(store: Store, text: str) -> bool:
    return text in await store.front_page()


async def _has(store: Store, issue: str) -> bool:
    return issue in await store.issues()


async def _is_stopped(store: Store, campaign: str) -> bool:
    _, answer = await store.as_till("till 2")
    stops = {each["id"]: each.get("stop") for each in answer["campaigns"]}
    return bool(stops.get(campaign)) and stops[campaign]["by"] == "HQ: hq"
