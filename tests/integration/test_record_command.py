"""``beckon-agent record``: what it writes, what it leaves out, and how it ends."""

import asyncio
import errno
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from edge_agent.adapters.advert_files import read_adverts
from edge_agent.ports import RadioLost
from edge_agent.radio_status import RadioStatus
from edge_agent.record_command import WAITING_MAX, beacon_frames_only, concealing, format_line, record
from engagement.advertisement.packet import Advertisement
from tests.eventually import PATIENCE_S, eventually
from tests.fakes.bluez import FakeBluez, PrivateBus
from tests.needs import needs_command

BEACON, PHONE = "C0:FF:EE:00:00:01", "4A:12:34:56:78:9A"
IBEACON = bytes.fromhex("0215fda50693a4e24fb1afcfc6eb0764782527110001c5")
IBEACON_ON_AIR = bytes.fromhex("1aff4c00") + IBEACON
EDDYSTONE_URL_ON_AIR = bytes.fromhex("0303aafe" + "0a16aafe10eb03") + b"shop"
HEARD = Advertisement(100.0, "hci0", BEACON, -60, IBEACON_ON_AIR)


class RadioOf:
    """Hears a few advertisements at once and then nothing more, or is lost."""

    name = "bluez:test"
    status = RadioStatus("bluez:test", ())

    def __init__(self, *advertisements: Advertisement, lost: str | None = None) -> None:
        self._advertisements, self._lost = advertisements, lost

    def retune(self, adapters: Sequence[str]) -> None:
        raise AssertionError("a recording is made with the adapters that it was begun with")

    async def listen(self, sink: Callable[[Advertisement], None]) -> None:
        for one in self._advertisements:
            sink(one)
        if self._lost is not None:
            raise RadioLost(self._lost)
        await asyncio.Event().wait()


def as_heard(advertisement: Advertisement) -> Advertisement:
    return advertisement


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    needs_command("dbus-daemon")
    bus = PrivateBus(tmp_path)
    bus.start()
    yield bus
    bus.stop()


async def program(
    *arguments: str, bus_address: str, stdout: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge_agent",
        "record",
        *arguments,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus_address},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )


def test_what_is_written_is_read_back_the_same() -> None:
    lines = [HEARD, Advertisement(100.25, "00:1A:7D:DA:71:01", PHONE, None, b"")]
    text = "".join(format_line(one) + "\n" for one in lines)
    assert list(read_adverts(io.BufferedReader(io.BytesIO(text.encode())))) == lines


async def test_time_counts_from_the_first_and_everything_heard_is_written() -> None:
    out = io.StringIO()
    radio = RadioOf(HEARD, HEARD._replace(t_s=100.5), HEARD._replace(t_s=107.0))
    tally = await record(radio, out, as_heard, stopped=asyncio.Event(), seconds=0.01)
    assert [json.loads(line)["t"] for line in out.getvalue().splitlines()] == [0.0, 0.5, 7.0]
    assert (tally.recorded, tally.dropped) == (3, 0)


async def test_what_was_heard_before_the_radio_was_lost_is_kept() -> None:
    out = io.StringIO()
    with pytest.raises(RadioLost, match="unplugged"):
        await record(RadioOf(HEARD, lost="unplugged"), out, as_heard, stopped=asyncio.Event(), seconds=None)
    assert len(out.getvalue().splitlines()) == 1


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_is_the_error_that_it_is() -> None:
    with pytest.raises(OSError, match="No space left"):
        await record(RadioOf(HEARD), FullDisk(), as_heard, stopped=asyncio.Event(), seconds=None)


async def test_what_waits_for_the_disk_is_bounded_and_the_oldest_goes_first() -> None:
    out = io.StringIO()
    burst = [HEARD._replace(t_s=float(i)) for i in range(WAITING_MAX + 5)]
    tally = await record(RadioOf(*burst), out, as_heard, stopped=asyncio.Event(), seconds=0.01)
    assert (tally.recorded, tally.dropped) == (WAITING_MAX, 5)
    assert json.loads(out.getvalue().splitlines()[-1])["t"] == WAITING_MAX - 1


async def test_a_reader_that_has_had_enough_is_no_failure(bus: PrivateBus) -> None:
    async with FakeBluez(bus.address) as bluez:
        bluez.plug("hci0")
        readable, writable = os.pipe()
        recording = await program("--seconds", "600", bus_address=bus.address, stdout=writable)
        os.close(writable)
        await eventually(lambda: bluez.is_scanned("hci0"))
        os.close(readable)
        ended = asyncio.create_task(recording.wait())

        def heard_until_it_ends() -> bool:
            bluez.advertise("hci0", BEACON, -60, manufacturer={0x4C: IBEACON})
            return ended.done()

        await eventually(heard_until_it_ends)
        assert recording.stderr is not None
        assert (await ended, await recording.stderr.read()) == (0, b"")


