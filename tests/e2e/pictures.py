"""Takes the README's pictures of a store that `beckon up` runs: ``python -m tests.e2e.pictures``, into docs/pictures."""

import asyncio
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from tests.bench.rig import up_and_running
from tests.fakes.chromium import launched

OUT = Path("docs/pictures")
_PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 760}, "is_mobile": True, "has_touch": True}
_TABLET: dict[str, Any] = {"viewport": {"width": 1280, "height": 760}}
# Each phone has its own address on loopback only if it binds one; a browser cannot, so its cookie tells it apart.
_PLAYERS_MAX = 40


async def _take(page: Page, name: str) -> None:
    await page.screenshot(path=OUT / f"{name}.png", animations="disabled")


async def _shopper(browser: Browser, facts: Mapping[str, Any]) -> str:
    """The welcome page and a prize; the code of the welcome coupon."""
    page = await _fresh_page(browser, _PHONE)
    await page.goto(facts["shopper_https_url"])
    await _take(page, "welcome")
    await page.get_by_role("checkbox", name="I accept the terms").check()
    await page.get_by_role("button", name="Get my coupon").click()
    answer = await page.request.get(f"{facts['shopper_https_url']}/api/wallet")
    code: str = (await answer.json())["coupons"][0]["code"]
    for _ in range(_PLAYERS_MAX):
        hold = page.get_by_role("button", name="Press and hold")
        await hold.scroll_into_view_if_needed()
        await hold.hover()
        await page.mouse.down()
        await (
            page.get_by_role("status")
            .get_by_text("won", exact=False)
            .or_(page.get_by_role("status").get_by_text("Not this time"))
            .first.wait_for()
        )
        await page.mouse.up()
        if "You won" in (await page.get_by_role("status").inner_text()):
            break
    await page.get_by_role("link", name="Open my coupon").click()
    await _take(page, "won")
    return code


async def _cashier(browser: Browser, facts: Mapping[str, Any], code: str) -> None:
    page = await _fresh_page(browser, _TABLET)
    await page.goto(facts["till_url"])
    await page.locator("#token").fill(facts["till_token"])
    await page.keyboard.press("Enter")
    await page.get_by_label("PIN").fill(facts["cashier_pin"])
    await page.keyboard.press("Enter")
    await page.locator(".who b").wait_for()
    for typed in (code, "C1:NOT A COUPON", "168"):
        await page.keyboard.type(typed)
        await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Redeem 1").wait_for()
    await page.locator("body:not(.busy)").wait_for()
    await _take(page, "till")
    await page.goto(f"{facts['staff_api_url']}/staff")
    await page.get_by_role("heading", name=re.compile(r"Tags [1-9]")).wait_for(timeout=180_000)
    await _take(page, "near")


async def _hq(browser: Browser, facts: Mapping[str, Any]) -> None:
    page = await _fresh_page(browser, _TABLET)
    await page.goto(facts["hq_url"])
    await page.get_by_label("User").fill(facts["hq_user"])
    await page.get_by_label("Password").fill(facts["hq_password"])
    await page.keyboard.press("Enter")
    await page.get_by_text(facts["branch"]).first.wait_for()
    await _take(page, "console")


async def _fresh_page(browser: Browser, device: dict[str, Any]) -> Page:
    context = await browser.new_context(**device, ignore_https_errors=True, locale="en-GB")
    return await context.new_page()


async def _take_all(facts: Mapping[str, Any]) -> None:
    async with launched() as browser:
        code = await _shopper(browser, facts)
        await _cashier(browser, facts, code)
        await _hq(browser, facts)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, up_and_running(Path(temporary) / "home") as run_file:
        asyncio.run(_take_all(json.loads(run_file.read_text())))


if __name__ == "__main__":
    main()
