"""A real Chromium at the till: scanner as keyboard, several coupons, refusals, undo, lost answers, the camera."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from PIL import Image
from playwright.async_api import Page, async_playwright, expect

from edge_agent.adapters.qr import qr_png
from edge_agent.services.cashiers import IDLE_S_MAX, WRONG_PINS_MAX
from edge_agent.services.redeeming import Basket
from engagement.coupon.coupon import CouponRecord
from engagement.ids import BeaconName, CampaignId, OrderId, RequestId, SubjectId, ZoneName
from engagement.presence.change import Change, ChangeKind, Standing
from engagement.till.keyboard_layouts import LAYOUTS
from engagement.till.scanner import TEST_TEXT
from tests.fakes import shop
from tests.fakes.counter import OTHER_TILL, PIN, TILL_TOKEN
from tests.fakes.staff_server import StaffServer, staff_server
from tests.needs import CHROMIUM, needs_chromium

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
TABLET = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
TOGETHER = {"stacking": {"max_in_group": 5}, "limits": {"issue": 50, "issue_per_day": 50}}
CAMPAIGNS = (
    shop.campaign(**TOGETHER),
    shop.campaign(
        id="tea",
        number=9,
        title={"en": "Tea week", "zh-Hans": "茶周"},
        offer={"kind": "percent", "off_bps": 1500, "cap_minor": 3000},
        **TOGETHER,
    ),
    shop.campaign(
        id="big",
        number=10,
        title={"en": "Big basket", "zh-Hans": "大额满减"},
        offer={"kind": "cash", "value_minor": 8000, "min_spend_minor": 50_000},
        **TOGETHER,
    ),
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[StaffServer]:
    needs_chromium()
    async with staff_server(tmp_path, *CAMPAIGNS) as serving:
        yield serving


@asynccontextmanager
async def tablet(server: StaffServer, *arguments: str, **options: Any) -> AsyncIterator[Page]:
    """A fresh device. A page that throws, or breaks its own content policy, fails the test."""
    faults: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
        settings: dict[str, Any] = {
            "viewport": TABLET,
            "locale": "en-GB",
            "ignore_https_errors": True,
            "base_url": server.url,
        }
        context = await browser.new_context(**(settings | options))
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        yield page
        await context.close()
        await browser.close()
    assert faults == []


async def pair(page: Page, address: str = "/till") -> None:
    await page.goto(address)
    await page.locator("#token").fill(TILL_TOKEN)
    await page.keyboard.press("Enter")


async def sign_in(page: Page, address: str = "/till") -> None:
    await pair(page, address)
    await page.get_by_label("PIN").fill(PIN)
    await page.keyboard.press("Enter")
    await expect(page.locator(".who b")).to_have_text("Li")


async def scan(page: Page, text: str) -> None:
    """As a scanner does it: keys to wherever the cursor stands, Enter at the end."""
    await page.keyboard.type(text)
    await page.keyboard.press("Enter")


def lines(page: Page) -> Any:
    return page.locator(".lines li")


async def coupon(server: StaffServer, campaign: str = "welcome", who: int = 0) -> CouponRecord:
    return await server.counter.coupon(campaign, SubjectId(f"v:{who}"))


async def recorded_minor(server: StaffServer) -> int:
    """What the day's sheet says the tills took off."""
    return sum(line.net_minor for line in (await server.counter.redeeming.sheet())[1])


