"""A tablet with a real Chromium in front of the staff listener, and the hands of a cashier."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page, expect

from engagement.coupon.coupon import CouponRecord
from engagement.ids import SubjectId
from tests.fakes import shop
from tests.fakes.chromium import device
from tests.fakes.counter import PIN, TILL_TOKEN
from tests.fakes.staff_server import StaffServer

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


@asynccontextmanager
async def tablet(chromium: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """A fresh one at a server. A page that throws, or breaks its own content policy, fails the test."""
    faults: list[str] = []
    settings: dict[str, Any] = {"viewport": TABLET, "locale": "en-GB", "base_url": url}
    async with device(chromium, **(settings | options)) as context:
        page = await context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        yield page
    assert not faults, faults


async def pair(page: Page, address: str = "/till") -> None:
    await page.goto(address)
    await page.locator("#token").fill(TILL_TOKEN)
    await page.keyboard.press("Enter")


async def sign_in(page: Page, address: str = "/till") -> None:
    await pair(page, address)
    await page.get_by_label("PIN").fill(PIN)
    await page.keyboard.press("Enter")
    await expect(page.locator(".who b")).to_have_text("Li")
    await page.wait_for_load_state("domcontentloaded")


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
