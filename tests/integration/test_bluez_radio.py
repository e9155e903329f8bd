"""The real bleak scanner against a BlueZ on a private message bus: every packet, and every way to lose them."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from edge_agent.adapters.bluez_radio import BluezRadio
from edge_agent.adapters.bluez_receiver import Limits
from edge_agent.adapters.bluez_watch import find_adapter
from edge_agent.ports import RadioLost
from edge_agent.radio_status import ReceiverState
from engagement.advertisement.packet import Advertisement
from engagement.clock.moment import Moment
from tests.eventually import eventually
from tests.fakes.bluez import FakeBluez, PrivateBus, Rule
from tests.needs import needs_command

BEACON = "C0:FF:EE:00:00:01"
IBEACON = bytes.fromhex("0215fda50693a4e24fb1afcfc6eb0764782527110001c5")
DONGLE, OTHER_DONGLE = "00:1A:7D:DA:71:01", "00:1A:7D:DA:71:02"
# The product's order of magnitude, shortened so that the suite takes seconds.
BRISK = Limits(
    stop_s=0.3,
    silent_s=0.4,
    idle_s=0.2,
    retry_s=0.02,
    retry_s_max=0.1,
    settle_s=0.4,
    patience_s=5.0,
    tick_s=0.05,
)


class RealClock:
    def mono_s(self) -> float:
        return time.monotonic()

    def now(self) -> Moment:
        raise AssertionError("a radio has no business with wall time")


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
    bluez: FakeBluez, hci: str, heard: list[Advertisement], within_s: float = 3.0
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


@pytest.mark.parametrize("rule", ["any_filter", "rssi_filter"])
async def test_every_packet_of_a_still_beacon_arrives_with_its_own_strength(
    rule: Rule, bus_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus_address)
    async with FakeBluez(bus_address, rule) as bluez:
        bluez.plug("hci0")
        async with listening(BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)) as heard:
            await eventually(lambda: bluez.is_scanned("hci0"))
            strengths = [-60 - i % 4 for i in range(200)]
            for i, rssi in enumerate(strengths):
                assert bluez.advertise("hci0", BEACON, rssi, manufacturer={0x4C: IBEACON})
                if i % 25 == 0:
                    await bluez.settle()
            await eventually(lambda: len(heard) >= len(strengths))
    assert [one.rssi_dbm for one in heard] == strengths
    assert {one.data for one in heard} == {bytes.fromhex("1aff4c00") + IBEACON}
    assert {(one.adapter, one.address) for one in heard} == {("hci0", BEACON)}
    assert [one.t_s for one in heard] == sorted(one.t_s for one in heard)


async def test_eddystone_comes_with_its_list_of_services(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    feaa = "0000feaa-0000-1000-8000-00805f9b34fb"
    async with listening(BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)) as heard:
        await eventually(lambda: bluez.is_scanned("hci0"))
        bluez.advertise("hci0", BEACON, -70, service={feaa: bytes(20)}, uuids=(feaa,))
        await eventually(lambda: heard)
    assert heard[0].data == bytes.fromhex("0303aafe" + "1716aafe") + bytes(20)


async def test_a_strength_that_was_not_measured_is_none_and_no_sign_of_life(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        await eventually(lambda: bluez.is_scanned("hci0"))
        await flows(bluez, "hci0", heard)
        bluez.invalidate_rssi("hci0", BEACON)
        await eventually(lambda: heard[-1].rssi_dbm is None)
    assert radio.status.receivers[0].heard == sum(one.rssi_dbm is not None for one in heard)


async def test_an_adapter_that_vanishes_and_returns_is_heard_again(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        await flows(bluez, "hci0", heard)
        bluez.unplug("hci0")
        await eventually(lambda: state(radio) is ReceiverState.ABSENT)
        assert "hci0" in (radio.status.cause or "")
        assert not radio.status.is_listening
        bluez.plug("hci0")
        await flows(bluez, "hci0", heard)
        assert state(radio) is ReceiverState.HEARING


async def test_an_adapter_that_returns_at_once_is_heard_again_and_only_once_per_packet(
    bluez: FakeBluez,
) -> None:
    bluez.plug("hci0")
    async with listening(BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)) as heard:
        await flows(bluez, "hci0", heard)
        bluez.unplug("hci0")
        bluez.plug("hci0")
        await flows(bluez, "hci0", heard)
        heard.clear()
        for rssi in (-50, -51, -52):
            bluez.advertise("hci0", BEACON, rssi, manufacturer={0x4C: IBEACON})
        await flows(bluez, "hci0", heard)
        await eventually(lambda: heard and heard[-1].rssi_dbm == -60)
        assert [one.rssi_dbm for one in heard if one.rssi_dbm != -60] == [-50, -51, -52]


async def test_a_renumbered_adapter_keeps_its_receiver(bluez: FakeBluez) -> None:
    bluez.plug("hci0", DONGLE)
    bluez.plug("hci1", OTHER_DONGLE)
    async with listening(BluezRadio(["hci0", "hci1"], clock=RealClock(), limits=BRISK)) as heard:
        assert (await flows(bluez, "hci0", heard)).adapter == "hci0"
        bluez.unplug("hci0")
        bluez.plug("hci2", DONGLE)
        assert (await flows(bluez, "hci2", heard)).adapter == "hci0"
        assert (await flows(bluez, "hci1", heard)).adapter == "hci1"


async def test_a_receiver_named_by_address_is_found_under_any_number(bluez: FakeBluez) -> None:
    bluez.plug("hci0", OTHER_DONGLE)
    bluez.plug("hci7", DONGLE)
    radio = BluezRadio([DONGLE], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        assert (await flows(bluez, "hci7", heard)).adapter == DONGLE
        assert not bluez.is_scanned("hci0")
    assert radio.name == f"bluez:{DONGLE}"


async def test_the_only_adapter_left_replaces_one_that_stays_away(bluez: FakeBluez) -> None:
    bluez.plug("hci0", DONGLE)
    async with listening(BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)) as heard:
        await flows(bluez, "hci0", heard)
        bluez.unplug("hci0")
        bluez.plug("hci1", OTHER_DONGLE)
        assert (await flows(bluez, "hci1", heard)).adapter == "hci0"


async def test_two_adapters_are_heard_at_once(bluez: FakeBluez) -> None:
    bluez.plug("hci0", DONGLE)
    bluez.plug("hci1", OTHER_DONGLE)
    radio = BluezRadio(["hci0", "hci1"], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        await eventually(lambda: bluez.is_scanned("hci0") and bluez.is_scanned("hci1"))
        for i in range(25):
            bluez.advertise("hci0", BEACON, -50 - i, manufacturer={0x4C: IBEACON})
            bluez.advertise("hci1", BEACON, -80, manufacturer={0x4C: IBEACON})
        await eventually(lambda: len(heard) == 50)
        bluez.unplug("hci1")
        await eventually(lambda: radio.status.receivers[1].state is ReceiverState.ABSENT)
        await flows(bluez, "hci0", heard)
        assert radio.status.is_listening
    by_adapter = {name: [one.rssi_dbm for one in heard if one.adapter == name] for name in ("hci0", "hci1")}
    assert by_adapter["hci0"][:25] == [-50 - i for i in range(25)]
    assert by_adapter["hci1"] == [-80] * 25


@pytest.mark.parametrize("is_announced", [True, False], ids=["adapter announced", "adapter there already"])
async def test_a_restart_of_bluetoothd_is_survived_within_three_seconds(
    is_announced: bool, bluez: FakeBluez
) -> None:
    bluez.plug("hci0")
    radio = BluezRadio(["hci0"], clock=RealClock())
    async with listening(radio) as heard:
        await flows(bluez, "hci0", heard)
        await bluez.crash()
        await eventually(lambda: state(radio) is ReceiverState.NO_BLUEZ)
        if not is_announced:
            bluez.plug("hci0")
        await bluez.start()
        if is_announced:
            bluez.plug("hci0")
        await flows(bluez, "hci0", heard, within_s=3.0)
        assert state(radio) is ReceiverState.HEARING
        assert radio.status.receivers[0].restarts == 1


async def test_the_bus_daemon_restarted_is_survived_within_five_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_command("dbus-daemon")
    bus = PrivateBus(tmp_path)
    bus.start()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    try:
        bluez = FakeBluez(bus.address)
        await bluez.start()
        bluez.plug("hci0")
        radio = BluezRadio(["hci0"], clock=RealClock())
        async with listening(radio) as heard:
            await flows(bluez, "hci0", heard)
            bus.stop()
            await eventually(lambda: state(radio) is ReceiverState.NO_BUS)
            bus.start()
            await bluez.crash()
            await bluez.start()
            bluez.plug("hci0")
            await flows(bluez, "hci0", heard, within_s=5.0)
        await bluez.crash()
    finally:
        bus.stop()


async def test_a_start_refused_as_in_progress_is_tried_again(bluez: FakeBluez) -> None:
    bluez.refuse("StartDiscovery", times=4)
    bluez.plug("hci0")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        await eventually(lambda: state(radio) is ReceiverState.BUSY)
        await flows(bluez, "hci0", heard)
        assert state(radio) is ReceiverState.HEARING
        assert radio.status.cause is None


async def test_a_scan_that_bluez_dropped_is_begun_anew(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    limits = replace(BRISK, silent_s=60)
    async with listening(BluezRadio(["hci0"], clock=RealClock(), limits=limits)) as heard:
        await flows(bluez, "hci0", heard)
        bluez.drop_scans("hci0")
        await flows(bluez, "hci0", heard)


@pytest.mark.parametrize("which", [0, 1], ids=["the watch's", "bleak's"])
async def test_a_connection_to_the_bus_that_dies_is_made_anew(which: int, bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    before = open_sockets()
    async with listening(
        BluezRadio(["hci0"], clock=RealClock(), limits=replace(BRISK, silent_s=60))
    ) as heard:
        await flows(bluez, "hci0", heard)
        now = open_sockets()
        shut(now[sorted(now.keys() - before.keys())[which]])
        await eventually(lambda: bluez.calls.count("StartDiscovery") == 2)
        await flows(bluez, "hci0", heard)


async def test_a_bluetoothd_that_answers_no_more_is_waited_for(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    bluez.hang("StartDiscovery")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=replace(BRISK, start_s=0.1))
    async with listening(radio) as heard:
        await eventually(lambda: state(radio) is ReceiverState.REFUSED)
        assert "did not start scanning" in (radio.status.cause or "")
        bluez.answer("StartDiscovery")
        await flows(bluez, "hci0", heard)


async def test_a_scan_gone_silent_is_begun_anew(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        await flows(bluez, "hci0", heard)
        bluez.mute("hci0")
        await flows(bluez, "hci0", heard)


async def test_an_empty_shop_is_silent_but_no_fault(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)
    async with listening(radio):
        await eventually(lambda: state(radio) is ReceiverState.SILENT)
        assert radio.status.is_listening
        assert "hears nothing" in (radio.status.cause or "")


async def test_an_adapter_switched_off_is_named_left_alone_and_heard_when_on_again(bluez: FakeBluez) -> None:
    bluez.plug("hci0", powered=False)
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        await eventually(lambda: state(radio) is ReceiverState.OFF)
        assert "bluetoothctl power on" in (radio.status.cause or "")
        assert "Set" not in bluez.calls
        bluez.switch("hci0", on=True)
        await flows(bluez, "hci0", heard)
        bluez.switch("hci0", on=False)
        bluez.switch("hci0", on=True)
        await flows(bluez, "hci0", heard)


async def test_an_adapter_that_refuses_for_long_is_switched_off_and_on_once(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    bluez.wedge("hci0")
    bluez.refuse("Set", times=2, error="org.bluez.Error.Busy")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=replace(BRISK, stuck_s=0.2))
    async with listening(radio) as heard:
        await flows(bluez, "hci0", heard)
    assert bluez.calls.count("Set") == 4


async def test_an_adapter_that_others_use_is_not_switched_off(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    bluez.connect("hci0", "00:11:22:33:44:55")
    bluez.wedge("hci0")
    limits = replace(BRISK, stuck_s=0.1, patience_s=0.4)
    with pytest.raises(RadioLost, match="busy"):
        await BluezRadio(["hci0"], clock=RealClock(), limits=limits).listen(lambda _: None)
    assert "Set" not in bluez.calls


async def test_an_empty_shop_never_has_its_adapter_switched_off(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    limits = replace(BRISK, silent_s=0.02, silent_s_max=0.04)
    async with listening(BluezRadio(["hci0"], clock=RealClock(), limits=limits)) as heard:
        await flows(bluez, "hci0", heard)
        await eventually(lambda: bluez.calls.count("StartDiscovery") > 8)
    assert "Set" not in bluez.calls


async def test_a_lively_shop_gone_silent_for_good_has_its_adapter_switched_off_and_on(
    bluez: FakeBluez,
) -> None:
    bluez.plug("hci0")
    limits = replace(BRISK, silent_s=0.05, silent_s_max=0.1)
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=limits)
    async with listening(radio) as heard:
        await flows(bluez, "hci0", heard)
        while len(heard) < 650:
            for _ in range(25):
                bluez.advertise("hci0", BEACON, -60, manufacturer={0x4C: IBEACON})
            await bluez.settle()
        await eventually(lambda: "Set" in bluez.calls)
        await flows(bluez, "hci0", heard)
        assert radio.status.is_listening


def test_everything_holds_on_the_loop_that_the_agent_runs_on(
    bus_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus_address)

    async def vanish_return_restart() -> None:
        async with FakeBluez(bus_address) as bluez:
            bluez.plug("hci0")
            async with listening(BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)) as heard:
                await flows(bluez, "hci0", heard)
                bluez.unplug("hci0")
                bluez.plug("hci0")
                await flows(bluez, "hci0", heard)
                await bluez.crash()
                await bluez.start()
                bluez.plug("hci0")
                await flows(bluez, "hci0", heard)
            assert not bluez.is_scanned("hci0")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(vanish_return_restart())


async def test_the_default_adapter_is_the_first_powered_one(bluez: FakeBluez) -> None:
    bluez.plug("hci0", OTHER_DONGLE, powered=False)
    bluez.plug("hci1", DONGLE)
    assert await find_adapter() == DONGLE
    radio = BluezRadio(clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        assert (await flows(bluez, "hci1", heard)).adapter == "hci1"
    assert radio.name == f"bluez:{DONGLE}"


async def test_no_adapter_is_found_without_bus_bluez_or_adapter(
    bus_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = time.monotonic()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nothing'}")
    assert await find_adapter() is None
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus_address)
    assert await find_adapter() is None
    async with FakeBluez(bus_address) as bluez:
        assert await find_adapter() is None
        bluez.hang("GetManagedObjects")
        assert await find_adapter() is None
    assert time.monotonic() - started < 2.0


@pytest.mark.parametrize(
    ("is_bus_there", "says"),
    [(False, "D-Bus"), (True, "bluetoothd is not running")],
    ids=["no bus", "no BlueZ"],
)
async def test_what_is_not_cured_in_time_is_given_up_with_its_cause(
    is_bus_there: bool, says: str, bus_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = bus_address if is_bus_there else f"unix:path={tmp_path / 'nothing'}"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=Limits(patience_s=0.1, tick_s=0.02))
    with pytest.raises(RadioLost) as lost:
        async with asyncio.timeout(3):
            await radio.listen(lambda _: None)
    assert says in lost.value.cause


async def test_a_user_who_may_not_ask_is_told_so(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    denied = "org.freedesktop.DBus.Error.AccessDenied"
    limits = replace(BRISK, patience_s=0.2, stuck_s=0.0)
    for method in ("StartDiscovery", "GetManagedObjects"):
        bluez.refuse(method, times=100, error=denied)
        with pytest.raises(RadioLost, match="group bluetooth"):
            await BluezRadio(["hci0"], clock=RealClock(), limits=limits).listen(lambda _: None)
    assert "Set" not in bluez.calls


async def test_a_machine_without_adapter_is_given_up_with_that_cause(bluez: FakeBluez) -> None:
    radio = BluezRadio(clock=RealClock(), limits=Limits(patience_s=0.1, tick_s=0.02))
    with pytest.raises(RadioLost, match="no Bluetooth adapter"):
        async with asyncio.timeout(3):
            await radio.listen(lambda _: None)
    assert (state(radio), radio.status.is_listening) == (ReceiverState.ABSENT, False)
    assert "no Bluetooth adapter" in (radio.status.cause or "")


async def test_stopping_ends_the_scan_and_listening_again_leaks_nothing(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        await flows(bluez, "hci0", heard)
    assert not bluez.is_scanned("hci0")
    tasks, count = len(asyncio.all_tasks()), len(heard)
    for _ in range(3):
        async with listening(radio) as again:
            await flows(bluez, "hci0", again)
    assert len(asyncio.all_tasks()) == tasks
    assert len(heard) == count
