"""Connections that send no request end; those that do are served as long as it takes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from cloud_api.adapters.http.silence import Silence
from tests.eventually import PATIENCE_S

# Long enough for a busy machine to hear what was sent at once.
FIRST_S = 2.0


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    """The port of a server that answers with the body it got."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    silence = Silence(first_s=FIRST_S)
    app = web.Application(middlewares=[silence.heard])
    app.router.add_post("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    server = runner.server
    assert server is not None
    listener = await asyncio.get_running_loop().create_server(lambda: silence.opened(server), "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await runner.cleanup()


async def test_a_connection_that_sends_no_whole_head_ends() -> None:
    async with listening() as port, asyncio.timeout(PATIENCE_S):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        silent[0][1].write(b"POST / HTTP/1.1\r\nHost: hq\r\nX-Slow: ")
        for reader, writer in silent:
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()


async def test_one_that_asked_is_served_however_slow_its_body_is_and_kept() -> None:
    async with listening() as port, asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        is_over = asyncio.Event()
        asyncio.get_running_loop().call_later(1.1 * FIRST_S, is_over.set)
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: hq\r\nContent-Length: 40\r\n\r\n")
            await is_over.wait()
            writer.write(b"x" * 40)
            assert (await reader.readuntil(b"x" * 40)).startswith(b"HTTP/1.1 200")
        writer.close()
