"""A real Chromium at the till: scanner as keyboard, several coupons, refusals, undo, lost answers, the camera."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, Page, Route, expect

from edge_agent.adapters.qr import qr_png
from edge_agent.services.cashiers import IDLE_S_MAX
from edge_agent.services.redeeming import Basket
from engagement.ids import OrderId, RequestId
from tests.fakes import shop
from tests.fakes.chromium import launched
from tests.fakes.counter import OTHER_TILL, PIN
from tests.fakes.staff_server import StaffServer, staff_server
from tests.fakes.tablet import (
    CAMPAIGNS,
    coupon,
    lines,
    recorded_minor,
    scan,
    sign_in,
    tablet,
)

# Longer than a shop's Wi-Fi takes for the till's script when it has to send it twice.
SLOW_S = 1.0


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def server(tmp_path: Path) -> AsyncIterator[StaffServer]:
    async with staff_server(tmp_path, *CAMPAIGNS) as serving:
        yield serving


async def test_scans_amount_and_redeem_without_touching_the_mouse(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
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


async def test_scans_that_come_faster_than_answers_are_all_taken(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
        await sign_in(page)
        for who in range(5):
            await scan(page, (await coupon(server, "tea", who)).code)
        await expect(lines(page)).to_have_count(5)


async def test_refusal_outlasts_the_answers_to_what_was_scanned_meanwhile(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
        await sign_in(page)
        async with answers_held(page):
            await scan(page, "4006381333931")
            await scan(page, (await coupon(server)).code)
        await expect(lines(page)).to_have_count(1)
        await expect(page.locator("#news")).to_contain_text("not one of our coupon codes")
        await scan(page, "100")
        await expect(page.locator(".due dd")).to_have_text("CN¥80.00")
        await expect(page.locator("#news")).not_to_contain_text("not one of our coupon codes")


async def test_refusals_of_a_scanner_run_wild_leave_the_order_in_sight(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
        await sign_in(page)
        async with answers_held(page):
            for number in range(9):
                await scan(page, f"400638133393{number}")
            await scan(page, (await coupon(server)).code)
        await expect(lines(page)).to_have_count(1)
        await expect(page.locator("#news .refused")).to_have_count(5)


async def test_scan_as_soon_as_the_field_is_there_loses_no_key(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
        await page.route("**/till.js", slowly)
        await sign_in(page)
        given = await coupon(server)
        await scan(page, "100")
        await scan(page, given.code)
        await expect(lines(page)).to_have_count(1)
        await expect(page.locator("#basket")).to_have_value("100")


@pytest.mark.parametrize("cursor", ["basket", "scan"])
async def test_amount_typed_while_an_answer_is_awaited_is_counted(
    server: StaffServer, chromium: Browser, cursor: str
) -> None:
    async with tablet(chromium, server.url) as page:
        await sign_in(page)
        await page.route("**/till", slowly)
        await scan(page, (await coupon(server)).code)
        await page.locator("#basket").fill("168")
        await page.locator(f"#{cursor}").focus()
        await expect(lines(page)).to_have_count(1)
        await expect(page.locator(".due dd")).to_have_text("CN¥148.00")
        await expect(page.locator("#basket")).to_have_value("168")


@asynccontextmanager
async def answers_held(page: Page) -> AsyncIterator[None]:
    """The till's answers come when the block ends."""
    is_over = asyncio.Event()

    async def hold(route: Route) -> None:
        await is_over.wait()
        await route.continue_()

    await page.route("**/till", hold)
    yield
    is_over.set()


async def slowly(route: Route) -> None:
    await asyncio.sleep(SLOW_S)
    await route.continue_()


async def test_scan_into_the_amount_is_taken_for_a_scan(server: StaffServer, chromium: Browser) -> None:
    async with tablet(chromium, server.url) as page:
        await sign_in(page)
        await page.locator("#basket").fill("168")
        await scan(page, (await coupon(server)).code)
        await expect(lines(page)).to_have_count(1)
        await expect(page.locator("#basket")).to_have_value("168")


async def test_refusals_say_why_and_what_would_help(server: StaffServer, chromium: Browser) -> None:
    async with tablet(chromium, server.url) as page:
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


async def test_mistyped_amount_is_said_and_nothing_is_redeemed(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
        await sign_in(page)
        await scan(page, (await coupon(server)).code)
        await page.locator("#basket").fill("168.505")
        await expect(page.get_by_text("This is no amount")).to_be_visible()
        await page.keyboard.press("F4")
        await expect(page.locator("#news")).to_contain_text("Type the basket's amount first.")
        assert await recorded_minor(server) == 0


async def test_undo_asks_and_names_its_cashier(server: StaffServer, chromium: Browser) -> None:
    async with tablet(chromium, server.url) as page:
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


async def test_undo_is_offered_for_ten_minutes(server: StaffServer, chromium: Browser) -> None:
    async with tablet(chromium, server.url) as page:
        await sign_in(page)
        await scan(page, (await coupon(server)).code)
        await scan(page, "100")
        await page.get_by_role("button", name="Redeem 1").click()
        await expect(page.get_by_role("button", name="Undo 20 off")).to_be_visible()
        server.counter.clock.pass_s(601)
        await page.reload()
        await expect(page.locator(".recent li")).to_have_count(1)
        await expect(page.get_by_role("button", name="Undo 20 off")).to_have_count(0)


async def test_lost_answer_is_asked_for_again_and_redeems_once(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
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


async def test_reload_after_a_lost_answer_shows_what_was_done(server: StaffServer, chromium: Browser) -> None:
    async with tablet(chromium, server.url) as page:
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


async def test_order_in_hand_outlives_reload_restart_and_idleness(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
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
        await expect(page.get_by_text("The order in hand is kept.")).to_be_visible()
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


async def test_coupon_used_elsewhere_meanwhile_is_told_in_the_result(
    server: StaffServer, chromium: Browser
) -> None:
    async with tablet(chromium, server.url) as page:
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


async def test_till_works_without_scripts(server: StaffServer, chromium: Browser) -> None:
    async with tablet(chromium, server.url, java_script_enabled=False) as page:
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
    async with (
        launched(*arguments) as camera,
        tablet(camera, server.url, permissions=["camera"]) as page,
    ):
        await sign_in(page)
        await scan(page, "100")
        await page.get_by_role("button", name="Camera").click()
        await expect(lines(page)).to_have_count(1)
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