async def test_scans_amount_and_redeem_without_touching_the_mouse(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        await scan(page, (await coupon(server)).code)
        await scan(page, (await coupon(server, "tea")).short_code)
        await expect(lines(page)).to_have_count(2)
        await scan(page, "168")
        await expect(page.locator(".due dd")).to_have_text("CN¥122.80")
        await page.keyboard.press("F4")
        await expect(page.get_by_role("heading", name="Redeemed")).to_be_visible()
        await expect(page.locator(".off dd")).to_have_text("−CN¥45.20")
        await expect(page.locator(".due dd")).to_have_text("CN¥122.80")
        assert await recorded_minor(server) == 4520
        # The next customer's scan begins a new order.
        await scan(page, (await coupon(server, "tea", 7)).code)
        await expect(page.get_by_role("heading", name="Coupons on this order")).to_be_visible()
        await expect(lines(page)).to_have_count(1)


async def test_scans_that_come_faster_than_answers_are_all_taken(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        for who in range(5):
            await scan(page, (await coupon(server, "tea", who)).code)
        await expect(lines(page)).to_have_count(5)


async def test_scan_into_the_amount_is_taken_for_a_scan(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        await page.locator("#basket").fill("168")
        await scan(page, (await coupon(server)).code)
        await expect(lines(page)).to_have_count(1)
        await expect(page.locator("#basket")).to_have_value("168")


async def test_refusals_say_why_and_what_would_help(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        await scan(page, "4006381333931")
        await expect(page.locator("#news")).to_contain_text("not one of our coupon codes")
        await expect(lines(page)).to_have_count(0)
        await scan(page, "120")
        await scan(page, (await coupon(server, "big")).code)
        refused = lines(page).first
        await expect(refused).to_contain_text("CN¥380.00 short")
        await expect(refused).to_contain_text("Add CN¥380.00 or more")
        await page.locator("#basket").fill("500")
        await expect(refused.locator(".amount")).to_have_text("−CN¥80.00")
        await page.get_by_role("button", name="Redeem 1").click()
        await expect(page.locator(".due dd")).to_have_text("CN¥420.00")


async def test_mistyped_amount_is_said_and_nothing_is_redeemed(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        await scan(page, (await coupon(server)).code)
        await page.locator("#basket").fill("168.505")
        await expect(page.get_by_text("This is no amount")).to_be_visible()
        await page.keyboard.press("F4")
        await expect(page.locator("#news")).to_contain_text("Type the basket's amount first.")
        assert await recorded_minor(server) == 0


async def test_undo_asks_and_names_its_cashier(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        given = await coupon(server)
        await scan(page, given.code)
        await scan(page, "100")
        await page.get_by_role("button", name="Redeem 1").click()
        await page.get_by_role("button", name="Undo 20 off").click()
        await expect(page.get_by_role("alertdialog")).to_contain_text("CN¥20.00")
        assert await recorded_minor(server) == 2000
        await page.get_by_role("button", name="Undo it").click()
        await expect(page.locator("#news")).to_contain_text("Undone.")
        await expect(page.locator(".due dd")).to_have_text("CN¥100.00")
        assert await recorded_minor(server) == 0
        story = await server.counter.redeeming.story(given.code, till=OTHER_TILL)
        assert story.coupon.history[-1].by == "Till 1 / Li"  # type: ignore[union-attr]
        await scan(page, given.code)
        await scan(page, "100")
        await expect(page.get_by_role("button", name="Redeem 1")).to_be_visible()


async def test_undo_is_offered_for_ten_minutes(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        await scan(page, (await coupon(server)).code)
        await scan(page, "100")
        await page.get_by_role("button", name="Redeem 1").click()
        await expect(page.get_by_role("button", name="Undo 20 off")).to_be_visible()
        server.counter.clock.pass_s(601)
        await page.reload()
        await expect(page.locator(".recent li")).to_have_count(1)
        await expect(page.get_by_role("button", name="Undo 20 off")).to_have_count(0)


async def test_lost_answer_is_asked_for_again_and_redeems_once(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        await scan(page, (await coupon(server)).code)
        await scan(page, "100")
        await expect(page.locator(".due dd")).to_have_text("CN¥80.00")
        server.drops_answers = True
        await page.keyboard.press("F4")
        await expect(page.locator("#no-answer")).to_be_visible()
        server.drops_answers = False
        assert await recorded_minor(server) == 2000
        await expect(page.get_by_role("heading", name="Redeemed")).to_be_visible()
        await expect(page.locator(".due dd")).to_have_text("CN¥80.00")
        assert await recorded_minor(server) == 2000


async def test_reload_after_a_lost_answer_shows_what_was_done(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        await scan(page, (await coupon(server)).code)
        await scan(page, "100")
        await expect(page.locator(".due dd")).to_have_text("CN¥80.00")
        server.drops_answers = True
        await page.keyboard.press("F4")
        await expect(page.locator("#no-answer")).to_be_visible()
        server.drops_answers = False
        await page.reload()
        await expect(page.get_by_role("heading", name="Redeemed")).to_be_visible()
        assert await recorded_minor(server) == 2000


async def test_order_in_hand_outlives_reload_restart_and_idleness(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        await scan(page, "100")
        await scan(page, (await coupon(server)).code)
        await expect(lines(page)).to_have_count(1)
        await page.reload()
        await expect(lines(page)).to_have_count(1)
        await server.stop()
        await page.keyboard.press("F4")
        await expect(page.locator("#no-answer")).to_be_visible()
        await server.start()
        # The restarted agent knows no sign-ins: it asks for the PIN and goes on with the order.
        await expect(page.get_by_text("The order in hand is kept.")).to_be_visible(timeout=15_000)
        assert await recorded_minor(server) == 0
        await page.get_by_label("PIN").fill(PIN)
        await page.keyboard.press("Enter")
        await expect(lines(page)).to_have_count(1)
        await expect(page.locator("#basket")).to_have_value("100")
        server.counter.clock.pass_s(IDLE_S_MAX + 1)
        await page.keyboard.press("F4")
        await page.get_by_label("PIN").fill(PIN)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Redeem 1").click()
        await expect(page.get_by_role("heading", name="Redeemed")).to_be_visible()
        assert await recorded_minor(server) == 2000


async def test_coupon_used_elsewhere_meanwhile_is_told_in_the_result(server: StaffServer) -> None:
    async with tablet(server) as page:
        await sign_in(page)
        given = await coupon(server)
        await scan(page, "100")
        await scan(page, given.code)
        await expect(page.get_by_role("button", name="Redeem 1")).to_be_visible()
        await server.counter.redeeming.redeem(
            given.code,
            Basket(OrderId("elsewhere"), 10_000, "CNY"),
            request=RequestId("elsewhere"),
            till=OTHER_TILL,
            cashier=shop.CASHIER,
        )
        await page.get_by_role("button", name="Redeem 1").click()
        await expect(page.get_by_role("heading", name="Nothing taken off")).to_be_visible()
        await expect(lines(page).first).to_contain_text("Till 2")


async def test_till_works_without_scripts(server: StaffServer) -> None:
    async with tablet(server, java_script_enabled=False) as page:
        await sign_in(page)
        await page.locator("#basket").fill("168")
        await page.locator("#scan").fill((await coupon(server)).code)
        await page.locator("#scan").press("Enter")
        await page.locator("#scan").fill((await coupon(server, "tea")).code)
        await page.locator("#scan").press("Enter")
        await page.get_by_role("button", name="Redeem 2").click()
        await expect(page.locator(".due dd")).to_have_text("CN¥122.80")
        await page.reload()
        assert await recorded_minor(server) == 4520
        await page.get_by_role("button", name="Undo Tea week").click()
        await page.get_by_role("button", name="Undo it").click()
        assert await recorded_minor(server) == 2000


async def test_camera_reads_the_code_off_a_phone(server: StaffServer, tmp_path: Path) -> None:
    given = await coupon(server)
    film = tmp_path / "phone.y4m"
    write_film(film, given.code)
    arguments = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )
    async with tablet(server, *arguments, permissions=["camera"]) as page:
        await sign_in(page)
        await scan(page, "100")
        await page.get_by_role("button", name="Camera").click()
        await expect(lines(page)).to_have_count(1, timeout=15_000)
        await expect(page.locator(".saw")).to_contain_text("Read: C1:")
        await page.get_by_role("button", name="Close the camera").click()
        await page.get_by_role("button", name="Redeem 1").click()
        await expect(page.locator(".due dd")).to_have_text("CN¥80.00")


def write_film(path: Path, code: str) -> None:
    """Ten frames of a phone that shows the code, as Chromium's fake camera plays them."""
    with Image.open(BytesIO(qr_png(code, 8))) as drawn:
        symbol = drawn.convert("L")
    frame = Image.new("L", (640, 480), 90)
    frame.paste(symbol, ((640 - symbol.width) // 2, (480 - symbol.height) // 2))
    grey, flat = frame.tobytes(), bytes([128]) * (320 * 240)
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n")
        for _ in range(10):
            file.write(b"FRAME\n" + grey + flat + flat)


async def test_wrong_pins_make_the_till_pause(server: StaffServer) -> None:
    async with tablet(server) as page:
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


async def test_wrong_token_pairs_nothing(server: StaffServer) -> None:
    async with tablet(server) as page:
        await page.goto("/till")
        await page.locator("#token").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("No till of this store")
        assert await page.context.cookies() == []


async def test_kill_switch_asks_says_and_stops(server: StaffServer) -> None:
    async with tablet(server) as page:
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


async def test_day_sheet_adds_up_and_downloads(server: StaffServer, tmp_path: Path) -> None:
    for who in range(3):
        await coupon(server, "tea", who)
    async with tablet(server) as page:
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
async def test_scanner_page_names_what_is_set_wrong(server: StaffServer, typed: str, says: str) -> None:
    async with tablet(server) as page:
        await pair(page, "/till/scanner")
        await expect(page.locator("#typed")).to_be_focused()
        await scan(page, typed)
        await expect(page.get_by_role("alert")).to_contain_text(says)


async def test_presence_page_is_live_and_stands_without_scripts(server: StaffServer) -> None:
    async with tablet(server) as page:
        await pair(page, "/staff")
        await expect(page.get_by_text("No tag is near.")).to_be_visible()
        await expect(page.locator("#live")).to_have_text("live")
        come_near(server)
        await expect(page.locator(".here")).to_contain_text("Anna's tag")
        await expect(page.locator(".here")).to_contain_text("Tea")
    async with tablet(server, java_script_enabled=False) as page:
        await pair(page, "/staff")
        await expect(page.locator(".here")).to_contain_text("Anna's tag")


def come_near(server: StaffServer) -> None:
    board, tag, tea = server.counter.board, BeaconName("Anna's tag"), ZoneName("Tea")
    board.note(Change(t_s=1000.0, kind=ChangeKind.ENTER, beacon=tag, zone=tea, confidence=0.9))
    board.update({tag: Standing(zone=tea, confidence=0.93, rssi_dbm=-61.0)})


async def test_coupon_page_tells_its_story(server: StaffServer) -> None:
    given = await coupon(server)
    async with tablet(server) as page:
        await sign_in(page, "/staff/coupon")
        await scan(page, given.short_code)
        await expect(page.locator(".timeline li")).to_have_count(1)
        await expect(page.locator(".pill")).to_have_text("usable")
        assert given.short_code not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_axe_finds_nothing_on_any_page(server: StaffServer, locale: str, scheme: str) -> None:
    come_near(server)
    async with tablet(server, locale=locale, color_scheme=scheme) as page:
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
        await scan(page, given.code)
        await page.locator(".timeline").wait_for()
        await axe(page)
        await page.goto("/till/scanner")
        await scan(page, "]Q1" + TEST_TEXT)
        await page.get_by_role("alert").wait_for()
        await axe(page)


async def axe(page: Page) -> None:
    found = await Axe().run(page)
    assert found.violations_count == 0, f"{page.url}: {found.generate_report()}"


@pytest.mark.parametrize("address", ["/till", "/till/sheet", "/till/campaigns", "/staff", "/till/scanner"])
async def test_no_page_is_wider_than_a_phone(server: StaffServer, address: str) -> None:
    async with tablet(server, viewport=PHONE) as page:
        await sign_in(page)
        await page.goto(address)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"]
