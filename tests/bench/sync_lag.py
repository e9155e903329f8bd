"""From a redemption at the till until HQ's console shows it: a whole store of `beckon up`, its HQ, and a page that listens.

As a browser does it: the page's stream of events says that something changed, and the page is then fetched anew.
"""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urljoin

import aiohttp

from tests.bench.phones import phone_address
from tests.bench.result import Figure
from tests.bench.rig import trusting, up_and_running

_ROUNDS = 12
_PATIENCE_S = 30.0
# What the join left has arrived by then; rounds begin at another moment of the console's own clock each.
_APART_S = 1.37
_COOKIE = "__Host-session"
_REDEEMED = re.compile(r'data-of="redeemed">\s*([0-9,]+)\s*<')


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as temporary, up_and_running(Path(temporary) / "home") as run_file:
        facts = _read(run_file)
        lags_s = asyncio.run(_lags_s(facts))
    return [Figure("sync_lag_s", median(lags_s), "s"), Figure("sync_lag_worst_s", max(lags_s), "s")]


def _read(run_file: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(run_file.read_text())
    return facts


async def _lags_s(facts: dict[str, Any]) -> list[float]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusting()), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        lags_s: list[float] = []
        async with _console(facts, session) as console:
            for number in range(_ROUNDS + 1):
                code = await _joined(facts, phone_address(number))
                await asyncio.sleep(_APART_S + number / _ROUNDS)
                before = await console.redeemed()
                console.changed.clear()
                began_s = time.perf_counter()
                await _redeem(facts, session, number, code)
                await console.shows(before + 1)
                lags_s.append(time.perf_counter() - began_s)
    return lags_s[1:]  # the first opened the connections


@dataclass
class _Console:
    url: str
    session: aiohttp.ClientSession
    headers: dict[str, str]
    changed: asyncio.Event

    async def redeemed(self) -> int:
        async with self.session.get(self.url, headers=self.headers) as answer:
            found = _REDEEMED.search(await answer.text())
        if found is None:
            raise RuntimeError("the console's page names no redemptions")
        return int(found[1].replace(",", ""))

    async def shows(self, count: int) -> None:
        """Return when the page does, fetched anew whenever the stream says so."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                await self.changed.wait()
                self.changed.clear()
                if await self.redeemed() >= count:
                    return

    async def listen(self, events: aiohttp.StreamReader) -> None:
        async for line in events:
            if line.startswith(b"event: changed"):
                self.changed.set()


@asynccontextmanager
async def _console(facts: dict[str, Any], session: aiohttp.ClientSession) -> AsyncIterator[_Console]:
    who = {"user": facts["hq_user"], "password": facts["hq_password"]}
    async with session.post(f"{facts['cloud_api_url']}/v1/sessions", json=who) as answer:
        answer.raise_for_status()
        headers = {"Cookie": f"{_COOKIE}={(await answer.json())['token']}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with session.get(urljoin(facts["hq_url"], "/events"), headers=headers, timeout=timeout) as stream:
        stream.raise_for_status()
        console = _Console(facts["hq_url"], session, headers, asyncio.Event())
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(console.listen(stream.content))
            yield console
            listening.cancel()


async def _joined(facts: dict[str, Any], address: str) -> str:
    """The code of a new phone's welcome coupon."""
    connector = aiohttp.TCPConnector(ssl=trusting(), local_addr=(address, 0))
    async with (
        aiohttp.ClientSession(connector=connector) as phone,
        phone.post(f"{facts['shopper_https_url'].rstrip('/')}/api/consent", json={"terms": True}) as answer,
    ):
        answer.raise_for_status()
        code: str = (await answer.json())["coupons"][0]["code"]
    return code


async def _redeem(facts: dict[str, Any], session: aiohttp.ClientSession, number: int, code: str) -> None:
    attempt = {
        "request_id": f"q{number}",
        "code": code,
        "order_id": f"o{number}",
        "basket_minor": 10_000,
        "currency": "CNY",
        "cashier": facts["cashier"],
    }
    headers = {"Authorization": f"Bearer {facts['till_token']}"}
    async with session.post(
        f"{facts['staff_api_url']}/v1/redemptions", json=attempt, headers=headers
    ) as answer:
        verdict = await answer.json()
    if verdict["decision"] != "accepted":
        raise RuntimeError(f"redemption {number} was answered {verdict}")
