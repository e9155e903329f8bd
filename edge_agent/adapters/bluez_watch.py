"""BlueZ's adapters as they come and go, seen over a D-Bus connection of our own.

bleak 3.1 keeps silent when bluetoothd restarts under a live scan: it notices that the bus died, never that org.bluez
changed its owner. So this watch listens to the bus itself and decides nothing: it tells which adapters there are
and gives each appearance a number. A scan that was started on another number than the present one is dead.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from dbus_fast import BusType, DBusFastError, Message, MessageFlag, MessageType, Variant
from dbus_fast.aio import MessageBus

BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
_PATHS = "/org/bluez/"
_DBUS = "org.freedesktop.DBus"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"

ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
ACCESS_DENIED_MEANS = (
    "this user may not use Bluetooth; add it to the group bluetooth and start the agent again"
)

# Everything a D-Bus connection throws when it cannot be made or dies under a call.
BUS_FAULTS = (OSError, EOFError, DBusFastError, TimeoutError)
# The bus and bluetoothd are on this machine and answer within milliseconds; two seconds mean stuck.
CALL_S_MAX = 2.0
# Switching takes a controller some hundred milliseconds, a sick one a second or two.
_SWITCH_TRIES_MAX = 5
_SWITCH_PAUSE_S = 0.2
# What a start may wait for an answer before it takes the recording; a machine that is still starting is slow to answer.
FIND_S_MAX = 2.0


class BusLost(Exception):
    """The system message bus cannot be reached, closed the connection, or lets us ask nothing; ``cause`` is for
    people."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class BluezAdapter:
    """``incarnation`` rises whenever the adapter comes anew: plugged in, switched on, or bluetoothd restarted."""

    hci: str
    address: str
    is_powered: bool
    is_discovering: bool
    incarnation: int


