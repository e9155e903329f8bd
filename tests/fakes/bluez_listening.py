"""A radio that listens to a BlueZ of ours: what tests of the bleak adapter share."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from edge_agent.adapters.bluez_radio import BluezRadio
from edge_agent.adapters.bluez_receiver import Limits
from edge_agent.radio_status import ReceiverState
from engagement.advertisement.packet import Advertisement
from engagement.clock.moment import Moment
from tests.eventually import PATIENCE_S, eventually
from tests.fakes.bluez import FakeBluez, PrivateBus
from tests.needs import needs_command

BEACON = "C0:FF:EE:00:00:01"
IBEACON = bytes.fromhex("0215fda50693a4e24fb1afcfc6eb0764782527110001c5")
DONGLE, OTHER_DONGLE = "00:1A:7D:DA:71:01", "00:1A:7D:DA:71:02"
# What a fault's cure waits for, shortened so that the suite takes seconds. What a busy machine could be taken for, which
# is silence and a call without an answer, is not: a test that is about it shortens it for itself.
BRISK = Limits(
    silent_s=60.0,
    idle_s=0.2,
    retry_s=0.02,
    retry_s_max=0.1,
    settle_s=0.4,
    patience_s=60.0,
    tick_s=0.05,
)


@pytest.fixture(scope="session")
def bus_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    needs_command("dbus-daemon")
    bus = PrivateBus(tmp_path_factory.mktemp("bus"))
    bus.start()
    yield bus.address
    bus.stop()


@pytest.fixture
async def bluez(bus_address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeBluez]:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus_address)
    async with FakeBluez(bus_address) as bluez:
        yield bluez


class RealClock:
    def mono_s(self) -> float:
        return time.monotonic()

    def now(self) -> Moment:
        raise AssertionError("a radio has no business with wall time")


@asynccontextmanager
async def listening(radio: BluezRadio) -> AsyncIterator[list[Advertisement]]:
    heard: list[Advertisement] = []
    task = asyncio.create_task(radio.listen(heard.append))
    try:
        yield heard
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def state(radio: BluezRadio) -> ReceiverState | None:
    return radio.status.receivers[0].state if radio.status.receivers else None


async def flows(
    bluez: FakeBluez, hci: str, heard: list[Advertisement], within_s: float = PATIENCE_S
) -> Advertisement:
    """Send until one more advertisement arrives, and give that one."""
    before = len(heard)

    def sent_and_heard() -> bool:
        bluez.advertise(hci, BEACON, -60, manufacturer={0x4C: IBEACON})
        return len(heard) > before

    await eventually(sent_and_heard, within_s, f"an advertisement over {hci}")
    return heard[-1]


def open_sockets() -> dict[int, int]:
    """File numbers by the kernel's number of the socket, which rises and is never used twice."""
    sockets: dict[int, int] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue  # it was the listing's own
        if target.startswith("socket:["):
            sockets[int(target[len("socket:[") : -1])] = int(name)
    return sockets


def shut(number: int) -> None:
    """Make a connection die under whoever holds it."""
    ours = socket.socket(fileno=os.dup(number))
    ours.shutdown(socket.SHUT_RDWR)
    ours.close()
