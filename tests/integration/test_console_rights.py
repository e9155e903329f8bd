"""Budgets, what agents hold, and the fence of a restored HQ, as the console tells them to a browser without scripts."""

import asyncio
import re
import sqlite3
from contextlib import closing

import pytest

from engagement.estate.estate import Change, DropBranch, Step
from tests.eventually import PATIENCE_S
from tests.fakes.cloud_fixtures import Enrolled
from tests.fakes.cloud_process import CloudHome, CloudProcess, Desk
from tests.fakes.estates import put
from tests.fakes.happenings import issued, redeemed
from tests.fakes.hq import AGENT, CHAIN, HARBOUR, OTHER, PARK, Journal
from tests.fakes.plain_browser import PlainBrowser, plain_browser

JOURNAL = Journal()
CAMPAIGN = "/campaigns/welcome"
AGENT_PAGE = f"/agents/{AGENT}"
BUDGET = 1000


@pytest.fixture(scope="module")
def enrolled() -> Enrolled:
    return (HARBOUR, AGENT), (PARK, OTHER)


async def ask_for_rights(hq: Desk, *, number: int = 1, grant: str = "") -> str:
    """As HARBOUR's agent does, of its journal's ledger file; the sealed grant that it gets."""
    accounts = [{"campaign": "welcome", "wanted_units": 10}]
    body = {"epoch": JOURNAL.epoch, "number": number, "accounts": accounts, "grant": grant}
    status, answer = await hq.say(AGENT, "leases", body)
    assert status == 200, answer
    return str(answer["grant"])


async def has_given(hq: Desk, count: int) -> None:
    journal = Journal()
    journal.add(*(issued(serial) for serial in range(1, count + 1)), redeemed(1))
    status, answer = await hq.send(AGENT, journal.packed())
    assert status == 200, answer


def places(html: str) -> dict[str, int]:
    """Coupons in each place of the budget."""
    rows = re.findall(r'<tr data-of="(\w+)">.*?<td class="n">([\d,]+)</td>', html, re.DOTALL)
    return {place: int(units.replace(",", "")) for place, units in rows}


def held_by(html: str, agent: str, *, by: str = "agent") -> dict[str, int]:
    row = re.search(rf'<tr data-{by}="{agent}">(.*?)</tr>', html, re.DOTALL)
    assert row is not None, f"no row of {agent}"
    return {of: int(units.replace(",", "")) for of, units in re.findall(r'data-of="(\w+)">([\d,]+)<', row[1])}


async def test_a_fresh_budget_is_free(browser: PlainBrowser, hq: Desk) -> None:
    _, html = await browser.get(CAMPAIGN)
    assert places(html) == {"given": 0, "held": 0, "free": BUDGET}
    assert "Adds up" in html
    assert "No store has asked for any yet." in html


async def test_every_coupon_of_the_budget_is_somewhere(browser: PlainBrowser, hq: Desk) -> None:
    await ask_for_rights(hq)
    await has_given(hq, 3)
    _, html = await browser.get(CAMPAIGN)
    found, row = places(html), held_by(html, AGENT)
    assert (found["given"], sum(found.values())) == (3, BUDGET)
    assert found["held"] == row["held"] == row["granted"] - 3 > 0
    assert (row["used"], row["returned"]) == (3, 0)
    assert "Adds up" in html
    _, html = await browser.get(AGENT_PAGE)
    assert held_by(html, "welcome", by="campaign") == {"used": 3, "held": found["held"]}
    _, html = await browser.get(f"{CAMPAIGN}?lang=zh-Hans")
    assert "账目相符" in html


async def test_coupons_given_without_a_lease_are_said_to_be_beyond_the_budget(
    browser: PlainBrowser, hq: Desk
) -> None:
    await has_given(hq, 3)
    _, html = await browser.get(CAMPAIGN)
    assert places(html) == {"given": 3, "held": 0, "free": BUDGET}
    assert "Does not add up" in html
    assert "3 coupons (at most CN¥60.00) are out beyond the budget" in html


async def test_what_an_agent_holds_is_written_off(browser: PlainBrowser, hq: Desk) -> None:
    await ask_for_rights(hq)
    _, html = await browser.get(CAMPAIGN)
    granted = held_by(html, AGENT)["granted"]
    _, html = await browser.get(AGENT_PAGE)
    assert f'href="{AGENT_PAGE}/write-off"' in html
    _, html = await browser.get(f"{AGENT_PAGE}/write-off")
    assert "count as spent" in html
    response, _ = await browser.post(f"{AGENT_PAGE}/write-off", {}, origin="https://elsewhere.test")
    assert response.status == 403
    _, html = await browser.get(CAMPAIGN)
    assert "lost" not in places(html)
    response, _ = await browser.post(f"{AGENT_PAGE}/write-off", {})
    assert (response.status, response.headers["Location"]) == (303, AGENT_PAGE)
    _, html = await browser.get(AGENT_PAGE)
    assert 'data-of="written_off"' in html
    assert f'href="{AGENT_PAGE}/write-off"' not in html
    response, _ = await browser.get(f"{AGENT_PAGE}/write-off")
    assert (response.status, response.headers["Location"]) == (303, AGENT_PAGE), (
        "who went back is not asked again"
    )
    _, html = await browser.get(CAMPAIGN)
    assert places(html) == {"given": 0, "held": 0, "lost": granted, "free": BUDGET - granted}
    assert "Adds up" in html


