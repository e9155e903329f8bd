"""What a peer sends wrong does not fill the log of a store; what breaks in a handler of ours does stand there."""

import asyncio
import logging

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from edge_agent.adapters.log_lines import overlook_peers_mistakes
from tests.eventually import eventually

WRONG = [
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\nno gzip",
]


async def answer(server: BaseTestServer, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(5):
        writer.write(request)
        told = await reader.read(65_536)
    writer.close()
    return told


@pytest.mark.parametrize("request_bytes", WRONG)
async def test_a_request_that_breaks_the_protocol_is_refused_without_a_line(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    overlook_peers_mistakes()

    async def handle(request: web.Request) -> web.Response:
        try:
            await request.read()
        except web.RequestPayloadError:
            raise web.HTTPBadRequest from None
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/", handle)
    async with TestServer(app) as server:
        assert b" 400 " in await answer(server, request_bytes)
    assert caplog.records == []


async def test_an_error_of_ours_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    overlook_peers_mistakes()

    async def break_down(request: web.Request) -> web.Response:
        raise ValueError("ours")

    app = web.Application()
    app.router.add_get("/", break_down)
    async with TestServer(app) as server:
        assert b" 500 " in await answer(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await eventually(lambda: bool(caplog.records))
    assert caplog.records[0].levelno == logging.ERROR
