"""Lets guests' connections in, so many and no more: the till is served by the same process, from the same open files.

Decides who may connect and for how long a connection may say nothing. What is said over one is its server's business,
and so is what becomes of those still connected when the door closes.
"""

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from edge_agent.ports import Clock
from edge_agent.services.tending import GuestCount

_LOG = logging.getLogger(__name__)

# A browser opens at most six to one server. The rest is for a router that hides a room of phones behind one address.
_PER_ADDRESS_MAX = 256
# The other half of the open files is for tills, the ledger and HQ.
_SHARE_OF_FILES = 2
# Twenty times the phones that join at once in our measurements.
_IN_ALL_MAX = 4096
# A phone at the edge of the Wi-Fi needs a second or two for a handshake, and again for its request.
_HANDSHAKE_S_MAX = 10.0
_SILENCE_S_MAX = 10.0
# A phone that has gone does not answer to the end of TLS, and would keep its place meanwhile.
_GOODBYE_S_MAX = 3.0
# Phones that knock in the same instant wait in the kernel, not at our door.
_BACKLOG = 4096
# When accepting fails, it is mostly for want of open files, which come back as connections end.
_ACCEPT_PAUSE_S = 0.1
# Accepted in one turn of the loop; then whoever else waits has a turn.
_ACCEPTED_AT_ONCE = 64

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """``per_address``, ``in_all``: connections at one time; ``silence_s``: until the head of the first request."""

    per_address: int = _PER_ADDRESS_MAX
    in_all: int = _IN_ALL_MAX
    handshake_s: float = _HANDSHAKE_S_MAX
    silence_s: float = _SILENCE_S_MAX


def limits_of_process() -> DoorLimits:
    """The usual limits, and no more in all than this process's open files allow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return DoorLimits()
    return DoorLimits(in_all=min(_IN_ALL_MAX, soft // _SHARE_OF_FILES))


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where guests come in. ``address``: IPv4 or IPv6; ``server`` makes the protocol of a connection."""

    address: str
    port: int
    server: Callable[[], asyncio.Protocol]
    tls: ssl.SSLContext | None = None


