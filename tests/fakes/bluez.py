"""A bluetoothd of our own on a private message bus: what bleak's scanner asks of BlueZ, and the ways BlueZ fails.

Kept from BlueZ (src/adapter.c, src/device.c): the strength is signalled only when it moved by 8 dB, unless a discovery
filter lifts that: any filter up to 5.87, only one with RSSI or Pathloss after it. Data is merged and signalled only
when changed, unless DuplicateData is set. A client that leaves the bus loses its discovery; a second StartDiscovery
of one client is InProgress; strengths are invalidated when discovery stops.
"""

import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
_DBUS = "org.freedesktop.DBus"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_IN_PROGRESS = "org.bluez.Error.InProgress"
_UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
_THRESHOLD_DB = 8
_BUS_START_S_MAX = 30.0
_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"""

# Which filters lift the threshold: up to 5.87, or from 5.88 on.
Rule = Literal["any_filter", "rssi_filter"]


class PrivateBus:
    """A dbus-daemon whose socket lies in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        self._socket, self._config = folder / "bus", folder / "bus.conf"
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix:path={self._socket}"

    def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        self._config.write_text(_CONFIG.format(path=self._socket))
        command = ["dbus-daemon", "--config-file", str(self._config), "--nofork", "--nopidfile", "--nosyslog"]
        self._daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _BUS_START_S_MAX
        while not self._answers():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("dbus-daemon did not start")
            time.sleep(0.005)

    def _answers(self) -> bool:
        """The socket's file is there a moment before anybody listens on it."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0

    def stop(self) -> None:
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait()
            self._daemon = None


class FakeBluez:
    """``async with FakeBluez(bus.address) as bluez: bluez.plug("hci0"); bluez.advertise("hci0", ...)``"""

    def __init__(self, bus_address: str, rule: Rule = "rssi_filter") -> None:
        self._bus_address = bus_address
        self._rule = rule
        self._bus: MessageBus | None = None
        self._objects: dict[str, dict[str, dict[str, Variant]]] = {}
        self._filters: dict[tuple[str, str], dict[str, Variant]] = {}
        self._sessions: dict[str, set[str]] = {}
        self._refusals: dict[str, list[str]] = {}
        self._muted: set[str] = set()
        self._hung: set[str] = set()
        self._wedged: set[str] = set()
        self.calls: list[str] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.crash()

    async def start(self) -> None:
        self._bus = await MessageBus(bus_address=self._bus_address).connect()
        self._bus.add_message_handler(self._on_message)
        rule = f"type='signal',sender='{_DBUS}',member='NameOwnerChanged'"
        await self._bus.call(
            Message(_DBUS, "/org/freedesktop/DBus", _DBUS, "AddMatch", signature="s", body=[rule])
        )
        await self._bus.request_name("org.bluez")

    async def crash(self) -> None:
        """The daemon dies: nothing is said to anybody, and it forgets everything."""
        bus, self._bus = self._bus, None
        self._objects.clear()
        self._sessions.clear()
        self._filters.clear()
        if bus is not None and bus.connected:
            bus.disconnect()
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast left it bare

    def plug(self, hci: str, address: str = "00:1A:7D:DA:71:01", *, powered: bool = True) -> None:
        properties = {
            "Address": Variant("s", address),
            "Alias": Variant("s", hci),
            "Powered": Variant("b", powered),
            "Discovering": Variant("b", False),
            "Roles": Variant("as", ["central", "peripheral"]),
        }
        self._add(_path(hci), {ADAPTER: properties})

    def unplug(self, hci: str) -> None:
        for path in [path for path in self._objects if path.startswith(_path(hci) + "/")]:
            self._remove(path)
        self._remove(_path(hci))
        self._sessions.pop(_path(hci), None)

    def switch(self, hci: str, *, on: bool) -> None:
        if not on:
            self._wedged.discard(_path(hci))
            self.drop_scans(hci)
        self._change(_path(hci), ADAPTER, {"Powered": Variant("b", on)})

    def refuse(self, method: str, *, times: int = 1, error: str = _IN_PROGRESS) -> None:
        self._refusals.setdefault(method, []).extend([error] * times)

    def hang(self, method: str) -> None:
        """Never answer this method; ``answer`` ends it."""
        self._hung.add(method)

    def answer(self, method: str) -> None:
        self._hung.discard(method)

    def mute(self, hci: str) -> None:
        """The controller is stuck: it says it scans, and brings nothing until a new StartDiscovery."""
        self._muted.add(_path(hci))

    def drop_scans(self, hci: str) -> None:
        """BlueZ ends every client's discovery on its own."""
        self._sessions.pop(_path(hci), None)
        self._change(_path(hci), ADAPTER, {"Discovering": Variant("b", False)})

    def wedge(self, hci: str) -> None:
        """BlueZ lost track of a discovery: it refuses the next until the adapter is switched off and on."""
        self._wedged.add(_path(hci))

    def connect(self, hci: str, address: str) -> None:
        """Somebody's headphones use the adapter."""
        properties = _device(address, _path(hci), ()) | {"Connected": Variant("b", True)}
        self._add(f"{_path(hci)}/dev_{address.replace(':', '_')}", {DEVICE: properties})

    def is_scanned(self, hci: str) -> bool:
        return bool(self._sessions.get(_path(hci)))

    def advertise(
        self,
        hci: str,
        address: str,
        rssi: int,
        *,
        manufacturer: Mapping[int, bytes] | None = None,
        service: Mapping[str, bytes] | None = None,
        uuids: tuple[str, ...] = (),
    ) -> bool:
        """A packet reaches the adapter; whether BlueZ signals anything about it."""
        if not self.is_scanned(hci) or _path(hci) in self._muted or self._bus is None:
            return False
        path = f"{_path(hci)}/dev_{address.replace(':', '_')}"
        known = self._objects.get(path, {}).get(DEVICE)
        filters = [self._filters.get((_path(hci), client), {}) for client in self._sessions[_path(hci)]]
        data: dict[str, Variant] = {}
        if manufacturer:
            data["ManufacturerData"] = Variant(
                "a{qv}", {key: Variant("ay", value) for key, value in manufacturer.items()}
            )
        if service:
            data["ServiceData"] = Variant(
                "a{sv}", {key: Variant("ay", value) for key, value in service.items()}
            )
        if known is None:
            self._add(
                path, {DEVICE: _device(address, _path(hci), uuids) | data | {"RSSI": Variant("n", rssi)}}
            )
            return True
        changed = _data_signalled(known, data, filters) | _rssi_signalled(known, rssi, filters, self._rule)
        if changed:
            self._change(path, DEVICE, changed)
        return bool(changed)

    async def settle(self) -> None:
        """Return when the bus has taken all that was signalled; needed between bursts of 50, because dbus-fast
        takes a full socket for a lost bus."""
        if self._bus is not None:
            await self._bus.call(Message(_DBUS, "/org/freedesktop/DBus", _DBUS, "GetId"))

    def invalidate_rssi(self, hci: str, address: str) -> None:
        path = f"{_path(hci)}/dev_{address.replace(':', '_')}"
        self._objects[path][DEVICE].pop("RSSI", None)
        self._signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", DEVICE, {}, ["RSSI"])

    # What clients ask.

    def _on_message(self, message: Message) -> Message | bool | None:
        if message.message_type is MessageType.SIGNAL:
            self._on_signal(message)
            return None
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        member = message.member or ""
        self.calls.append(member)
        if member in self._hung:
            return True
        if self._refusals.get(member):
            return Message.new_error(message, self._refusals[member].pop(0), "refused by the test")
        if member == "GetManagedObjects":
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects])
        if message.path not in self._objects:
            return Message.new_error(message, _UNKNOWN_OBJECT, "no such object")
        return self._answer(message, message.path, message.sender or "")

    def _answer(self, message: Message, path: str, client: str) -> Message:
        sessions = self._sessions.setdefault(path, set())
        if message.member == "SetDiscoveryFilter":
            self._filters[path, client] = message.body[0]
        elif message.member == "StartDiscovery":
            if not self._objects[path][ADAPTER]["Powered"].value:
                return Message.new_error(message, "org.bluez.Error.NotReady", "Resource Not Ready")
            if client in sessions or path in self._wedged:
                return Message.new_error(message, _IN_PROGRESS, "Operation already in progress")
            sessions.add(client)
            self._muted.discard(path)
            self._change(path, ADAPTER, {"Discovering": Variant("b", True)})
        elif message.member == "StopDiscovery":
            if client not in sessions:
                return Message.new_error(message, "org.bluez.Error.Failed", "No discovery started")
            self._end_session(path, client)
        elif message.member == "Set":
            self.switch(path.rsplit("/", 1)[1], on=message.body[2].value)
        else:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", str(message.member))
        return Message.new_method_return(message)

    def _on_signal(self, message: Message) -> None:
        if message.member == "NameOwnerChanged" and not message.body[2]:
            for path, clients in self._sessions.items():
                if message.body[0] in clients:
                    self._end_session(path, message.body[0])

    def _end_session(self, path: str, client: str) -> None:
        self._sessions[path].discard(client)
        if not self._sessions[path]:
            self._change(path, ADAPTER, {"Discovering": Variant("b", False)})
            for device in [one for one in self._objects if one.startswith(path + "/dev_")]:
                self.invalidate_rssi(path.rsplit("/", 1)[1], self._objects[device][DEVICE]["Address"].value)

    # What everybody is told.

    def _add(self, path: str, interfaces: dict[str, dict[str, Variant]]) -> None:
        self._objects[path] = interfaces
        self._signal("/", _OBJECTS, "InterfacesAdded", "oa{sa{sv}}", path, interfaces)

    def _remove(self, path: str) -> None:
        gone = self._objects.pop(path, None)
        if gone is not None:
            self._signal("/", _OBJECTS, "InterfacesRemoved", "oas", path, list(gone))

    def _change(self, path: str, interface: str, changed: dict[str, Variant]) -> None:
        self._objects[path][interface].update(changed)
        self._signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", interface, changed, [])

    def _signal(self, path: str, interface: str, member: str, signature: str, *body: Any) -> None:
        if self._bus is not None and self._bus.connected:
            self._bus.send(Message.new_signal(path, interface, member, signature, list(body)))


