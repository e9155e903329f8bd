"""A phone with a real Chromium on the store's Wi-Fi, and the hands of a shopper."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import zxingcpp
from PIL import Image
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.fakes.chromium import device
from tests.fakes.guest_server import GuestServer
from tests.fakes.shop import shake_campaign

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
PLENTY = {"issue": 100, "issue_per_day": 100, "plays_per_day": 100}
WIN = shake_campaign(win_bps=10_000, limits=PLENTY, title={"en": "Tea treat", "zh-Hans": "茶饮好礼"})
LOSE = shake_campaign(win_bps=1, limits=PLENTY, id="lose", number=9)


@asynccontextmanager
async def phone(
    chromium: Browser, server: GuestServer, **options: Any
) -> AsyncIterator[tuple[BrowserContext, Page]]:
    """A fresh phone. A page that throws, or that asks another host for anything, fails the test."""
    faults: list[str] = []
    settings = PHONE | {"base_url": server.page_url, "locale": "en-US"} | options
    async with device(chromium, **settings) as context:
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: _note_foreign(request.url, server, faults))
        page.on("console", lambda message: faults.append(message.text) if "Refused" in message.text else None)
        yield context, page
    assert faults == []


def _note_foreign(url: str, server: GuestServer, faults: list[str]) -> None:
    if not url.startswith((server.page_url, server.probe_url, "data:")):
        faults.append(f"asked {url}")


async def consent(page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("checkbox", name="I accept the terms").check()
    await page.get_by_role("button", name="Get my coupon").click()
    await expect(page.get_by_role("heading", name="Here you are!")).to_be_visible()


async def read_qr(page: Page) -> str:
    """What a scanner reads off the screen."""
    with Image.open(BytesIO(await page.locator(".qr").screenshot())) as image:
        (found,) = zxingcpp.read_barcodes(image.convert("L"))
    return found.text


async def wallet_codes(page: Page) -> list[str]:
    answer = await page.request.get("/api/wallet")
    return [coupon["code"] for coupon in (await answer.json())["coupons"]]
