"""A browser without scripts in front of the console: cookies, forms, and nothing it does by itself."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import ClientResponse, ClientSession, ClientTimeout, CookieJar, TCPConnector

from tests.fakes.cloud_process import PASSWORD, USER, CloudHome


class PlainBrowser:
    """Keeps cookies, names its origin with every form, and follows no redirect by itself."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def get(self, path: str, **headers: str) -> tuple[ClientResponse, str]:
        async with self.session.get(self.url + path, headers=headers, allow_redirects=False) as response:
            return response, await response.text()

    async def post(
        self, path: str, form: Mapping[str, str], *, origin: str | None = ""
    ) -> tuple[ClientResponse, str]:
        """``origin``: empty for our own, None to name none."""
        headers = {} if origin is None else {"Origin": origin or self.url}
        async with self.session.post(
            self.url + path, data=dict(form), headers=headers, allow_redirects=False
        ) as response:
            return response, await response.text()

    async def sign_in(self, password: str = PASSWORD) -> tuple[ClientResponse, str]:
        return await self.post("/signin", {"user": USER, "password": password})


@asynccontextmanager
async def plain_browser(home: CloudHome) -> AsyncIterator[PlainBrowser]:
    tls = ssl.create_default_context(cafile=home.folder / "ca.pem")
    async with ClientSession(
        connector=TCPConnector(ssl=tls), cookie_jar=CookieJar(unsafe=True), timeout=ClientTimeout(total=30)
    ) as session:
        yield PlainBrowser(session, home.url)
