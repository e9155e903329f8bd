"""The guests' door over real sockets, on both event loops, with TLS and without; each 127.x.y.z is another phone."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiohttp import web
from aiohttp.test_utils import unused_port

from edge_agent.adapters.clock import SystemClock
from edge_agent.adapters.guest_door import DoorLimits, Entrance, GuestDoor, limits_of_process
from tests.eventually import PATIENCE_S, eventually
from tests.fakes.guest_server import own_certificate

ANNA, BERT, CARL = "127.61.0.1", "127.61.0.2", "127.61.0.3"
# So long that only the limit that a test is about can be reached.
PATIENT = DoorLimits(handshake_s=60, silence_s=60)
ASK = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"
# Far more than whoever keeps a limit needs, also where the machine stands still for a moment.
KEPT_S = 1.5
LONG_PAGE = b"x" * 4_000_000

Story = Callable[[], Coroutine[Any, Any, None]]
Play = Callable[[Story], None]


@dataclass
class Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes = ASK) -> bytes:
        """The answer's first line; empty when the connection is closed instead."""
        try:
            self.writer.write(request)
            return await asyncio.wait_for(self.reader.readline(), PATIENCE_S)
        except ConnectionError:
            return b""

    async def ends(self) -> None:
        with suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(), PATIENCE_S)
        self.hang_up()

    def hang_up(self) -> None:
        self.writer.transport.abort()


