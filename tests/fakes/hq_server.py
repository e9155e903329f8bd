"""HQ behind a real listener with TLS: checks what every request must be, and hands it to the HQ in memory."""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import zstandard
from aiohttp import web

from engagement.line.answers import EnrolmentRequest
from engagement.line.signature import verify_request
from tests.fakes.line_to_hq import FakeHq

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """A real listener; ``answer`` replaces what it would say. ``connections``: one per TLS handshake that carried a request."""

    url: str
    public_key: bytes | None
    hq: FakeHq = field(default_factory=FakeHq)
    answer: Handler | None = None
    connections: set[object] = field(default_factory=set)
    signers: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        if self.answer is not None:
            return await self.answer(request)
        body = await request.read()
        target = f"{self.url}{request.raw_path}"
        signer = verify_request(
            request.method, target, request.headers, body, public_key_of=lambda name: self.known_key
        )
        self.signers.append(signer)
        assert request.content_type == "application/vnd.beckon.batch"
        assert request.headers["Content-Encoding"] == "zstd"
        data = zstandard.ZstdDecompressor().decompress(body, max_output_size=10**6)
        return web.json_response(self.hq.take(data).model_dump(mode="json"))

    async def enrol(self, request: web.Request) -> web.StreamResponse:
        if self.answer is not None:
            return await self.answer(request)
        asked = EnrolmentRequest.model_validate_json(await request.read())
        return web.json_response(self.hq.enrol(asked).model_dump(mode="json"))

    @property
    def known_key(self) -> bytes | None:
        """The agent's, or of the last one that enrolled."""
        enrolled = [bytes.fromhex(key_hex) for key_hex in self.hq.enrolled.values()]
        return self.public_key or (enrolled[-1] if enrolled else None)

    def says(self, status: int, document: object) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            text = document if isinstance(document, str) else json.dumps(document)
            return web.Response(status=status, text=text, content_type="application/problem+json")

        self.answer = answer


@asynccontextmanager
async def serving(folder: Path, public_key: bytes | None) -> AsyncIterator[Server]:
    """``folder`` holds server.pem and server-key.pem; ``public_key``: of the one agent, None for whoever enrols."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    app = web.Application(client_max_size=2**20)
    server = Server("", public_key)
    app.router.add_post("/v1/agents/{agent}/batches", server.take)
    app.router.add_post("/v1/enrolments", server.enrol)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, auto_decompress=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