def test_an_address_has_one_pseudonym_under_a_key_and_another_under_the_next() -> None:
    first, second = concealing(b"1" * 32), concealing(b"2" * 32)
    assert first(HEARD).address == first(HEARD._replace(rssi_dbm=-80)).address
    assert len({HEARD.address, first(HEARD).address, second(HEARD).address}) == 3
    assert first(HEARD).address != first(HEARD._replace(address=PHONE)).address


@pytest.mark.parametrize("kind", [0x00, 0x40, 0x80, 0xC0])
def test_a_pseudonym_keeps_the_kind_of_address(kind: int) -> None:
    for i in range(64):
        address = f"{kind | i:02X}:12:34:56:78:9A"
        assert int(concealing(b"k" * 32)(HEARD._replace(address=address)).address[:2], 16) & 0xC0 == kind


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        (IBEACON_ON_AIR, IBEACON_ON_AIR),
        (EDDYSTONE_URL_ON_AIR, EDDYSTONE_URL_ON_AIR),
        (b"\x02\x01\x06" + IBEACON_ON_AIR, b"\x02\x01\x06" + IBEACON_ON_AIR),
        (b"\x05\x09Anna" + IBEACON_ON_AIR, IBEACON_ON_AIR),
        (bytes.fromhex("0bff4c00100611223344556677"), b""),
        (bytes.fromhex("0716aafe40112233"), b""),
        (bytes.fromhex("0503aafe0f18"), bytes.fromhex("0303aafe")),
        (bytes.fromhex("0516e0fe1122"), b""),
        (b"\x1f" + IBEACON_ON_AIR[1:] + b"Anna5", IBEACON_ON_AIR),
    ],
    ids=[
        "iBeacon",
        "URL",
        "flags",
        "name",
        "Apple",
        "odd Eddystone",
        "services",
        "service",
        "behind a frame",
    ],
)
def test_only_beacon_frames_and_what_frames_them_are_kept(heard: bytes, kept: bytes) -> None:
    assert beacon_frames_only(heard) == kept


async def test_the_program_records_until_it_is_stopped_and_conceals(bus: PrivateBus, tmp_path: Path) -> None:
    out = tmp_path / "heard.jsonl"
    async with FakeBluez(bus.address) as bluez:
        bluez.plug("hci0")
        recording = await program("--out", str(out), "--adapter", "hci0", bus_address=bus.address)
        await eventually(lambda: bluez.is_scanned("hci0"))
        for i in range(20):
            bluez.advertise("hci0", BEACON, -60 - i, manufacturer={0x4C: IBEACON})
            bluez.advertise("hci0", PHONE, -80, manufacturer={0x4C: b"\x10\x05secret"})
        await eventually(lambda: out.read_text().count("\n") == 40)
        recording.send_signal(signal.SIGINT)
        _, said = await asyncio.wait_for(recording.communicate(), PATIENCE_S)
    assert (recording.returncode, said.decode()) == (0, "beckon-agent: record: 40 advertisements recorded\n")
    with out.open("rb") as file:
        lines = [one for one in read_adverts(file) if isinstance(one, Advertisement)]
    assert [one.rssi_dbm for one in lines if one.data == IBEACON_ON_AIR] == [-60 - i for i in range(20)]
    assert {one.data for one in lines} == {IBEACON_ON_AIR, b""}
    assert len({one.address for one in lines}) == 2
    assert not {one.address for one in lines} & {BEACON, PHONE}


async def test_the_program_keeps_everything_when_told_so_and_ends_by_itself(bus: PrivateBus) -> None:
    async with FakeBluez(bus.address) as bluez:
        bluez.plug("hci0")
        recording = await program("--raw", "--seconds", "3", bus_address=bus.address)
        ended = asyncio.create_task(recording.communicate())

        def heard_until_it_ends() -> bool:
            bluez.advertise("hci0", PHONE, -80, manufacturer={0x4C: b"\x10\x05secret"})
            return ended.done()

        await eventually(heard_until_it_ends)
        written, said = await ended
    assert recording.returncode == 0, said
    line = json.loads(written.splitlines()[0])
    assert (line["address"], bytes.fromhex(line["data"])) == (PHONE, b"\x0b\xff\x4c\x00\x10\x05secret")


async def test_the_program_says_why_it_cannot_hear(bus: PrivateBus) -> None:
    recording = await program(bus_address=bus.address)
    _, said = await asyncio.wait_for(recording.communicate(), PATIENCE_S)
    assert recording.returncode == 1
    # The words of the first look; whoever waits for an adapter to come says others, seconds later.
    assert b"there is no Bluetooth adapter, or no bluetoothd to ask" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seconds", "-1"], "number of seconds above 0"),
        (["--seconds", "nan"], "number of seconds above 0"),
        (["--out", "/nowhere/at/all"], "--out is /nowhere/at/all"),
    ],
)
async def test_a_wrong_call_is_named(arguments: list[str], says: str) -> None:
    recording = await program(*arguments, bus_address="unix:path=/nowhere")
    _, said = await asyncio.wait_for(recording.communicate(), PATIENCE_S)
    assert recording.returncode == 2
    assert says in said.decode()
