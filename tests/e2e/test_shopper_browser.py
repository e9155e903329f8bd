"""A phone-sized Chromium walks through the shopper's pages over TLS: by script, by keyboard, without either."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, CDPSession, Page, expect

from tests.fakes.guest_server import guest_server
from tests.fakes.handset import LOSE, WIN, consent, phone, read_qr, wallet_codes
from tests.fakes.shop import campaign, shake_campaign

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_whole_flow_without_javascript(chromium: Browser, tmp_path: Path) -> None:
    async with (
        guest_server(campaign(), WIN, tls_folder=tmp_path) as server,
        phone(chromium, server, java_script_enabled=False) as (_, page),
    ):
        await consent(page)
        assert [await read_qr(page)] == await wallet_codes(page)
        await page.get_by_role("button", name="Envelope 4").click()
        await expect(page.get_by_role("heading", name="You won!")).to_be_visible()
        code = await read_qr(page)
        await page.reload()
        assert await read_qr(page) == code
        await page.get_by_role("link", name="My coupons").click()
        await expect(page.get_by_role("listitem")).to_have_count(2)
        await page.get_by_role("link", name="Tea treat").click()
        assert await read_qr(page) == code


async def test_the_first_page_is_one_request(chromium: Browser, tmp_path: Path) -> None:
    async with (
        guest_server(campaign(), WIN, tls_folder=tmp_path) as server,
        phone(chromium, server) as (_, page),
    ):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: asked.append(message.text))
        await page.goto(f"{server.probe_url}/generate_204")
        await page.wait_for_load_state("networkidle")
        assert [url for url in asked if not url.startswith("data:")] == [
            f"{server.probe_url}/generate_204",
            f"{server.page_url}/",
        ]


async def test_holding_the_button_wins_and_a_short_press_does_not_play(
    chromium: Browser, tmp_path: Path
) -> None:
    async with (
        guest_server(campaign(), WIN, tls_folder=tmp_path) as server,
        phone(chromium, server) as (_, page),
    ):
        await consent(page)
        hold = page.get_by_role("button", name="Press and hold")
        # Sent in one go: however busy the machine is, nothing lies between press and release.
        await hold.click()
        await expect(page.get_by_role("status")).to_have_text("A little longer, please.")
        assert len(await wallet_codes(page)) == 1
        await hold.hover()
        await page.mouse.down()
        await expect(page.get_by_role("status")).to_contain_text("You won!")
        await page.mouse.up()
        await page.get_by_role("link", name="Open my coupon").click()
        assert await read_qr(page) in await wallet_codes(page)


async def test_a_prize_that_is_the_days_last_leaves_no_try_to_be_promised(
    chromium: Browser, tmp_path: Path
) -> None:
    one = shake_campaign(win_bps=10_000, limits={"issue": 9, "issue_per_day": 1, "plays_per_day": 5})
    async with (
        guest_server(campaign(), one, tls_folder=tmp_path) as server,
        phone(chromium, server) as (_, page),
    ):
        await consent(page)
        await expect(page.get_by_text("Tries left today: 5")).to_be_visible()
        await page.get_by_role("button", name="Press and hold").dispatch_event("click")
        await expect(page.get_by_role("status")).to_contain_text("You won!")
        await expect(page.get_by_role("status")).to_contain_text("That was your last try for today.")
        await expect(page.get_by_text("Tries left today: 0")).to_be_visible()
        await expect(page.get_by_role("button", name="Press and hold")).to_be_hidden()
        await expect(page.get_by_role("link", name="Open my coupon")).to_be_visible()


async def test_a_line_that_stalls_after_a_prize_keeps_nobody_from_the_next_try(
    chromium: Browser, tmp_path: Path
) -> None:
    async with (
        guest_server(campaign(), WIN, tls_folder=tmp_path) as server,
        phone(chromium, server) as (_, page),
    ):
        await consent(page)
        await page.route(page.url, lambda route: None)  # is never answered
        hold = page.get_by_role("button", name="Press and hold")
        for left in (99, 98):
            await hold.dispatch_event("click")
            await expect(page.get_by_text(f"Tries left today: {left}")).to_be_visible()
        assert len(await wallet_codes(page)) == 3


async def test_everything_works_by_keyboard_alone(chromium: Browser, tmp_path: Path) -> None:
    async def tab_to(page: Page, name: str) -> None:
        for _ in range(30):
            await page.keyboard.press("Tab")
            if name in await page.evaluate(
                "document.activeElement.closest('label,button,a,summary')?.textContent ?? ''"
            ):
                return
        raise AssertionError(f"no way to {name} by Tab")

    async with (
        guest_server(campaign(), WIN, tls_folder=tmp_path) as server,
        phone(chromium, server) as (_, page),
    ):
        await page.goto("/")
        await tab_to(page, "I accept the terms")
        await page.keyboard.press("Space")
        await tab_to(page, "Get my coupon")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Here you are!")).to_be_visible()
        await tab_to(page, "Press and hold")
        await page.keyboard.down("Space")
        await expect(page.get_by_role("status")).to_contain_text("You won!")
        await page.keyboard.up("Space")
        await tab_to(page, "Open my coupon")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Your coupon")).to_be_visible()


async def test_a_screen_readers_activation_plays(chromium: Browser, tmp_path: Path) -> None:
    async with (
        guest_server(campaign(), LOSE, tls_folder=tmp_path) as server,
        phone(chromium, server) as (_, page),
    ):
        await consent(page)
        await page.get_by_role("button", name="Press and hold").evaluate("button => button.click()")
        await expect(page.get_by_role("status")).to_contain_text("Not this time")


SENSORS = ("accelerometer", "linear-acceleration", "gyroscope")  # devicemotion needs all three


async def arm_sensors(page: Page) -> CDPSession:
    """Virtual sensors; they must exist before the page listens."""
    cdp = await page.context.new_cdp_session(page)
    for sensor in SENSORS:
        metadata = {"available": True, "minimumFrequency": 1, "maximumFrequency": 60}
        await cdp.send(
            "Emulation.setSensorOverrideEnabled", {"enabled": True, "type": sensor, "metadata": metadata}
        )
    return cdp


# Half a swing at about 4 Hz.
HALF_MS = 120
# Returns once the page has felt the phone pulled to this side.
FELT = """side => new Promise(done => addEventListener('devicemotion', function feel(event) {
  if (Math.sign(event.acceleration.x) !== side) return
  removeEventListener('devicemotion', feel)
  done()
}))"""


async def shake(
    page: Page, cdp: CDPSession, *, strength: float, times: int, until: Callable[[], Awaitable[bool]]
) -> None:
    """Swing the phone sideways until something happens or it was swung often enough.

    The page's clock, which a test has stopped, moves with the swings, so that a slow machine keeps their rhythm.
    """
    for half in range(2 * times):
        side = 1 if half % 2 else -1
        x = side * strength
        for sensor, xyz in zip(SENSORS, ((x, 2.0, 9.8), (x, 2.0, 0.0), (1.0, 1.0, 0.0)), strict=True):
            reading = {"xyz": dict(zip("xyz", xyz, strict=True))}
            await cdp.send("Emulation.setSensorOverrideReadings", {"type": sensor, "reading": reading})
        await page.evaluate(FELT, side)
        await page.clock.run_for(HALF_MS)
        if await until():
            return


async def test_a_trusted_shake_wins_and_a_gentle_one_does_not(chromium: Browser, tmp_path: Path) -> None:
    async with (
        guest_server(campaign(), WIN, tls_folder=tmp_path) as server,
        phone(chromium, server) as (_, page),
    ):
        cdp = await arm_sensors(page)
        await page.clock.install()
        await consent(page)
        await page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))

        async def won() -> bool:
            return "You won!" in await page.get_by_role("status").inner_text()

        await shake(page, cdp, strength=18, times=4, until=won)
        assert not await won(), "nothing is felt before the tap"
        await page.get_by_role("button", name="Start shaking").tap()
        await expect(page.get_by_role("status")).to_have_text("Now shake!")
        await shake(page, cdp, strength=5, times=6, until=won)
        assert not await won(), "walking is no shake"
        await shake(page, cdp, strength=18, times=20, until=won)
        await expect(page.get_by_role("status")).to_contain_text("You won!")
        assert len(await wallet_codes(page)) == 2


async def test_motion_can_be_switched_off_and_stays_off(chromium: Browser, tmp_path: Path) -> None:
    async with (
        guest_server(campaign(), WIN, tls_folder=tmp_path) as server,
        phone(chromium, server) as (_, page),
    ):
        await consent(page)
        switch = page.get_by_role("switch", name="Use motion")
        await switch.uncheck()
        await expect(page.get_by_role("button", name="Start shaking")).to_be_hidden()
        await page.reload()
        await expect(switch).not_to_be_checked()
        await expect(page.get_by_role("button", name="Start shaking")).to_be_hidden()
        await expect(page.get_by_role("button", name="Press and hold")).to_be_visible()


async def test_a_lost_answer_is_asked_for_again_as_the_same_play(chromium: Browser, tmp_path: Path) -> None:
    async with (
        guest_server(campaign(), WIN, tls_folder=tmp_path) as server,
        phone(chromium, server) as (_, page),
    ):
        await consent(page)
        nonces: list[str] = []

        async def swallow_first(route: Any) -> None:
            nonces.append(route.request.post_data_json["nonce"])
            if len(nonces) == 1:
                await route.fetch()
                await route.abort()
            else:
                await route.continue_()

        await page.route("**/api/play*", swallow_first)
        hold = page.get_by_role("button", name="Press and hold")
        await hold.evaluate("button => button.click()")
        await expect(page.get_by_role("status")).to_contain_text("still the same try")
        await hold.evaluate("button => button.click()")
        await expect(page.get_by_role("status")).to_contain_text("You won!")
        assert nonces[0] == nonces[1]
        assert len(await wallet_codes(page)) == 2


NO_STORAGE = """
for (const name of ['localStorage', 'sessionStorage', 'indexedDB'])
  Object.defineProperty(window, name, {get() { throw new DOMException('denied', 'SecurityError') }})
"""


@pytest.mark.parametrize("java_script_enabled", [True, False])
async def test_a_mini_browser_that_forgets_everything_gets_the_same_coupon_back(
    chromium: Browser, tmp_path: Path, java_script_enabled: bool
) -> None:
    async with (
        guest_server(campaign(), WIN, tls_folder=tmp_path) as server,
        phone(chromium, server, java_script_enabled=java_script_enabled) as (context, page),
    ):
        await context.add_init_script(NO_STORAGE)
        await consent(page)
        code = await read_qr(page)
        for _ in range(2):
            await context.clear_cookies()
            await page.goto("about:blank")
            await page.goto(server.page_url)
            assert await read_qr(page) == code
        if java_script_enabled:
            await page.get_by_text("Pick an envelope").click()
        await context.clear_cookies()
        await page.get_by_role("button", name="Envelope 1").click()
        prize = await read_qr(page)
        await context.clear_cookies()
        await page.reload()
        assert await read_qr(page) == prize
        await page.goto("/wallet")
        await expect(page.get_by_role("listitem")).to_have_count(2)