async def change(hq: Desk, *steps: Step) -> None:
    _, estate = await hq.ask("GET", "/v1/estate")
    body = Change(base=estate["revision"], steps=steps).model_dump_json().encode()
    status, answer = await hq.ask("POST", "/v1/estate/changes", raw=body)
    assert status == 200, answer


async def shows_as_unlisted(browser: PlainBrowser, *agents: str) -> None:
    """Under the heading that says so; a look at all agents is good for a moment."""

    async with asyncio.timeout(PATIENCE_S):
        while True:
            _, html = await browser.get("/")
            _, _, below = html.partition('<h2 id="unlisted">')
            if re.findall(r'data-agent="([^"]+)"', below) == [*agents]:
                return


async def test_who_is_no_longer_in_the_inventory_is_found_and_written_off(
    browser: PlainBrowser, hq: Desk
) -> None:
    await shows_as_unlisted(browser)
    await ask_for_rights(hq)
    await change(hq, DropBranch(code=HARBOUR))
    await shows_as_unlisted(browser, AGENT)
    _, html = await browser.get(AGENT_PAGE)
    assert 'data-of="unlisted"' in html
    await browser.post(f"{AGENT_PAGE}/revoke", {})
    await shows_as_unlisted(browser, AGENT)
    await browser.post(f"{AGENT_PAGE}/write-off", {})
    await shows_as_unlisted(browser)
    _, html = await browser.get(f"/?branch={PARK}")
    assert 'id="unlisted"' not in html


async def test_an_agent_is_shown_in_the_branch_that_lists_it_now(browser: PlainBrowser, hq: Desk) -> None:
    here = CHAIN.branches[0].model_copy(update={"code": "PIER", "name": "The Pier"})
    await change(hq, DropBranch(code=HARBOUR), *put(here))
    await shows_as_unlisted(browser)
    _, html = await browser.get("/")
    panel = next(each for each in html.split('<li class="panel">') if "The Pier" in each)
    assert f'data-agent="{AGENT}"' in panel


def restore(home: CloudHome, *found: str) -> None:
    """What putting a backup back does to the database; ``found``: agents that the replaced one knew alone."""
    with closing(sqlite3.connect(home.folder / "hq" / "hq.db", isolation_level=None)) as connection:
        connection.execute("UPDATE lease_fence SET incarnation = ?, is_fenced = 1", ("f" * 32,))
        connection.executemany("INSERT INTO lease_agents VALUES (?, '', 0)", [(each,) for each in found])


async def test_an_agent_that_only_the_replaced_database_knew_can_be_written_off(
    browser: PlainBrowser, hq: Desk, running: CloudProcess
) -> None:
    assert running.stop() == 0
    restore(running.home, "pier-1")
    await running.run()
    await shows_as_unlisted(browser, "pier-1")
    response, html = await browser.get("/agents/pier-1")
    assert (response.status, 'href="/agents/pier-1/write-off"' in html) == (200, True)
    await browser.post("/agents/pier-1/write-off", {})
    await shows_as_unlisted(browser)
    _, html = await browser.get("/")
    assert "Still to be heard: 2." in html
    assert (await browser.get("/agents/nobody"))[0].status == 404


async def test_writing_off_says_when_it_is_dangerous(
    browser: PlainBrowser, hq: Desk, running: CloudProcess
) -> None:
    for language, gone in (("en", "really gone for good"), ("zh-Hans", "确实不会再恢复")):
        _, html = await browser.get(f"{AGENT_PAGE}/write-off?lang={language}")
        assert (gone in html, 'data-of="danger"' in html) == (True, False)
    assert running.stop() == 0
    restore(running.home)
    await running.run()
    for language, twice in (("en", "paid for twice"), ("zh-Hans", "等于支付两次")):
        _, html = await browser.get(f"{AGENT_PAGE}/write-off?lang={language}")
        assert ('data-of="danger"' in html, twice in html) == (True, True)


async def test_an_agent_that_was_written_off_before_the_restore_can_be_again(
    browser: PlainBrowser, hq: Desk, running: CloudProcess
) -> None:
    for agent in (AGENT, OTHER):
        await browser.post(f"/agents/{agent}/write-off", {})
    assert running.stop() == 0
    restore(running.home)
    await running.run()
    _, html = await browser.get("/")
    for agent in re.findall(r'<a class="mono" href="/agents/([^"]+)">', html):
        _, html = await browser.get(f"/agents/{agent}")
        assert f'href="/agents/{agent}/write-off"' in html
        await browser.post(f"/agents/{agent}/write-off", {})
    _, html = await browser.get("/")
    assert "restored from a backup" not in html


async def test_a_restored_hq_says_whom_it_waits_for(
    browser: PlainBrowser, hq: Desk, running: CloudProcess
) -> None:
    _, html = await browser.get("/")
    assert "restored from a backup" not in html
    assert running.stop() == 0
    restore(running.home)
    await running.run()
    for address in ("/", CAMPAIGN, AGENT_PAGE):
        _, html = await browser.get(address)
        assert "Still to be heard: 2." in html
        assert f'href="/agents/{OTHER}"' in html
    await browser.post(f"/agents/{OTHER}/write-off", {})
    _, html = await browser.get("/")
    assert "Still to be heard: 1." in html
    grant = await ask_for_rights(hq)
    await ask_for_rights(hq, number=2, grant=grant)
    _, html = await browser.get("/")
    assert "restored from a backup" not in html
    async with plain_browser(running.home) as stranger:
        _, html = await stranger.get("/")
        assert AGENT not in html
