"""Nobody is kept out of the shopper's pages: what axe finds on each, how large targets are, and how narrow a page may get."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from tests.fakes.guest_server import guest_server
from tests.fakes.handset import LOSE, WIN, phone
from tests.fakes.shop import campaign

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def every_page(page: Page) -> AsyncIterator[str]:
    """Opens each page in turn, in the language that the phone asks for."""
    await page.goto("/")
    yield "welcome"
    await page.evaluate("document.querySelector('form').noValidate = true")
    await page.locator("form button").click()
    yield "welcome, terms not accepted"
    await page.goto("/terms")
    yield "terms"
    await page.goto("/")
    await page.locator("[name=terms]").check()
    await page.locator("form button").click()
    yield "home"
    for details in await page.locator("summary").all():
        if not await details.evaluate("summary => summary.parentElement.open"):
            await details.click()
    yield "home, everything open"
    await page.locator("#hold").evaluate("button => button.click()")
    await expect(page.get_by_role("status")).to_contain_text(re.compile("won|中奖"))
    yield "home, won"
    await page.goto("/")
    await page.locator("#covers summary").click()
    await page.locator("[name=pick]").first.click()
    await page.locator("summary").last.click()
    yield "won"
    lost = await page.request.post("/play", form={"campaign": LOSE.id, "pick": "1"})
    await page.goto(lost.url)
    yield "lost"
    await page.goto("/wallet")
    yield "wallet"
    await page.locator("#code").fill("nope")
    await page.locator("form[action^='/member'] button").click()
    yield "wallet, wrong code"
    await page.goto("/wallet")
    await page.locator(".slip a").first.click()
    yield "coupon"
    await page.goto("/nowhere")
    yield "missing"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_axe_finds_nothing_on_any_page(
    chromium: Browser, tmp_path: Path, scheme: str, locale: str
) -> None:
    async with (
        guest_server(campaign(), WIN, LOSE, tls_folder=tmp_path) as server,
        phone(chromium, server, color_scheme=scheme, locale=locale, reduced_motion="reduce") as (_, page),
    ):
        found: dict[str, list[str]] = {}
        async for name in every_page(page):
            results = await Axe().run(page)
            found[name] = [each["id"] for each in results.response["violations"]]
            found[name] += await small_targets(page)
            found[name] += await overflow(page)
        assert {name: problems for name, problems in found.items() if problems} == {}
        assert len(found) == 12


async def small_targets(page: Page) -> list[str]:
    """Buttons, links and boxes with less than 44 px to hit; a box counts with its label, a link in a text is free."""
    small: list[str] = await page.evaluate(
        """[...document.querySelectorAll('a,button,summary,label.tick,input:not([type])')]
        .filter(e => e.checkVisibility() && !e.closest('p.fine'))
        .filter(e => e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().width < 44)
        .map(e => 'small: ' + e.textContent.trim())"""
    )
    return small


async def overflow(page: Page) -> list[str]:
    """Widths at which the page scrolls sideways; 320 px is what 400 % zoom leaves of a desktop (WCAG 1.4.10)."""
    wide: list[str] = []
    for width in (320, 390):
        await page.set_viewport_size({"width": width, "height": 780})
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(f"scrolls sideways at {width} px")
    return wide
