"""The real bleak scanner against a BlueZ on a private message bus: every packet, and adapters that come and go."""

import asyncio
import time
from pathlib import Path

import pytest
import uvloop

from edge_agent.adapters.bluez_radio import BluezRadio
from edge_agent.adapters.bluez_watch import find_adapter
from edge_agent.radio_status import ReceiverState
from tests.eventually import eventually
from tests.fakes.bluez import FakeBluez, Rule
from tests.fakes.bluez_listening import (
    BEACON,
    BRISK,
    DONGLE,
    IBEACON,
    OTHER_DONGLE,
    RealClock,
    flows,
    listening,
    state,
)


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
    # Ten times what the limit of the whole allows: a call that is never answered does not end by itself.
    monkeypatch.setattr("edge_agent.adapters.bluez_watch.CALL_S_MAX", 20.0)
    started = time.monotonic()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nothing'}")
    assert await find_adapter() is None
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus_address)
    assert await find_adapter() is None
    async with FakeBluez(bus_address) as bluez:
        assert await find_adapter() is None
        bluez.hang("GetManagedObjects")
        assert await find_adapter() is None
    assert time.monotonic() - started < 15.0


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


async def test_other_receivers_are_taken_up_while_one_that_stays_is_not_interrupted(bluez: FakeBluez) -> None:
    bluez.plug("hci0", DONGLE)
    bluez.plug("hci1", OTHER_DONGLE)
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        await eventually(lambda: bluez.is_scanned("hci0"))
        radio.retune(["hci1", "hci0"])
        await eventually(lambda: bluez.is_scanned("hci1"))
        assert (await flows(bluez, "hci1", heard)).adapter == "hci1"
        staying = next(each for each in radio.status.receivers if each.adapter == "hci0")
        assert staying.restarts == 0
        radio.retune(["hci1"])
        await eventually(lambda: not bluez.is_scanned("hci0"))
        assert [each.adapter for each in radio.status.receivers] == ["hci1"]
        assert (await flows(bluez, "hci1", heard)).adapter == "hci1"


async def test_a_radio_whose_receivers_were_all_dropped_hears_with_the_machines_own(bluez: FakeBluez) -> None:
    bluez.plug("hci0", DONGLE)
    radio = BluezRadio(["hci7"], clock=RealClock(), limits=BRISK)
    async with listening(radio) as heard:
        await eventually(lambda: state(radio) is ReceiverState.ABSENT)
        radio.retune([])
        await eventually(lambda: bluez.is_scanned("hci0"))
        assert (await flows(bluez, "hci0", heard)).adapter == "hci0"
