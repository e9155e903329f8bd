"""A real Chromium on HQ's console: signing in, numbers that come by themselves, a coupon's life, and axe."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from engagement.coupon.short_code import make_short_code
from engagement.journal.event import Lane
from tests.fakes.cloud_fixtures import Enrolled, signed_in
from tests.fakes.cloud_process import PASSWORD, USER, CloudProcess, Desk
from tests.fakes.happenings import consented, money
from tests.fakes.hq import AGENT, HARBOUR, Journal
from tests.fakes.tablet import PHONE, TABLET, tablet

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = "/?from=2026-11-21&to=2026-11-21"
CODE = make_short_code(key=b"k", agent_number=1, lease_number=1, serial=1, not_before_min=1)
REPORT = {
    "bundle_sequence": 1,
    "status": "degraded",
    "issues": ["radio_lost", "of_a_later_version"],
    "backlog": {"money": 12, "engagement": 1043, "telemetry": 0},
    "version": "1",
}
# Every page and what asks before it is done.
PAGES = (
    DAY,
    "/?branch=none",
    "/coupon",
    "/agents/harbour-1",
    "/agents/harbour-1?judged=2&used=1",
    "/agents/park-1",
    "/agents/nobody",
    "/agents/harbour-1/revoke",
    "/agents/harbour-1/write-off",
    "/campaigns/welcome",
    "/campaigns/welcome/stop",
    "/campaigns/shake",
)
# A page that is told nothing fetches itself after half a minute; one that is told has long done so.
_LAG_MS_MAX = 20_000


@pytest.fixture(scope="module")
def enrolled() -> Enrolled:
    return ((HARBOUR, AGENT),)


@pytest_asyncio.fixture(loop_scope="module")
async def hq(chromium: Browser, running: CloudProcess, enrolled: Enrolled) -> AsyncIterator[Desk]:
    """Signed in, on the loop of the tests; where there is no Chromium, nothing is started."""
    async with signed_in(running.home, enrolled) as opened:
        yield opened


async def sign_in(page: Page, *, user: str = USER, password: str = PASSWORD) -> None:
    await page.goto("/")
    await page.locator("#user").fill(user)
    await page.locator("#password").fill(password)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def send(hq: Desk, journal: Journal) -> None:
    for lane in (Lane.MONEY, Lane.ENGAGEMENT):
        status, answer = await hq.send(AGENT, journal.packed(lane=lane))
        assert status == 200, answer


def a_day() -> Journal:
    journal = Journal()
    journal.add(consented(), consented(), *money(3))
    return journal


async def test_a_wrong_password_says_so_and_the_right_one_opens(chromium: Browser, hq: Desk) -> None:
    async with tablet(chromium, hq.home.url) as page:
        await sign_in(page, password="wrong")
        await expect(page.get_by_role("alert")).to_contain_text("User or password is wrong.")
        await expect(page.locator("#password")).to_be_focused()
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Today")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_numbers_come_by_themselves(chromium: Browser, hq: Desk) -> None:
    async with tablet(chromium, hq.home.url) as page:
        await sign_in(page)
        await page.goto(DAY)
        await expect(page.locator("#state")).to_have_text("Live")
        redeemed = page.locator("[data-campaign=welcome] [data-of=redeemed]")
        await expect(redeemed).to_have_text("0")
        await page.locator("#branch").fill("HAR")
        await send(hq, a_day())
        await expect(redeemed).to_have_text("1", timeout=_LAG_MS_MAX)
        await expect(page.locator("[data-campaign=welcome] [data-of=value]")).to_have_text("CN¥20.00")
        await expect(page.locator("[data-agent=harbour-1]")).to_contain_text("In contact")
        await expect(page.locator("#branch")).to_have_value("HAR")


async def test_a_coupon_is_found_by_its_code(chromium: Browser, hq: Desk) -> None:
    await send(hq, a_day())
    async with tablet(chromium, hq.home.url) as page:
        await sign_in(page)
        await page.get_by_role("link", name="Find a coupon").click()
        await expect(page.locator("#code")).to_be_focused()
        await page.keyboard.type(CODE)
        await page.keyboard.press("Enter")
        await expect(page.locator(".timeline li")).to_have_count(2)
        await expect(page.locator(".timeline .coupon_redeemed")).to_contain_text("till-1 · Li")
        assert CODE not in page.url
        for typed in ("123", CODE):
            await expect(page.locator("#code")).to_be_focused()
            await page.keyboard.type(typed)
            async with page.expect_navigation():
                await page.keyboard.press("Enter")
        await expect(page.locator(".timeline li")).to_have_count(2)


async def test_everything_works_without_scripts(chromium: Browser, hq: Desk) -> None:
    await send(hq, a_day())
    async with tablet(chromium, hq.home.url, java_script_enabled=False) as page:
        await sign_in(page)
        await page.locator("#from").fill("2026-11-21")
        await page.locator("#to").fill("2026-11-21")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("[data-campaign=welcome] [data-of=claimed]")).to_have_text("2")
        await page.get_by_role("link", name="简体中文").click()
        await expect(page.locator("[data-campaign=welcome] .steps")).to_contain_text("已领取")
        await page.get_by_role("link", name="查券").click()
        await page.locator("#code").fill(CODE)
        await page.get_by_role("button", name="查找").click()
        await expect(page.locator(".timeline li")).to_have_count(2)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no_scripts"])
async def test_a_campaign_is_stopped_everywhere(chromium: Browser, hq: Desk, scripts: bool) -> None:
    async with tablet(chromium, hq.home.url, java_script_enabled=scripts) as page:
        await sign_in(page)
        await page.get_by_role("link", name="20 off").first.click()
        await expect(page.locator("[data-of=state]")).to_have_text("Running")
        await page.get_by_role("link", name="Stop everywhere").click()
        for choice in ("They are still redeemed", "They are refused"):
            await expect(page.get_by_role("radio", name=choice)).not_to_be_checked()
        await page.get_by_role("button", name="Stop everywhere").click()
        await expect(page.get_by_role("radio", name="They are refused")).to_be_visible()
        await page.get_by_role("link", name="Do not").click()
        await expect(page.locator("[data-of=state]")).to_have_text("Running")
        await page.get_by_role("link", name="Stop everywhere").click()
        await page.get_by_text("They are refused").click()
        await page.get_by_role("button", name="Stop everywhere").click()
        await expect(page.locator("[data-of=state]")).to_have_text("Stopped")
        await expect(page.locator("[data-of=stopped]")).to_contain_text("refused at the tills")
        await expect(page.get_by_role("link", name="Stop everywhere")).to_have_count(0)


async def test_a_stop_made_elsewhere_is_seen_at_once(chromium: Browser, hq: Desk) -> None:
    async with tablet(chromium, hq.home.url) as page:
        await sign_in(page)
        await page.goto("/campaigns/welcome")
        await expect(page.locator("#state")).to_have_text("Live")
        status, _ = await hq.ask(
            "POST", "/v1/campaigns/welcome/stop", {"honour_issued": True}, route="/v1/campaigns/{id}/stop"
        )
        assert status == 200
        await expect(page.locator("[data-of=state]")).to_have_text("Stopped", timeout=_LAG_MS_MAX)
        await expect(page.locator("[data-of=stopped]")).to_contain_text("still redeemed")


async def test_an_agents_troubles_come_by_themselves_and_leave_the_focus(chromium: Browser, hq: Desk) -> None:
    journal = a_day()
    journal.add_raw(Lane.MONEY, b"{}")
    await send(hq, journal)
    async with tablet(chromium, hq.home.url) as page:
        await sign_in(page)
        await page.get_by_role("link", name=AGENT).click()
        await expect(page.locator("#state")).to_have_text("Live")
        await page.locator("#judge").focus()
        await hq.say(AGENT, "reports", REPORT)
        await expect(page.get_by_text("It hears no beacons.")).to_be_visible(timeout=_LAG_MS_MAX)
        await expect(page.locator("#judge")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status").filter(has_text="judged again")).to_contain_text(
            "1 judged again: 0 count now, 1 stay."
        )


async def test_an_agent_is_revoked_by_hand(chromium: Browser, hq: Desk) -> None:
    async with tablet(chromium, hq.home.url) as page:
        await sign_in(page)
        await page.goto("/agents/harbour-1?lang=zh-Hans")
        await page.get_by_role("link", name="吊销").click()
        await page.get_by_role("button", name="吊销").click()
        await expect(page.get_by_text("此设备已被吊销")).to_be_visible()
        await expect(page.locator("[data-agent=harbour-1]")).to_contain_text("已吊销")


# Each size meets each scheme and each language on every page, and each scheme each language.
@pytest.mark.parametrize(
    ("size", "scheme", "language"),
    [
        (TABLET, "light", "en"),
        (TABLET, "dark", "zh-Hans"),
        (PHONE, "light", "zh-Hans"),
        (PHONE, "dark", "en"),
    ],
    ids=["desk-light-en", "desk-dark-zh", "phone-light-zh", "phone-dark-en"],
)
async def test_no_barrier_that_axe_finds(
    chromium: Browser, hq: Desk, size: dict[str, int], scheme: str, language: str
) -> None:
    journal = a_day()
    journal.add_raw(Lane.MONEY, b"{}")
    await send(hq, journal)
    await hq.say(AGENT, "reports", REPORT)
    stop = {"honour_issued": False}
    await hq.ask("POST", "/v1/campaigns/shake/stop", stop, route="/v1/campaigns/{id}/stop")
    async with tablet(chromium, hq.home.url, viewport=size, color_scheme=scheme) as page:
        await sign_in(page, password="wrong")
        await _check(page)
        await sign_in(page)
        await expect(page.locator("#state")).to_have_text("Live")
        await page.goto(f"/?lang={language}")
        for address in PAGES:
            await page.goto(address)
            await _check(page)
        await page.goto("/coupon")
        for code in ("1", CODE):
            await page.locator("#code").fill(code)
            async with page.expect_navigation():
                await page.keyboard.press("Enter")
            await expect(page.get_by_role("alert").or_(page.locator(".timeline"))).to_be_visible()
            await _check(page)


async def _check(page: Page) -> None:
    """Also that nothing is wider than the screen."""
    # What a page says is there before its style is.
    await page.wait_for_load_state()
    found = await Axe().run(page)
    assert found.violations_count == 0, f"{page.url}: {found.generate_report()}"
    assert page.viewport_size is not None
    assert await page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