@dataclass
class Doorstep:
    door: GuestDoor
    port: int
    is_tls: bool

    async def connect(self, address: str) -> Line:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return Line(
            *await asyncio.open_connection(
                "127.0.0.1", self.port, local_addr=(address, 0), ssl=trusting if self.is_tls else None
            )
        )

    async def is_turned_away(self, address: str) -> bool:
        try:
            line = await self.connect(address)
        except (ConnectionError, ssl.SSLError):
            return True
        answer = await line.ask()
        line.hang_up()
        return answer == b""

    def knock(self, address: str) -> socket.socket:
        """A connection that says nothing, not even the first word of TLS."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(address, 0))


@asynccontextmanager
async def doorstep(limits: DoorLimits, tls: ssl.SSLContext | None) -> AsyncIterator[Doorstep]:
    async def welcome(_: web.Request) -> web.Response:
        return web.Response(text="welcome")

    async def long(_: web.Request) -> web.Response:
        return web.Response(body=LONG_PAGE)

    app = web.Application()
    app.router.add_get("/", welcome)
    app.router.add_get("/long", long)
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=60)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None
        door, port = GuestDoor(SystemClock(), limits), unused_port()
        await stack.enter_async_context(door.attended(Entrance("127.0.0.1", port, runner.server, tls)))
        yield Doorstep(door, port, tls is not None)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Play:
    def run(story: Story) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(story())

    return run


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> ssl.SSLContext | None:
    return own_certificate(tmp_path) if request.param else None


def test_an_address_gets_its_bound_and_another_is_served_beside_it(
    play: Play, tls: ssl.SSLContext | None
) -> None:
    async def story() -> None:
        async with doorstep(DoorLimits(per_address=3, handshake_s=60, silence_s=60), tls) as step:
            lines = [await step.connect(ANNA) for _ in range(3)]
            assert step.door.turned_away_mono_s is None
            assert await step.is_turned_away(ANNA)
            assert await step.is_turned_away(ANNA)
            assert step.door.turned_away == 2
            assert step.door.turned_away_mono_s is not None
            lines.append(await step.connect(BERT))
            assert step.door.open == 4
            for line in lines:
                assert await line.ask() == b"HTTP/1.1 200 OK\r\n"
            lines[0].hang_up()
            await eventually(lambda: step.door.open == 3, what="a free place")
            lines.append(await step.connect(ANNA))
            assert await lines[-1].ask() == b"HTTP/1.1 200 OK\r\n"
            for line in lines:
                line.hang_up()
            await eventually(lambda: step.door.open == 0, what="an empty count")
            assert step.door.turned_away == 2

    play(story)


def test_all_addresses_together_get_their_bound(play: Play, tls: ssl.SSLContext | None) -> None:
    async def story() -> None:
        async with doorstep(DoorLimits(in_all=2, handshake_s=60, silence_s=60), tls) as step:
            lines = [await step.connect(ANNA), await step.connect(BERT)]
            assert await step.is_turned_away(CARL)
            for line in lines:
                line.hang_up()
            await eventually(lambda: step.door.open == 0, what="an empty count")
            assert not await step.is_turned_away(CARL)

    play(story)


def test_one_that_says_nothing_is_cut(play: Play, tls: ssl.SSLContext | None) -> None:
    async def story() -> None:
        async with doorstep(DoorLimits(handshake_s=60, silence_s=0.2), tls) as step:
            line = await step.connect(ANNA)
            await line.ends()
            await eventually(lambda: step.door.open == 0, what="an empty count")

    play(story)


def test_one_that_begins_a_request_and_does_not_end_it_is_cut(play: Play, tls: ssl.SSLContext | None) -> None:
    async def story() -> None:
        async with doorstep(DoorLimits(handshake_s=60, silence_s=0.2), tls) as step:
            line = await step.connect(ANNA)
            line.writer.write(ASK[:-1])
            await line.ends()
            await eventually(lambda: step.door.open == 0, what="an empty count")

    play(story)


def test_one_that_has_asked_stays_however_its_request_was_cut_up(
    play: Play, tls: ssl.SSLContext | None
) -> None:
    async def story() -> None:
        async with doorstep(DoorLimits(handshake_s=60, silence_s=KEPT_S), tls) as step:
            asking = await step.connect(ANNA)
            for byte in ASK[:-1]:
                asking.writer.write(bytes([byte]))
                await asyncio.sleep(0)
            assert await asking.ask(ASK[-1:]) == b"HTTP/1.1 200 OK\r\n"
            silent = await step.connect(BERT)
            # The silent one came later, so the other's time was over before this.
            await silent.ends()
            await eventually(lambda: step.door.open == 1, what="one place taken")
            await asking.reader.readuntil(b"welcome")
            assert await asking.ask() == b"HTTP/1.1 200 OK\r\n"
            asking.hang_up()

    play(story)


def test_a_handshake_that_never_comes_is_cut_and_counted_until_then(play: Play, tmp_path: Path) -> None:
    async def story() -> None:
        limits = DoorLimits(per_address=1, handshake_s=KEPT_S, silence_s=60)
        async with doorstep(limits, own_certificate(tmp_path)) as step:
            with step.knock(ANNA) as knocking:
                await eventually(lambda: step.door.open == 1, what="a place taken")
                assert await step.is_turned_away(ANNA)
                await eventually(lambda: step.door.open == 0, what="an empty count")
                assert await asyncio.to_thread(knocking.recv, 1) == b""
            assert not await step.is_turned_away(ANNA)

    play(story)


def test_one_that_speaks_no_tls_gives_its_place_back(play: Play, tmp_path: Path) -> None:
    async def story() -> None:
        async with doorstep(PATIENT, own_certificate(tmp_path)) as step:
            with step.knock(ANNA) as knocking:
                await eventually(lambda: step.door.open == 1, what="a place taken")
                knocking.sendall(ASK)
                await eventually(lambda: step.door.open == 0, what="an empty count")
            assert not await step.is_turned_away(ANNA)

    play(story)


def test_a_long_answer_arrives_whole_at_a_slow_reader(play: Play, tls: ssl.SSLContext | None) -> None:
    """The server is told when to pause and when to go on."""

    async def story() -> None:
        async with doorstep(PATIENT, tls) as step:
            line = await step.connect(ANNA)
            line.writer.write(ASK.replace(b"GET / ", b"GET /long "))
            await line.reader.readuntil(b"\r\n\r\n")
            assert await asyncio.wait_for(line.reader.readexactly(len(LONG_PAGE)), PATIENCE_S) == LONG_PAGE
            line.hang_up()

    play(story)


def test_closing_ends_what_is_open_and_frees_the_port(play: Play, tls: ssl.SSLContext | None) -> None:
    async def story() -> None:
        async with doorstep(PATIENT, tls) as step:
            line = await step.connect(ANNA)
            assert await line.ask() == b"HTTP/1.1 200 OK\r\n"
            knocking = step.knock(BERT)
            await eventually(lambda: step.door.open == 2, what="two places taken")
        await line.ends()
        line.hang_up()
        knocking.close()
        await eventually(lambda: step.door.open == 0, what="an empty count")
        with pytest.raises(ConnectionError):
            step.knock(ANNA)

    play(story)


def test_a_taken_port_is_named(play: Play) -> None:
    async def story() -> None:
        async with doorstep(PATIENT, None) as step:
            with pytest.raises(ExceptionGroup) as refused:
                async with GuestDoor(SystemClock(), PATIENT).attended(
                    Entrance("127.0.0.1", step.port, asyncio.Protocol)
                ):
                    raise AssertionError("two doors at one port")
            assert f"('127.0.0.1', {step.port}): address already in use" in str(refused.value.exceptions[0])

    play(story)


def test_guests_get_at_most_half_of_the_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft, in_all in ((64, 32), (1024, 512), (1_048_576, 4096), (-1, 4096)):
        monkeypatch.setattr("resource.getrlimit", lambda _, soft=soft: (soft, -1))
        assert limits_of_process() == DoorLimits(per_address=256, in_all=in_all)
