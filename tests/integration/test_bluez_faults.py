"""The radio when BlueZ, the bus or an adapter fails: what it cures, how soon, and what it says of the rest."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.adapters.bluez_radio import BluezRadio
from edge_agent.adapters.bluez_receiver import Limits
from edge_agent.ports import RadioLost
from edge_agent.radio_status import ReceiverState
from tests.eventually import PATIENCE_S, eventually
from tests.fakes.bluez import FakeBluez, PrivateBus
from tests.fakes.bluez_listening import (
    BEACON,
    BRISK,
    IBEACON,
    RealClock,
    flows,
    listening,
    open_sockets,
    shut,
    state,
)
from tests.needs import needs_command

# Sooner than a silent scan is noticed, which would be begun anew too.
SOON_S = 15.0


@pytest.mark.parametrize("is_announced", [True, False], ids=["adapter announced", "adapter there already"])
async def test_a_restart_of_bluetoothd_is_survived_within_seconds(
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
        await flows(bluez, "hci0", heard, SOON_S)
        assert state(radio) is ReceiverState.HEARING
        assert radio.status.receivers[0].restarts == 1


async def test_the_bus_daemon_restarted_is_survived_within_seconds(
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
            await flows(bluez, "hci0", heard, SOON_S)
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
    async with listening(BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)) as heard:
        await flows(bluez, "hci0", heard)
        bluez.drop_scans("hci0")
        await flows(bluez, "hci0", heard)


@pytest.mark.parametrize("which", [0, 1], ids=["the watch's", "bleak's"])
async def test_a_connection_to_the_bus_that_dies_is_made_anew(which: int, bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    before = open_sockets()
    async with listening(BluezRadio(["hci0"], clock=RealClock(), limits=BRISK)) as heard:
        await flows(bluez, "hci0", heard)
        now = open_sockets()
        shut(now[sorted(now.keys() - before.keys())[which]])
        await eventually(lambda: bluez.calls.count("StartDiscovery") == 2)
        await flows(bluez, "hci0", heard)


async def test_a_bluetoothd_that_answers_no_more_is_waited_for(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    bluez.hang("StartDiscovery")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=replace(BRISK, start_s=1.0))
    async with listening(radio) as heard:
        await eventually(lambda: state(radio) is ReceiverState.REFUSED)
        assert "did not start scanning" in (radio.status.cause or "")
        bluez.answer("StartDiscovery")
        await flows(bluez, "hci0", heard)


async def test_a_scan_gone_silent_is_begun_anew(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=replace(BRISK, silent_s=0.4))
    async with listening(radio) as heard:
        await flows(bluez, "hci0", heard)
        bluez.mute("hci0")
        await flows(bluez, "hci0", heard)


async def test_an_empty_shop_is_silent_but_no_fault(bluez: FakeBluez) -> None:
    bluez.plug("hci0")
    radio = BluezRadio(["hci0"], clock=RealClock(), limits=replace(BRISK, silent_s=0.4))
    async with listening(radio):
        await eventually(lambda: state(radio) is ReceiverState.SILENT)
        assert radio.status.is_listening
        assert "hears nothing" in (radio.status.cause or "")


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
        async with asyncio.timeout(PATIENCE_S):
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
        async with asyncio.timeout(PATIENCE_S):
            await radio.listen(lambda _: None)
    assert (state(radio), radio.status.is_listening) == (ReceiverState.ABSENT, False)
    assert "no Bluetooth adapter" in (radio.status.cause or "")