class GuestDoor(GuestCount):
    """One count over all entrances."""

    def __init__(self, clock: Clock, limits: DoorLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._open: dict[str, int] = {}
        self._open_in_all = 0
        self._turned_away = 0
        self._turned_away_mono_s: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed_to_accept = False

    @property
    def open(self) -> int:
        return self._open_in_all

    @property
    def turned_away(self) -> int:
        return self._turned_away

    @property
    def turned_away_mono_s(self) -> float | None:
        return self._turned_away_mono_s

    @asynccontextmanager
    async def attended(self, *entrances: Entrance) -> AsyncIterator[None]:
        """Let guests in until the block ends; handshakes that are still going on then are broken off.

        Errors: OSError when a port is taken, in a group as of a TaskGroup.
        """
        with ExitStack() as listeners:
            async with asyncio.TaskGroup() as group:
                try:
                    for entrance in entrances:
                        listener = listeners.enter_context(_listener(entrance.address, entrance.port))
                        listeners.enter_context(self._watched(group, entrance, listener))
                    yield
                finally:
                    listeners.close()
                    for task in self._tasks:
                        task.cancel()

    @contextmanager
    def _watched(
        self, group: asyncio.TaskGroup, entrance: Entrance, listener: socket.socket
    ) -> Iterator[None]:
        """By callback and not by ``sock_accept``: phones knock together, and a task's turn each would keep them waiting."""
        loop, pauses = asyncio.get_running_loop(), list[asyncio.TimerHandle]()

        def knocked() -> None:
            try:
                for _ in range(_ACCEPTED_AT_ONCE):
                    connection, peer = listener.accept()
                    connection.setblocking(False)
                    self._receive(group, entrance, connection, peer[0])
            except BlockingIOError:
                self._failed_to_accept = False
            except OSError as failure:
                _LOG.log(
                    logging.DEBUG if self._failed_to_accept else logging.WARNING,
                    "a guest's connection was not accepted",
                    exc_info=failure,
                )
                self._failed_to_accept = True
                loop.remove_reader(listener)
                pauses[:] = [loop.call_later(_ACCEPT_PAUSE_S, loop.add_reader, listener, knocked)]

        loop.add_reader(listener, knocked)
        try:
            yield
        finally:
            for pause in pauses:
                pause.cancel()
            loop.remove_reader(listener)

    def _receive(
        self, group: asyncio.TaskGroup, entrance: Entrance, connection: socket.socket, address: str
    ) -> None:
        if self._is_full_for(address):
            connection.close()
            self._turned_away += 1
            self._turned_away_mono_s = self._clock.mono_s()
            return
        self._enter(address)
        guest = _Guest(entrance.server(), self._limits.silence_s, partial(self._leave, address))
        task = self._start(group, self._let_in(guest, connection, entrance.tls))
        # By callback: a task that is cancelled before its first step runs no line of its own.
        task.add_done_callback(partial(guest.give_up, connection))

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _let_in(self, guest: "_Guest", connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is None:
                await loop.connect_accepted_socket(lambda: guest, connection)
            else:
                await loop.connect_accepted_socket(
                    lambda: guest,
                    connection,
                    ssl=tls,
                    ssl_handshake_timeout=self._limits.handshake_s,
                    ssl_shutdown_timeout=_GOODBYE_S_MAX,
                )
        except OSError as failure:
            _LOG.debug("a guest went away at the door", exc_info=failure)
        except Exception:  # the task's top: one guest's connection must not take the agent down
            _LOG.exception("a guest's connection failed")

    def _is_full_for(self, address: str) -> bool:
        limits = self._limits
        return self._open_in_all >= limits.in_all or self._open.get(address, 0) >= limits.per_address

    def _enter(self, address: str) -> None:
        self._open_in_all += 1
        self._open[address] = self._open.get(address, 0) + 1

    def _leave(self, address: str) -> None:
        self._open_in_all -= 1
        left = self._open.pop(address) - 1
        if left:
            self._open[address] = left


class _Guest(asyncio.Protocol):
    """Hands everything on to the server's protocol; ``left`` is called once, when the connection has ended."""

    def __init__(self, inner: asyncio.Protocol, silence_s: float, left: Callable[[], None]) -> None:
        self._inner = inner
        self._silence_s = silence_s
        self._left: Callable[[], None] | None = left
        self._is_made = False
        self._silence: asyncio.TimerHandle | None = None
        self._tail = b""

    def give_up(self, connection: socket.socket, _: asyncio.Task[None]) -> None:
        """Close and leave, unless the server has the connection."""
        if not self._is_made:
            connection.close()
            self._leave()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by shape only.
        abort = cast(asyncio.Transport, transport).abort
        self._is_made = True
        # Not close(): that would wait for an answer from a peer that says nothing.
        self._silence = asyncio.get_running_loop().call_later(self._silence_s, abort)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._silence is not None:
            self._listen_for_head(self._silence, data)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        self._leave()
        self._inner.connection_lost(exc)

    def _listen_for_head(self, silence: asyncio.TimerHandle, data: bytes) -> None:
        """A head sent byte by byte must be whole in time as well."""
        if _HEAD_END in self._tail + data:
            silence.cancel()
            self._silence, self._tail = None, b""
        else:
            self._tail = (self._tail + data)[1 - len(_HEAD_END) :]

    def _leave(self) -> None:
        if self._left is not None:
            left, self._left = self._left, None
            left()


def _listener(address: str, port: int) -> socket.socket:
    """Errors: OSError that names address and port."""
    # An address is looked up nowhere; this splits off the interface that a link-local one names.
    family, *_, where = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(where)
        listener.listen(_BACKLOG)
    except OSError as failure:
        listener.close()
        why = (failure.strerror or str(failure)).lower()
        raise OSError(failure.errno, f"error while attempting to bind on address {where}: {why}") from failure
    return listener
