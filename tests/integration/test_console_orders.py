"""What people order in the console, as a browser without scripts does it: stop, revoke, judge again; and agents' own words."""

import re

import pytest

from engagement.estate.estate import Change, PublishCampaign
from engagement.journal.event import Lane
from tests.fakes import shop
from tests.fakes.cloud_fixtures import Enrolled
from tests.fakes.cloud_process import Desk
from tests.fakes.happenings import money
from tests.fakes.hq import AGENT, ALWAYS, HARBOUR, Journal
from tests.fakes.plain_browser import PlainBrowser

AGENT_PAGE = f"/agents/{AGENT}"
STOP = "/campaigns/welcome/stop"
ORDERS = (STOP, f"{AGENT_PAGE}/revoke", f"{AGENT_PAGE}/judge")


@pytest.fixture(scope="module")
def enrolled() -> Enrolled:
    return ((HARBOUR, AGENT),)


def shown(html: str, of: str) -> str:
    """The text of what the page marks with this name."""
    found = re.search(rf'<(\w+)[^>]*data-of="{of}"[^>]*>(.*?)</\1>', html, re.DOTALL)
    assert found is not None, f"nothing is marked {of}"
    return re.sub("<[^>]+>", "", found[2]).strip()


def report(**changes: object) -> dict[str, object]:
    backlog = {"money": 0, "engagement": 0, "telemetry": 0}
    return {
        "bundle_sequence": 1, "status": "ok", "issues": [], "backlog": backlog, "version": "9.8",
    } | changes  # fmt: skip


async def campaign_state(hq: Desk) -> str:
    _, answer = await hq.ask("GET", "/v1/campaigns")
    return str(next(each["state"] for each in answer["campaigns"] if each["id"] == "welcome"))


@pytest.mark.parametrize(
    ("choice", "is_honoured", "said"),
    [("honoured", True, "are still redeemed"), ("refused", False, "are refused at the tills")],
)
async def test_a_campaign_is_stopped_everywhere(
    browser: PlainBrowser, hq: Desk, choice: str, is_honoured: bool, said: str
) -> None:
    _, html = await browser.get("/campaigns/welcome")
    assert shown(html, "state") == "Running"
    assert f'href="{STOP}"' in html
    _, html = await browser.get(STOP)
    assert re.findall(r'name="coupons" value="(\w+)"([^>]*)>', html) == [
        ("honoured", " required"),
        ("refused", " required"),
    ], "what becomes of shoppers' coupons is nobody's slip"
    assert await campaign_state(hq) == "running"
    response, _ = await browser.post(STOP, {"coupons": choice})
    assert (response.status, response.headers["Location"]) == (303, "/campaigns/welcome")
    _, html = await browser.get("/campaigns/welcome")
    assert (shown(html, "state"), said in html) == ("Stopped", True)
    assert (f'href="{STOP}"' in html) == is_honoured, "a milder stop can still be made a full one"
    response, _ = await browser.get(STOP)
    assert response.status == (200 if is_honoured else 303), "who went back is not asked again"
    _, estate = await hq.ask("GET", "/v1/estate")
    assert [(stop["campaign"], stop["honour_issued"], stop["by"]) for stop in estate["stops"]] == [
        ("welcome", is_honoured, "hq")
    ]
    _, html = await browser.get("/")
    assert re.search(r'data-campaign="welcome".*?Stopped', html, re.DOTALL)


async def test_a_stop_without_a_choice_stops_nothing(still_browser: PlainBrowser, still_hq: Desk) -> None:
    for form in ({}, {"coupons": "burnt"}):
        response, html = await still_browser.post(STOP, form)
        assert response.status == 400
        assert "cannot be read" in html
    assert await campaign_state(still_hq) == "running"


@pytest.mark.parametrize("address", ORDERS)
@pytest.mark.parametrize("origin", ["https://elsewhere.test", "null", None])
async def test_no_other_site_orders_anything(
    still_browser: PlainBrowser, still_hq: Desk, address: str, origin: str | None
) -> None:
    response, html = await still_browser.post(address, {"coupons": "refused"}, origin=origin)
    assert response.status == 403
    assert "did not come from our own page" in html
    await _nothing_was_done(still_hq)


@pytest.mark.parametrize("address", ORDERS)
async def test_nobody_orders_without_a_session(
    still_visitor: PlainBrowser, still_hq: Desk, address: str
) -> None:
    for send in (still_visitor.get(address), still_visitor.post(address, {"coupons": "refused"})):
        response, html = await send
        assert response.status in (200, 405)
        assert "harbour-1" not in html.replace(f'name="next" value="{address}"', "")
        assert "20 off" not in html
    await _nothing_was_done(still_hq)


async def _nothing_was_done(hq: Desk) -> None:
    assert await campaign_state(hq) == "running"
    _, answer = await hq.ask("GET", "/v1/agents")
    assert next(each["state"] for each in answer["agents"] if each["name"] == AGENT) == "active"


