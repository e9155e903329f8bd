"""What every radio keeps to: one suite, run against bleak on a BlueZ of ours and against a recording."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from edge_agent.adapters.bluez_radio import BluezRadio
from edge_agent.adapters.recorded_radio import RecordedRadio
from edge_agent.ports import Radio
from engagement.advertisement.frames import IBeacon, read_frames
from engagement.advertisement.packet import Advertisement
from engagement.clock.moment import Moment
from tests.eventually import eventually
from tests.fakes.bluez import FakeBluez, PrivateBus
from tests.needs import needs_command

BEACON = "C0:FF:EE:00:00:01"
IBEACON = bytes.fromhex("0215fda50693a4e24fb1afcfc6eb0764782527110001c5")
STRENGTHS = [-60, -61, -62, -61, -60, -70, -71, -72]

# A radio, and what makes the eight advertisements above happen near it.
Heard = tuple[Radio, Callable[[], Awaitable[None]]]


class RealClock:
    def mono_s(self) -> float:
        return time.monotonic()

    def now(self) -> Moment:
        raise AssertionError("a radio has no business with wall time")


async def _recording(folder: Path) -> AsyncIterator[Heard]:
    lines = [
        {
            "t": 100 + i / 100,
            "adapter": "hci0",
            "address": BEACON,
            "rssi": rssi,
            "data": "1aff4c00" + IBEACON.hex(),
        }
        for i, rssi in enumerate(STRENGTHS)
    ]
    path = folder / "shop.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    async def nothing() -> None:
        """It plays by itself."""

    yield RecordedRadio(path, "shop", RealClock()), nothing


async def _bluez(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Heard]:
    needs_command("dbus-daemon")
    bus = PrivateBus(folder)
    bus.start()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    try:
        async with FakeBluez(bus.address) as bluez:
            bluez.plug("hci0")

            async def send() -> None:
                await eventually(lambda: bluez.is_scanned("hci0"))
                for rssi in STRENGTHS:
                    bluez.advertise("hci0", BEACON, rssi, manufacturer={0x4C: IBEACON})

            yield BluezRadio(["hci0"], clock=RealClock()), send
    finally:
        bus.stop()


@pytest.fixture(params=["bluez", "recording"])
async def radio(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Heard]:
    kinds = _bluez(tmp_path, monkeypatch) if request.param == "bluez" else _recording(tmp_path)
    async for one in kinds:
        yield one


async def hear(radio: Heard, count: int) -> list[Advertisement]:
    """The first ``count`` advertisements of one listening, which is then cancelled."""
    heard: list[Advertisement] = []
    listening = asyncio.create_task(radio[0].listen(heard.append))
    try:
        await radio[1]()
        await eventually(lambda: len(heard) >= count or listening.done())
        assert not listening.done(), listening
    finally:
        listening.cancel()
        await asyncio.wait([listening])
    return heard[:count]


async def test_hears_every_advertisement_in_order_with_its_own_strength(radio: Heard) -> None:
    heard = await hear(radio, len(STRENGTHS))
    assert [one.rssi_dbm for one in heard] == STRENGTHS
    assert {(one.adapter, one.address) for one in heard} == {("hci0", BEACON)}


async def test_time_rises_on_the_scale_of_the_clock(radio: Heard) -> None:
    before = time.monotonic()
    heard = await hear(radio, len(STRENGTHS))
    times = [one.t_s for one in heard]
    assert times == sorted(times)
    assert before <= times[0]
    assert times[-1] <= time.monotonic() + 0.1


async def test_the_same_parser_reads_it(radio: Heard) -> None:
    (frame,) = read_frames((await hear(radio, 1))[0].data).frames
    assert isinstance(frame, IBeacon)
    assert (frame.major, frame.minor) == (0x2711, 1)


async def test_its_name_says_what_it_is_and_its_status_counts(radio: Heard) -> None:
    heard = await hear(radio, len(STRENGTHS))
    status = radio[0].status
    assert radio[0].name.startswith(("bluez:", "recording:"))
    assert status.name == radio[0].name
    assert sum(receiver.heard for receiver in status.receivers) >= len(heard)
    assert (status.broken_lines, status.cause) == (0, None)


async def test_after_a_cancelled_listening_nothing_is_handed_on_and_it_can_listen_again(radio: Heard) -> None:
    first: list[Advertisement] = []
    listening = asyncio.create_task(radio[0].listen(first.append))
    await radio[1]()
    await eventually(lambda: first)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    count = len(first)
    assert len(await hear(radio, len(STRENGTHS))) == len(STRENGTHS)
    assert len(first) == count
