"""The staff listener of a counter on loopback, over TLS, that a test may stop and start like a mini-PC."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext

from aiohttp import web
from aiohttp.test_utils import unused_port
from aiohttp.typedefs import Handler, Middleware

from edge_agent.adapters.staff_http.app import build_staff_app
from edge_agent.services.cashiers import Cashiers
from engagement.campaign.model import Campaign
from tests.fakes.counter import CountedEntropy, Counter, open_counter, pin_hash
from tests.fakes.guest_server import own_certificate


def staff_app(counter: Counter) -> web.Application:
    return build_staff_app(
        premises=counter.premises,
        redeeming=counter.redeeming,
        cashiers=counter.cashiers,
        board=counter.board,
        health=counter.health,
    )


@dataclass
class StaffServer:
    """``drops_answers``: what the till asks for is carried out, and the answer gets lost on the way."""

    counter: Counter
    port: int
    context: SSLContext
    drops_answers: bool = False
    _runners: list[web.AppRunner] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Serve; sign-ins of an earlier start are forgotten, as by a restarted agent."""
        counter = self.counter
        counter.cashiers = Cashiers(
            bundle=lambda: counter.premises.bundle,
            clock=counter.clock,
            entropy=CountedEntropy(),
            pin_hash=pin_hash,
        )
        app = staff_app(counter)
        app.middlewares.insert(0, self._line)
        runner = web.AppRunner(app, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self.context, reuse_address=True)
        await site.start()
        self._runners.append(runner)

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    @property
    def _line(self) -> Middleware:
        @web.middleware
        async def line(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            if request.method == "POST" and request.path == "/till" and self.drops_answers:
                assert request.transport is not None
                request.transport.abort()
            return response

        return line


@asynccontextmanager
async def staff_server(folder: Path, *campaigns: Campaign) -> AsyncIterator[StaffServer]:
    async with open_counter(*campaigns) as counter:
        server = StaffServer(counter, unused_port(), own_certificate(folder))
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
