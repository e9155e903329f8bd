"""What HQ's people look at: which day is today, and how it stands with each agent."""

import pytest

from cloud_api.services.overview import AgentView
from engagement.estate.estate import Estate
from engagement.ids import AgentName
from tests.fakes.estates import after, put
from tests.fakes.happenings import issued
from tests.fakes.hq import AGENT, CHAIN, OTHER, Hq, Journal, open_hq
from tests.fakes.memory_estate import MemoryEstate
from tests.fakes.memory_storage import MemoryStorage

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


async def agent(hq: Hq, name: AgentName) -> AgentView:
    return next(view for view in await hq.overview.agents() if view.name == name)


@pytest.mark.parametrize(
    ("passed_ms", "contact"),
    [
        (0, "fresh"),
        (10 * MINUTE_MS - 1, "fresh"),
        (10 * MINUTE_MS, "quiet"),
        (24 * HOUR_MS - 1, "quiet"),
        (24 * HOUR_MS, "silent"),
    ],
)
async def test_contact_grows_old(passed_ms: int, contact: str) -> None:
    hq = await open_hq(MemoryStorage())
    journal = Journal()
    journal.add(issued())
    await hq.ingesting.take(AGENT, journal.packed())
    hq.clock.pass_ms(passed_ms)
    assert hq.overview.contact(await agent(hq, AGENT)) == contact


async def test_agents_that_may_not_speak() -> None:
    hq = await open_hq(MemoryStorage())
    assert hq.overview.contact(await agent(hq, OTHER)) == "never"
    await hq.storage.revoke(AGENT)
    await hq.registry.load()
    assert hq.overview.contact(await agent(hq, AGENT)) == "revoked"


@pytest.mark.parametrize(
    ("passed_h", "day"),
    [(0, "2026-11-21"), (3, "2026-11-21"), (5, "2026-11-22"), (11, "2026-11-22")],
)
async def test_today_is_the_later_day_of_two_branches(passed_h: int, day: str) -> None:
    """From noon UTC: 20 h in Shanghai, 13 h in Berlin."""
    hq = await open_hq(MemoryStorage())
    hq.clock.pass_ms(passed_h * HOUR_MS)
    assert hq.overview.today() == day


async def test_today_is_the_day_of_most_branches() -> None:
    east, west = CHAIN.branches
    more = west.model_copy(update={"code": "LAKE", "agents": ()})
    hq = Hq(MemoryStorage(), store=MemoryEstate(after(Estate(), *put(east, west, more))))
    hq.clock.pass_ms(5 * HOUR_MS)
    assert hq.overview.today() == "2026-11-21"


async def test_today_of_a_chain_without_branches() -> None:
    hq = Hq(MemoryStorage(), store=MemoryEstate())
    assert hq.overview.today() == "2026-11-21"
