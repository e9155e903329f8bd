"""One Chromium for all tests of a module: what each of them opens in it is as fresh as a browser of its own.

A module whose tests take ``chromium`` runs on one loop: ``pytestmark = pytest.mark.asyncio(loop_scope="module")``, and so do
the fixtures of it that have to do with the loop.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.needs import CHROMIUM, needs_chromium

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@asynccontextmanager
async def launched(*arguments: str) -> AsyncIterator[Browser]:
    needs_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*_ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@asynccontextmanager
async def device(browser: Browser, **options: Any) -> AsyncIterator[BrowserContext]:
    """Knows nothing of what was opened before it, and believes every certificate."""
    context = await browser.new_context(ignore_https_errors=True, **options)
    try:
        yield context
    finally:
        await context.close()