class BluezWatch:
    """The adapters by hci name, kept up to date by signals; made by :func:`watching_bluez`."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._adapters: dict[str, BluezAdapter] = {}
        self._incarnations = 0
        self._has_owner = False
        self._is_stale = True
        self._changed = asyncio.Event()

    @property
    def adapters(self) -> Mapping[str, BluezAdapter]:
        return self._adapters

    @property
    def is_bluez_running(self) -> bool:
        return self._has_owner

    async def begin(self) -> None:
        """Ask for the signals, then for the state, so that nothing falls between. Errors: BusLost."""
        self._bus.add_message_handler(self._on_message)
        for rule in (
            f"type='signal',sender='{_DBUS}',member='NameOwnerChanged',arg0='{BLUEZ}'",
            f"type='signal',sender='{BLUEZ}',interface='{_OBJECTS}',arg0path='{_PATHS}'",
            f"type='signal',sender='{BLUEZ}',interface='{_PROPERTIES}',arg0='{ADAPTER}'",
        ):
            await self._call(_bus_call("AddMatch", "s", rule))
        reply = await self._call(_bus_call("NameHasOwner", "s", BLUEZ))
        self._has_owner = bool(reply.body[0])
        await self.refresh()

    async def refresh(self) -> None:
        """Read the adapters from BlueZ when it is there anew; otherwise nothing. Errors: BusLost."""
        if not (self._is_stale and self._has_owner):
            return
        self._is_stale = False
        reply = await self._call(_objects_question())
        if reply.error_name == ACCESS_DENIED:
            raise BusLost(ACCESS_DENIED_MEANS)
        if reply.message_type is MessageType.ERROR:
            # It went away between the signal and the question; its next owner makes us ask again.
            return
        for path, interfaces in reply.body[0].items():
            if ADAPTER in interfaces and _hci(path) not in self._adapters:
                self._appeared(_hci(path), interfaces[ADAPTER])

    async def changed_within(self, wait_s: float) -> None:
        """Return at the next change, or when the time is over. Errors: BusLost when the connection died."""
        try:
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()
        if not self._bus.connected:
            raise BusLost("the system message bus (D-Bus) closed the connection; it is tried again")

    async def power_cycle(self, hci: str) -> bool:
        """Switch an adapter off and on again; whether that was done: not while anything is connected through it.

        It ends every program's scan on this adapter, also one that BlueZ itself has lost track of. Errors: BusLost.
        """
        if await self._is_in_use(hci):
            return False
        try:
            await self._switch(hci, on=False)
        finally:
            await self.switch_on(hci)
        return True

    async def switch_on(self, hci: str) -> None:
        """Errors: BusLost."""
        await self._switch(hci, on=True)

    async def _switch(self, hci: str, *, on: bool) -> None:
        """Ask until BlueZ agrees: while it starts or stops a scan, or right after the last switching, it is busy."""
        body = [ADAPTER, "Powered", Variant("b", on)]
        for _ in range(_SWITCH_TRIES_MAX):
            question = Message(BLUEZ, _PATHS + hci, _PROPERTIES, "Set", signature="ssv", body=body)
            reply = await self._call(question)
            if reply.message_type is MessageType.METHOD_RETURN:
                return
            await asyncio.sleep(_SWITCH_PAUSE_S)

    async def _is_in_use(self, hci: str) -> bool:
        reply = await self._call(_objects_question())
        return reply.message_type is MessageType.ERROR or any(
            path.startswith(_PATHS + hci + "/")
            and DEVICE in interfaces
            and interfaces[DEVICE]["Connected"].value
            for path, interfaces in reply.body[0].items()
        )

    async def _call(self, message: Message) -> Message:
        if not self._bus.connected:
            raise BusLost("the system message bus (D-Bus) closed the connection; it is tried again")
        try:
            async with asyncio.timeout(CALL_S_MAX):
                return await self._bus.call(message)
        except BUS_FAULTS as fault:
            raise BusLost(f"the system message bus (D-Bus) gave no answer to {message.member}") from fault

    def _on_message(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "NameOwnerChanged" and message.body[0] == BLUEZ:
            self._adapters.clear()
            self._has_owner = bool(message.body[2])
            self._is_stale = True
        elif message.member == "InterfacesAdded" and ADAPTER in message.body[1]:
            self._appeared(_hci(message.body[0]), message.body[1][ADAPTER])
        elif message.member == "InterfacesRemoved" and ADAPTER in message.body[1]:
            self._adapters.pop(_hci(message.body[0]), None)
        elif message.member == "PropertiesChanged" and message.body[0] == ADAPTER:
            self._altered(_hci(message.path or ""), message.body[1])
        else:
            return
        self._changed.set()

    def _appeared(self, hci: str, properties: Mapping[str, Any]) -> None:
        self._incarnations += 1
        self._adapters[hci] = BluezAdapter(
            hci=hci,
            address=str(properties["Address"].value).upper(),
            is_powered=bool(properties["Powered"].value),
            is_discovering=bool(properties["Discovering"].value),
            incarnation=self._incarnations,
        )

    def _altered(self, hci: str, changed: Mapping[str, Any]) -> None:
        known = self._adapters.get(hci)
        if known is None:
            return
        if "Discovering" in changed:
            known = replace(known, is_discovering=bool(changed["Discovering"].value))
        if "Powered" in changed:
            # BlueZ drops every scan of an adapter that is switched off, also when it is on again at once.
            self._incarnations += 1
            is_powered = bool(changed["Powered"].value)
            known = replace(known, is_powered=is_powered, incarnation=self._incarnations)
        self._adapters[hci] = known


async def find_adapter() -> str | None:
    """Address of the machine's Bluetooth adapter, a powered one first; None when there is no bus, BlueZ or adapter."""
    try:
        async with asyncio.timeout(FIND_S_MAX), watching_bluez() as watch:
            first = default_adapter(watch.adapters.values())
            return None if first is None else first.address
    except (BusLost, TimeoutError):
        return None


def default_adapter(adapters: Iterable[BluezAdapter]) -> BluezAdapter | None:
    """A powered adapter before one that is off, then by number: hci2 before hci10."""
    return min(adapters, key=lambda one: (not one.is_powered, len(one.hci), one.hci), default=None)


@asynccontextmanager
async def watching_bluez() -> AsyncIterator[BluezWatch]:
    """A watch over a connection that is closed afterwards. Errors: BusLost."""
    try:
        bus = MessageBus(bus_type=BusType.SYSTEM, auth_timeout=CALL_S_MAX)
        async with asyncio.timeout(CALL_S_MAX):
            await bus.connect()
    except BUS_FAULTS as fault:
        raise BusLost(
            "the system message bus (D-Bus) cannot be reached; perhaps the dbus service does not run"
        ) from fault
    try:
        watch = BluezWatch(bus)
        await watch.begin()
        yield watch
    finally:
        await _close(bus)


async def _close(bus: MessageBus) -> None:
    """The socket is closed a turn of the loop after the wish, so it is waited for."""
    bus.disconnect()
    try:
        async with asyncio.timeout(CALL_S_MAX):
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast left it bare
    except BUS_FAULTS:
        pass  # it was dead already


def _objects_question() -> Message:
    """Without the flag the question itself would start a bluetoothd that is down, and wait for it."""
    return Message(
        BLUEZ, "/", _OBJECTS, "GetManagedObjects", flags=MessageFlag.NO_AUTOSTART, signature="", body=[]
    )


def _bus_call(member: str, signature: str, *body: object) -> Message:
    return Message(_DBUS, "/org/freedesktop/DBus", _DBUS, member, signature=signature, body=list(body))


def _hci(path: str) -> str:
    return path.removeprefix(_PATHS)
