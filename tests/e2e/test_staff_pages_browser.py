"""A real Chromium on the other staff pages: signing in, kill switch, day sheet, scanner test, presence, look-up."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from edge_agent.services.cashiers import WRONG_PINS_MAX
from engagement.ids import BeaconName, CampaignId, ZoneName
from engagement.presence.change import Change, ChangeKind, Standing
from engagement.till.keyboard_layouts import LAYOUTS
from engagement.till.scanner import TEST_TEXT
from tests.fakes.counter import PIN, TILL_TOKEN
from tests.fakes.staff_server import StaffServer, staff_server
from tests.fakes.tablet import (
    CAMPAIGNS,
    PHONE,
    coupon,
    pair,
    scan,
    sign_in,
    tablet,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def server(tmp_path: Path) -> AsyncIterator[StaffServer]:
    async with staff_server(tmp_path, *CAMPAIGNS) as serving:
        yield serving


async def test_wrong_pins_make_the_till_pause(server: StaffServer, chromium: Browser) -> None:
    async with tablet(chromium, server.url) as page:
        await pair(page)
        for _ in range(WRONG_PINS_MAX):
            await page.get_by_label("PIN").fill("0000")
            await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("Too many wrong PINs")
        await page.get_by_label("PIN").fill(PIN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("seconds")
        server.counter.clock.pass_s(31)
        await page.get_by_label("PIN").fill(PIN)
        await page.keyboard.press("Enter")
        await expect(page.locator("#scan")).to_be_focused()


async def test_wrong_token_pairs_nothing(server: StaffServer, chromium: Browser) -> None:
    async with tablet(chromium, server.url) as page:
        await page.goto("/till")
        await page.locator("#token").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("No till of this store")
        assert await page.context.cookies() == []


async def test_kill_switch_asks_says_and_stops(server: StaffServer, chromium: Browser) -> None:
    async with tablet(chromium, server.url) as page:
        await sign_in(page, "/till/campaigns")
        await page.get_by_role("link", name="Stop Tea week").click()
        await expect(page.get_by_text("What becomes of coupons that customers already have?")).to_be_visible()
        await page.get_by_role("button", name="Stop it now").click()
        states = {each.campaign.id: each.state for each in await server.counter.redeeming.campaigns()}
        assert states[CampaignId("tea")] == "running"
        await page.get_by_label("Refuse them").check()
        await page.get_by_role("button", name="Stop it now").click()
        await expect(page.locator(".campaigns .stopped").first).to_contain_text(
            "Coupons given out are refused."
        )
        await expect(page.locator(".campaigns .stopped").first).to_contain_text("Till 1 / Li")


async def test_day_sheet_adds_up_and_downloads(
    server: StaffServer, chromium: Browser, tmp_path: Path
) -> None:
    for who in range(3):
        await coupon(server, "tea", who)
    async with tablet(chromium, server.url) as page:
        await sign_in(page)
        await scan(page, (await coupon(server)).code)
        await scan(page, "100")
        await page.get_by_role("button", name="Redeem 1").click()
        await expect(page.get_by_role("heading", name="Redeemed")).to_be_visible()
        await page.goto("/till/sheet")
        await expect(page.locator("tfoot td")).to_have_text(
            ["4", "1", "CN¥20.00", "0", "CN¥0.00", "CN¥20.00"]
        )
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download CSV").click()
        await (await download.value).save_as(tmp_path / "sheet.csv")
        table = (tmp_path / "sheet.csv").read_text(encoding="utf-8-sig")
        assert "2026-11-21,S1,welcome,CNY,1,20.00,1,20.00,0,0.00,20.00" in table.splitlines()
        await page.goto("/till/sheet?day=2026-11-20")
        await expect(page.locator("tfoot td").first).to_have_text("0")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (TEST_TEXT, "Every character came through."),
        (LAYOUTS[1].types(TEST_TEXT), "Deutsch (QWERTZ)"),
        (TEST_TEXT.lower(), "lower case"),
    ],
    ids=["right", "german", "lower case"],
)
async def test_scanner_page_names_what_is_set_wrong(
    server: StaffServer, chromium: Browser, typed: str, says: str
) -> None:
    async with tablet(chromium, server.url) as page:
        await pair(page, "/till/scanner")
        await expect(page.locator("#typed")).to_be_focused()
        await scan(page, typed)
        await expect(page.get_by_role("alert")).to_contain_text(says)


async def test_presence_page_is_live_and_stands_without_scripts(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
        await pair(page, "/staff")
        await expect(page.get_by_text("No tag is near.")).to_be_visible()
        await expect(page.locator("#live")).to_have_text("live")
        come_near(server)
        await expect(page.locator(".here")).to_contain_text("Anna's tag")
        await expect(page.locator(".here")).to_contain_text("Tea")
    async with tablet(chromium, server.url, java_script_enabled=False) as page:
        await pair(page, "/staff")
        await expect(page.locator(".here")).to_contain_text("Anna's tag")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_presence_page_is_legible_before_it_is_live(
    server: StaffServer, chromium: Browser, scheme: str
) -> None:
    async with tablet(chromium, server.url, color_scheme=scheme) as page:
        await page.route("**/near.js", lambda route: route.abort())
        await pair(page, "/staff")
        await expect(page.locator("#live a")).to_be_visible()
        await axe(page)


def come_near(server: StaffServer) -> None:
    board, tag, tea = server.counter.board, BeaconName("Anna's tag"), ZoneName("Tea")
    board.note(Change(t_s=1000.0, kind=ChangeKind.ENTER, beacon=tag, zone=tea, confidence=0.9))
    board.update({tag: Standing(zone=tea, confidence=0.93, rssi_dbm=-61.0)})


async def test_coupon_page_tells_its_story(server: StaffServer, chromium: Browser) -> None:
    given = await coupon(server)
    async with tablet(chromium, server.url) as page:
        await sign_in(page, "/staff/coupon")
        await expect(page.locator("#code")).to_be_focused()
        await scan(page, given.short_code)
        await expect(page.locator(".timeline li")).to_have_count(1)
        await expect(page.locator(".pill")).to_have_text("usable")
        assert given.short_code not in page.url
        mistyped = given.short_code[:-1] + ("0" if given.short_code[-1] != "0" else "1")
        await expect(page.locator("#code")).to_have_value("")
        await scan(page, mistyped)
        await expect(page.get_by_role("alert")).to_be_visible()
        await expect(page.locator("#code")).to_have_value(mistyped)
        await scan(page, given.short_code)
        await expect(page.locator(".timeline li")).to_have_count(1)


@pytest.mark.parametrize("width", [PHONE["width"], 768, 1024, 1280])
async def test_every_page_is_in_the_bar_whole_however_narrow_it_is(
    server: StaffServer, chromium: Browser, width: int
) -> None:
    async with tablet(chromium, server.url, viewport={"width": width, "height": 800}) as page:
        await sign_in(page)
        links = page.get_by_role("navigation").get_by_role("link")
        await expect(links).to_have_count(6)
        hidden_px = await page.get_by_role("navigation").evaluate("bar => bar.scrollWidth - bar.clientWidth")
        assert hidden_px == 0
        for box in [await link.bounding_box() for link in await links.all()]:
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["height"] >= 44


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_axe_finds_nothing_on_any_page(
    server: StaffServer, chromium: Browser, locale: str, scheme: str
) -> None:
    come_near(server)
    async with tablet(chromium, server.url, locale=locale, color_scheme=scheme) as page:
        await page.goto("/till")
        await axe(page)
        await page.locator("#token").fill(TILL_TOKEN)
        await page.keyboard.press("Enter")
        await page.locator("#pin").wait_for()
        await axe(page)
        await page.locator("#pin").fill("0")
        await page.keyboard.press("Enter")
        await page.get_by_role("alert").wait_for()
        await axe(page)
        await page.locator("#pin").fill(PIN)
        await page.keyboard.press("Enter")
        await page.locator("#scan").wait_for()
        await axe(page)
        given = await coupon(server)
        for text in (given.code, (await coupon(server, "big")).code, "nonsense", "100"):
            await scan(page, text)
        await expect(page.locator(".lines li.accepted")).to_have_count(1)
        await axe(page)
        await page.keyboard.press("F4")
        await page.locator("#new").wait_for()
        await axe(page)
        await page.locator(".recent button").first.click()
        await page.get_by_role("alertdialog").wait_for()
        await axe(page)
        for address in ("/till/sheet", "/till/campaigns", "/till/campaigns?stop=tea", "/staff", "/nothing"):
            await page.goto(address)
            await axe(page)
        await page.goto("/staff/coupon")
        await expect(page.locator("#code")).to_be_focused()
        await scan(page, given.code)
        await page.locator(".timeline").wait_for()
        await axe(page)
        await page.goto("/till/scanner")
        await expect(page.locator("#typed")).to_be_focused()
        await scan(page, "]Q1" + TEST_TEXT)
        await page.get_by_role("alert").wait_for()
        await axe(page)


async def axe(page: Page) -> None:
    # What a page says is there before its style is.
    await page.wait_for_load_state()
    found = await Axe().run(page)
    assert found.violations_count == 0, f"{page.url}: {found.generate_report()}"


@pytest.mark.parametrize("address", ["/till", "/till/sheet", "/till/campaigns", "/staff", "/till/scanner"])
async def test_no_page_is_wider_than_a_phone(server: StaffServer, chromium: Browser, address: str) -> None:
    async with tablet(chromium, server.url, viewport=PHONE) as page:
        await sign_in(page)
        await page.goto(address)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"]
