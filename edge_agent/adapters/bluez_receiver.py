"""One receiver of the store: keeps a bleak scan running on its adapter, and names what is in the way.

The scan is active with DuplicateData and RSSI -127: only this pair gives every packet with its own signal strength
under both threshold rules of BlueZ (up to 5.87, and after). Which adapter is meant is decided by bluez_radio.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bleak import BleakAdapter, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError, BleakError

from edge_agent.adapters.bluez_payload import ad_structures
from edge_agent.adapters.bluez_watch import ACCESS_DENIED, ACCESS_DENIED_MEANS, BUS_FAULTS, BluezAdapter
from edge_agent.ports import Clock
from edge_agent.radio_status import ReceiverState, ReceiverStatus
from engagement.advertisement.packet import Advertisement

_log = logging.getLogger(__name__)

# What bleak throws when BlueZ refuses or the bus dies under it; AssertionError is its way to say "no bus".
_SCAN_FAULTS = (BleakError, AssertionError, *BUS_FAULTS)
_IN_PROGRESS = frozenset({"org.bluez.Error.InProgress", "org.bluez.Error.Busy"})
# BlueZ's value for "no strength measured"; it also comes when a scan ends, without any packet.
_NOT_MEASURED_DBM = -127

_SILENT_MEANS = (
    "the scan runs but hears nothing and was begun anew; either no Bluetooth sender is near, or the adapter is stuck:"
    " unplug it and plug it in again"
)

# An adapter that heard this many was among people or beacons, and so many silent scans after it are no chance.
_LIVELY_HEARD = 600
_LIVELY_NEW_SCANS = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """``start_s``, ``stop_s``: bluetoothd answers in milliseconds; a stuck controller can take it some seconds.
    ``silent_s``: a shop's own beacons send at least once a second, so this long a pause is worth a new scan;
    ``silent_s_max``: the pauses between new scans double up to this, for the shop that has no beacon yet.
    ``idle_s``: how long BlueZ may say "not discovering" while we scan; it says so when it dropped our session.
    ``retry_s``, ``retry_s_max``: the first pause after a refused start; it doubles up to the last.
    ``stuck_s``: an adapter that refuses as long as this is busy with something that will not end by itself.
    ``settle_s``: adapters that return come one by one; a receiver takes another one only after this.
    ``patience_s``: with no receiver able to scan for this long, the listening is given up with its cause.
    ``tick_s``: how often the above are looked at when BlueZ signals nothing.
    """

    start_s: float = 8.0
    stop_s: float = 2.0
    silent_s: float = 20.0
    silent_s_max: float = 320.0
    idle_s: float = 2.0
    retry_s: float = 0.25
    retry_s_max: float = 5.0
    stuck_s: float = 10.0
    settle_s: float = 5.0
    patience_s: float = 30.0
    tick_s: float = 0.5


class BluezReceiver:
    """``label`` is the adapter's name in the inventory and in every advertisement, whatever hci it is by now."""

    def __init__(self, label: str, clock: Clock, limits: Limits) -> None:
        self.label = label
        self._clock = clock
        self._limits = limits
        self._sink: Callable[[Advertisement], None] = _nowhere
        self._scanner: BleakScanner | None = None
        self._scanned: BluezAdapter | None = None
        self._started_mono_s = 0.0
        self._idle_since_mono_s: float | None = None
        self._retry_at_mono_s = 0.0
        self._refusals = 0
        self._stuck_since_mono_s: float | None = None
        self._was_cycled = False
        self._new_scans = 0
        self._heard = 0
        self._heard_before_scan = 0
        self._last_heard_mono_s: float | None = None
        self._state = ReceiverState.STARTING
        self._cause: str | None = None
        self._hci = ""
        self._token: object | None = None
        self._scans = 0

    @property
    def is_listening(self) -> bool:
        return self._scanner is not None and self._state not in (ReceiverState.NO_BUS, ReceiverState.NO_BLUEZ)

    @property
    def wants_power_cycle(self) -> bool:
        """Whether the adapter seems stuck beyond what a new scan cures; asked for once, until it is heard again."""
        if self._was_cycled:
            return False
        since = self._stuck_since_mono_s
        is_refusing = since is not None and self._clock.mono_s() - since >= self._limits.stuck_s
        return is_refusing or (self._heard >= _LIVELY_HEARD and self._new_scans >= _LIVELY_NEW_SCANS)

    @property
    def owes_power(self) -> bool:
        """Whether it is our own doing that the adapter is off."""
        return self._was_cycled and self._state is ReceiverState.OFF

    @property
    def status(self) -> ReceiverStatus:
        last = self._last_heard_mono_s
        ago_s = None if last is None else max(0.0, self._clock.mono_s() - last)
        restarts = max(0, self._scans - 1)
        state, cause = (self._state, self._cause) if self._scanned is None else self._scan_state()
        return ReceiverStatus(self.label, state, self._heard, ago_s, restarts, cause)

    def begin(self, sink: Callable[[Advertisement], None]) -> None:
        """Start afresh: what an earlier listening met does not delay this one."""
        self._sink = sink
        self._retry_at_mono_s = 0.0
        self._refusals = self._new_scans = 0
        self._stuck_since_mono_s = None
        self._become(ReceiverState.STARTING)

    def note_power_cycle(self) -> None:
        _log.warning("adapter seems stuck and is switched off and on", extra={"adapter": self.label})
        self._was_cycled = True

    def lack(self, state: ReceiverState, cause: str) -> None:
        """There is nothing to scan with. A scan that ran is dead; it is let go when BlueZ can answer again."""
        self._scanned = None
        self._become(state, cause)

    async def tend(self, adapter: BluezAdapter) -> None:
        """Make the scan run on this adapter, as far as that is possible now."""
        if self._scanned is None or self._scanned.incarnation != adapter.incarnation:
            await self.stop()
        if not adapter.is_powered:
            what = f"adapter {adapter.hci} is switched off; switch it on with: bluetoothctl power on"
            self._become(ReceiverState.OFF, what)
            return
        if self._scanner is not None and self._is_deaf(adapter):
            await self.stop()
        if self._scanner is None and self._clock.mono_s() >= self._retry_at_mono_s:
            await self._start(adapter)
        if self._scanner is not None:
            self._become(*self._scan_state())

    async def stop(self) -> None:
        scanner, self._scanner, self._scanned, self._token = self._scanner, None, None, None
        if scanner is None:
            return
        try:
            async with asyncio.timeout(self._limits.stop_s):
                # On a bus that died bleak's stop is never answered; this makes it connect anew where it must.
                await BleakAdapter.get(bluez={"adapter": self._hci})
                await scanner.stop()
        except _SCAN_FAULTS as fault:
            # Should its callback be left behind, it is deaf: see _on_packet.
            _log.debug("scan did not stop", extra={"adapter": self.label, "fault": repr(fault)})

    async def _start(self, adapter: BluezAdapter) -> None:
        token = self._token = object()
        scanner = BleakScanner(
            partial(self._on_packet, token),
            bluez={"adapter": adapter.hci, "filters": {"DuplicateData": True, "RSSI": _NOT_MEASURED_DBM}},
        )
        try:
            async with asyncio.timeout(self._limits.start_s):
                await scanner.start()
        except _SCAN_FAULTS as fault:
            self._refused(adapter, fault)
            return
        self._scans += 1
        self._scanner, self._scanned, self._hci = scanner, adapter, adapter.hci
        self._started_mono_s = self._clock.mono_s()
        self._heard_before_scan = self._heard
        self._idle_since_mono_s = None
        self._refusals = 0
        self._stuck_since_mono_s = None

    def _refused(self, adapter: BluezAdapter, fault: BaseException) -> None:
        now = self._clock.mono_s()
        self._retry_at_mono_s = now + retry_pause_s(self._refusals, self._limits)
        self._refusals += 1
        error = fault.dbus_error if isinstance(fault, BleakDBusError) else None
        is_stuck = error in _IN_PROGRESS or isinstance(fault, TimeoutError)
        if not is_stuck:
            self._stuck_since_mono_s = None
        elif self._stuck_since_mono_s is None:
            self._stuck_since_mono_s = now
        if error in _IN_PROGRESS:
            what = f"adapter {adapter.hci} is busy with another program's request; it is asked again"
            self._become(ReceiverState.BUSY, what)
        elif is_stuck:
            what = f"adapter {adapter.hci} did not start scanning within {self._limits.start_s:g} s; it may be stuck"
            self._become(ReceiverState.REFUSED, what)
        elif error == ACCESS_DENIED:
            self._become(ReceiverState.REFUSED, ACCESS_DENIED_MEANS)
        else:
            self._become(ReceiverState.REFUSED, f"BlueZ refused to scan on {adapter.hci}: {fault}")

    def _is_deaf(self, adapter: BluezAdapter) -> bool:
        """Whether this scan should be begun anew: BlueZ dropped it, or it brings nothing."""
        now = self._clock.mono_s()
        if self._heard > self._heard_before_scan:
            self._new_scans = 0
            self._was_cycled = False
        heard = self._last_heard_mono_s
        quiet_s = now - (self._started_mono_s if heard is None else max(self._started_mono_s, heard))
        if adapter.is_discovering:
            self._idle_since_mono_s = None
        elif self._idle_since_mono_s is None:
            self._idle_since_mono_s = now
        idle_s = 0.0 if self._idle_since_mono_s is None else now - self._idle_since_mono_s
        is_dropped = min(quiet_s, idle_s) >= doubled(self._limits.idle_s, self._new_scans, self._limits)
        is_silent = quiet_s >= doubled(self._limits.silent_s, self._new_scans, self._limits)
        self._new_scans += is_dropped or is_silent
        return is_dropped or is_silent

    def _scan_state(self) -> tuple[ReceiverState, str | None]:
        """What a scan that runs brings."""
        now = self._clock.mono_s()
        if self._last_heard_mono_s is not None and now - self._last_heard_mono_s < self._limits.silent_s:
            return ReceiverState.HEARING, None
        if self._new_scans == 0:
            return ReceiverState.STARTING, None
        return ReceiverState.SILENT, _SILENT_MEANS

    def _on_packet(self, token: object, device: BLEDevice, heard: AdvertisementData) -> None:
        if token is not self._token:
            return  # from a scan that could not be stopped
        now = self._clock.mono_s()
        rssi_dbm = None if heard.rssi == _NOT_MEASURED_DBM else heard.rssi
        if rssi_dbm is not None:
            # Without a strength it may be BlueZ changing a property, which is no sign of life.
            self._heard += 1
            self._last_heard_mono_s = now
        data = ad_structures(heard.manufacturer_data, heard.service_data, heard.service_uuids)
        self._sink(Advertisement(now, self.label, device.address, rssi_dbm, data))

    def _become(self, state: ReceiverState, cause: str | None = None) -> None:
        if state is not self._state:
            level = logging.INFO if cause is None else logging.WARNING
            _log.log(
                level, "receiver state", extra={"adapter": self.label, "state": state.value, "cause": cause}
            )
        self._state, self._cause = state, cause


def retry_pause_s(refusals: int, limits: Limits) -> float:
    """The pause after a start that was refused, when ``refusals`` were refused before it."""
    return min(limits.retry_s * 2.0 ** min(refusals, 16), limits.retry_s_max)


def doubled(first_s: float, new_scans: int, limits: Limits) -> float:
    """A pause that doubles with every new scan that brought nothing, up to ``silent_s_max``."""
    return min(first_s * 2.0 ** min(new_scans, 16), limits.silent_s_max)


def _nowhere(_: Advertisement) -> None:
    """Before the first listening there is nobody to tell."""