def _data_signalled(
    known: Mapping[str, Variant], data: Mapping[str, Variant], filters: list[dict[str, Variant]]
) -> dict[str, Variant]:
    if any(one["DuplicateData"].value for one in filters if "DuplicateData" in one):
        return dict(data)
    signalled: dict[str, Variant] = {}
    for name, variant in data.items():
        before = known[name].value if name in known else {}
        if before | variant.value != before:
            signalled[name] = Variant(variant.signature, before | variant.value)
    return signalled


def _rssi_signalled(
    known: Mapping[str, Variant], rssi: int, filters: list[dict[str, Variant]], rule: Rule
) -> dict[str, Variant]:
    lifted = any("RSSI" in one or "Pathloss" in one or (rule == "any_filter" and one) for one in filters)
    if lifted or "RSSI" not in known or abs(known["RSSI"].value - rssi) >= _THRESHOLD_DB:
        return {"RSSI": Variant("n", rssi)}
    return {}


def _device(address: str, adapter_path: str, uuids: tuple[str, ...]) -> dict[str, Variant]:
    return {
        "Address": Variant("s", address),
        "AddressType": Variant("s", "random"),
        "Alias": Variant("s", address.replace(":", "-")),
        "Adapter": Variant("o", adapter_path),
        "UUIDs": Variant("as", list(uuids)),
        "Paired": Variant("b", False),
        "Connected": Variant("b", False),
        "ServicesResolved": Variant("b", False),
        "Blocked": Variant("b", False),
    }


def _path(hci: str) -> str:
    return f"/org/bluez/{hci}"
