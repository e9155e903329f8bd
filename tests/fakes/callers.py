"""Phones and tills that call a real store over verified TLS, and call again with the same words until they are answered."""

import asyncio
import csv
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    StreamReader,
    TCPConnector,
)
from multidict import CIMultiDictProxy
from yarl import URL

from tests.eventually import POLL_S
from tests.fakes.agent_process import Access

# Longer than any restart; a caller that is not answered for so long fails its test.
PATIENCE_S = 30.0
# What a restarting store may answer instead of an answer.
_RESTARTING = 503


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: CIMultiDictProxy[str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """One phone or till. It keeps no cookies unless it is given some in ``headers``."""

    def __init__(
        self, session: ClientSession, base_url: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._session = session
        self._base_url = base_url
        self.headers = dict(headers or {})

    async def once(
        self, method: str, path: str, body: object = None, form: Mapping[str, str] | None = None
    ) -> Answer:
        """One try. ``path`` is already encoded. Errors: ClientConnectionError, ClientPayloadError."""
        async with self._session.request(
            method,
            URL(self._base_url + path, encoded=True),
            json=body,
            data=form,
            headers=self.headers,
            allow_redirects=False,
        ) as response:
            return Answer(response.status, await response.read(), response.headers)

    @asynccontextmanager
    async def streaming(self, path: str) -> AsyncIterator[StreamReader]:
        """An answer that goes on, as a page's event stream does."""
        async with self._session.get(
            URL(self._base_url + path, encoded=True), headers=self.headers
        ) as response:
            assert response.status == 200, await response.text()
            yield response.content

    async def ask(
        self, method: str, path: str, body: object = None, form: Mapping[str, str] | None = None
    ) -> Answer:
        """The same request again and again until it is answered, as a page or a till does when the store is away."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    answer = await self.once(method, path, body, form)
                except (ClientConnectionError, ClientPayloadError):
                    pass
                else:
                    if answer.status != _RESTARTING:
                        return answer
                await asyncio.sleep(POLL_S)


@dataclass(frozen=True)
class Callers:
    """Makes phones and tills of one store; each phone has an address of its own."""

    access: Access
    context: ssl.SSLContext
    stack: AsyncExitStack

    async def phone(self, address: str, **headers: str) -> Caller:
        return Caller(await self._session(address), self.access.guest_url, headers)

    @asynccontextmanager
    async def passing_phone(self, address: str) -> AsyncIterator[Caller]:
        """A phone that is gone again after the block, with its connections."""
        async with self._session_from(address) as session:
            yield Caller(session, self.access.guest_url)

    async def till(self, name: str = "till-1") -> Caller:
        token = {"Authorization": f"Bearer {self.access.till_tokens[name]}"}
        return Caller(await self._session("127.0.0.1"), self.access.staff_url, token)

    async def office(self, till: str = "till-1") -> "Office":
        """A browser on a paired till."""
        origin = {"Origin": self.access.staff_url}
        return Office(
            Caller(await self._session("127.0.0.1"), self.access.staff_url, origin), self.access, till
        )

    async def _session(self, address: str) -> ClientSession:
        return await self.stack.enter_async_context(self._session_from(address))

    def _session_from(self, address: str) -> ClientSession:
        connector = TCPConnector(local_addr=(address, 0), ssl=self.context)
        return ClientSession(
            connector=connector, cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=PATIENCE_S)
        )


@dataclass
class Office:
    """The pages behind a cashier's PIN; signs in again when the session has gone with a restart."""

    browser: Caller
    access: Access
    till: str

    async def sheet(self, day: str) -> list[dict[str, str]]:
        """A day's sheet as the spreadsheet has it, a line per campaign."""
        path = f"/till/sheet.csv?day={day}"
        answer = await self.browser.ask("GET", path)
        if answer.headers["Content-Type"].startswith("text/html"):
            await self._sign_in()
            answer = await self.browser.ask("GET", path)
        return list(csv.DictReader(answer.body.decode("utf-8-sig").splitlines()))

    async def _sign_in(self) -> None:
        paired = f"__Host-till={self.access.till_tokens[self.till]}"
        self.browser.headers["Cookie"] = paired
        form = {"cashier": self.access.cashier, "pin": self.access.cashier_pin}
        answer = await self.browser.ask("POST", "/sign-in", form=form)
        (session,) = (
            cookie.split(";")[0]
            for cookie in answer.headers.getall("Set-Cookie")
            if cookie.startswith("__Host-cashier=")
        )
        self.browser.headers["Cookie"] = f"{paired}; {session}"


@asynccontextmanager
async def callers(access: Access) -> AsyncIterator[Callers]:
    """Every certificate is checked against the home's own authority."""
    context = ssl.create_default_context(cafile=access.ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    async with AsyncExitStack() as stack:
        yield Callers(access, context, stack)


def coupon_path(code: str) -> str:
    return f"/v1/coupons/{quote(code, safe='')}"