async def test_an_agent_is_revoked(browser: PlainBrowser, hq: Desk) -> None:
    _, html = await browser.get(AGENT_PAGE)
    assert f'href="{AGENT_PAGE}/revoke"' in html
    _, html = await browser.get(f"{AGENT_PAGE}/revoke")
    assert "key from it" in html
    response, _ = await browser.post(f"{AGENT_PAGE}/revoke", {})
    assert (response.status, response.headers["Location"]) == (303, AGENT_PAGE)
    _, html = await browser.get(AGENT_PAGE)
    assert "This mini-PC was revoked" in html
    assert "/revoke" not in html
    response, _ = await browser.get(f"{AGENT_PAGE}/revoke")
    assert (response.status, response.headers["Location"]) == (303, AGENT_PAGE), (
        "who went back is not asked again"
    )
    journal = Journal()
    journal.add(*money(1))
    assert (await hq.send(AGENT, journal.packed()))[0] == 401


async def test_dead_letters_are_shown_with_their_reason_and_judged_again(
    browser: PlainBrowser, hq: Desk
) -> None:
    journal = Journal()
    journal.add_raw(Lane.MONEY, b'{"what":"<b>of tomorrow"}')
    journal.add_raw(Lane.MONEY, b"{}")
    await hq.send(AGENT, journal.packed())
    _, html = await browser.get(AGENT_PAGE)
    assert "A kind of event that this version of HQ does not know" in html
    assert "&lt;b&gt;of tomorrow" in html
    response, _ = await browser.post(f"{AGENT_PAGE}/judge", {})
    assert response.status == 303
    _, html = await browser.get(response.headers["Location"].partition("#")[0])
    assert "2 judged again: 0 count now, 2 stay." in html


async def test_counts_in_an_address_are_numbers_or_nothing(browser: PlainBrowser, hq: Desk) -> None:
    for query in (
        "judged=<b>&used=1",
        "judged=1",
        "judged=-1&used=0",
        "judged=٣&used=٣",
        "judged=9999999999&used=1",
    ):
        response, html = await browser.get(f"{AGENT_PAGE}?{query}")
        assert response.status == 200
        assert "judged again" not in html


async def test_what_an_agent_says_of_itself(browser: PlainBrowser, hq: Desk) -> None:
    _, html = await browser.get(AGENT_PAGE)
    assert "has not reported yet" in html
    told = report(
        status="degraded",
        issues=["radio_lost", "of_a_later_version"],
        backlog={"money": 1234, "engagement": 0, "telemetry": 5},
    )
    assert (await hq.say(AGENT, "reports", told))[0] == 200
    _, html = await browser.get(AGENT_PAGE)
    assert shown(html, "status") == "Works, but something is wrong"
    assert "It hears no beacons." in html
    assert "of_a_later_version" in html
    assert re.findall(r'data-of="waiting">([^<]*)<', html) == ["1,234", "0", "5"]
    assert shown(html, "bundle") == "up to date"
    assert "9.8" in html
    _, html = await browser.get(f"{AGENT_PAGE}?lang=zh-Hans")
    assert "无法收到信标" in html
    _, html = await browser.get("/?lang=en")
    assert (shown(html, "waiting-money"), shown(html, "waiting-telemetry")) == ("1,234", "5")


async def test_a_store_that_works_from_old_instructions_is_seen(browser: PlainBrowser, hq: Desk) -> None:
    await hq.say(AGENT, "reports", report())
    await browser.post(STOP, {"coupons": "refused"})
    _, html = await browser.get(AGENT_PAGE)
    assert shown(html, "bundle") == "behind: version 1, HQ has 2"
    _, html = await browser.get("/")
    assert shown(html, "bundle") == "behind: version 1, HQ has 2"


async def test_campaigns_that_are_over_are_out_of_the_way(browser: PlainBrowser, hq: Desk) -> None:
    over = shop.campaign(
        id="over", number=9, name="Autumn", window=ALWAYS | {"ends_at": "2021-01-01T00:00:00Z"}
    )
    _, estate = await hq.ask("GET", "/v1/estate")
    change = Change(base=estate["revision"], steps=(PublishCampaign(campaign=over),))
    status, answer = await hq.ask("POST", "/v1/estate/changes", raw=change.model_dump_json().encode())
    assert status == 200, answer
    _, html = await browser.get("/")
    assert "Campaigns that are over: 1" in html
    assert re.findall(r'data-campaign="(\w+)"', html) == ["welcome", "shake", "back"]
    assert re.search(r'<a href="/campaigns/over">.*?Ended', html, re.DOTALL)


@pytest.mark.parametrize(
    "address", ["/agents/nobody", "/agents/nobody/revoke", "/campaigns/none", "/campaigns/none/stop"]
)
async def test_what_hq_does_not_know_has_no_page(
    still_browser: PlainBrowser, still_hq: Desk, address: str
) -> None:
    response, html = await still_browser.get(address)
    assert response.status == 404
    assert "HQ knows nothing by this name" in html
