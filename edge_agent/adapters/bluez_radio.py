"""The machine's Bluetooth adapters as the agent's radio: which receiver listens on which adapter, and for how long.

One loop looks at what BlueZ has and makes it so; there is no state to get lost between a fault and its cure.
Cured here, within seconds of the cause being gone: an adapter that vanishes and returns, also under another hci
number; bluetoothd or the bus restarted; a start refused with InProgress; a scan that BlueZ dropped; a silent scan.
An adapter that refuses for long, or falls silent for good where much was heard, is switched off and on once, unless
something is connected through it. One that was switched off by others is waited for: somebody may have meant it.
Left to the caller, as RadioLost with the cause: no receiver could scan for Limits.patience_s.

The inventory may name other adapters meanwhile; receivers that stay are not interrupted.

A receiver is named by its hci name or, surer with several dongles, by its adapter's address. One named by hci name
follows the address first found under it, so a renumbered adapter keeps its receiver.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from edge_agent.adapters.bluez_receiver import BluezReceiver, Limits
from edge_agent.adapters.bluez_watch import BluezAdapter, BluezWatch, BusLost, default_adapter, watching_bluez
from edge_agent.ports import Clock, RadioLost
from edge_agent.radio_status import RadioStatus, ReceiverState, ReceiverStatus
from engagement.advertisement.packet import Advertisement

# A dead bus daemon is restarted by systemd within a second or so.
BUS_RETRY_S = 0.5
_NO_ADAPTER = "BlueZ has no Bluetooth adapter; is one plugged in, and does rfkill list it unblocked?"
_ADDRESS = re.compile(r"^(?:[0-9A-F]{2}:){5}[0-9A-F]{2}$")


class BluezRadio:
    """Hears with every named adapter at once, or with the machine's default one when none is named."""

    def __init__(self, adapters: Sequence[str] = (), *, clock: Clock, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._receivers = [self._receiver(label) for label in dict.fromkeys(adapters)]
        self._addresses = _named_by_address(adapters)
        self._wanted: tuple[str, ...] | None = None
        self._unmet_since_mono_s: dict[str, float] = {}
        self._mute_since_mono_s: float | None = None
        self._lacking = ReceiverState.STARTING, ""

    @property
    def name(self) -> str:
        if not self._receivers:
            return "bluez:default"
        first = self._receivers[0].label
        return f"bluez:{self._addresses.get(first, first)}"

    @property
    def status(self) -> RadioStatus:
        if not self._receivers:
            state, cause = self._lacking
            return RadioStatus(self.name, (ReceiverStatus("default", state, 0, None, 0, cause or None),))
        return RadioStatus(self.name, tuple(receiver.status for receiver in self._receivers))

    def retune(self, adapters: Sequence[str]) -> None:
        self._wanted = tuple(dict.fromkeys(adapters))

    async def listen(self, sink: Callable[[Advertisement], None]) -> None:
        """Hand every advertisement to ``sink`` until cancelled. Errors: RadioLost."""
        self._mute_since_mono_s = None
        for receiver in self._receivers:
            receiver.begin(sink)
        try:
            while True:
                try:
                    async with watching_bluez() as watch:
                        await self._attend(watch, sink)
                except BusLost as lost:
                    self._lack(ReceiverState.NO_BUS, lost.cause)
                self._give_up_when_mute()
                await asyncio.sleep(BUS_RETRY_S)
        finally:
            for receiver in self._receivers:
                await receiver.stop()

    async def _attend(self, watch: BluezWatch, sink: Callable[[Advertisement], None]) -> None:
        while True:
            await watch.refresh()
            await self._follow_wanted(sink)
            if not watch.is_bluez_running:
                self._lack(
                    ReceiverState.NO_BLUEZ,
                    "bluetoothd is not running; start it with: systemctl start bluetooth",
                )
            else:
                self._lacking = ReceiverState.ABSENT, _NO_ADAPTER
                self._name_default(watch.adapters, sink)
                await self._tend(watch)
            self._give_up_when_mute()
            await watch.changed_within(self._limits.tick_s)

    async def _follow_wanted(self, sink: Callable[[Advertisement], None]) -> None:
        if self._wanted is None:
            return
        wanted, self._wanted = self._wanted, None
        had = {receiver.label: receiver for receiver in self._receivers}
        self._receivers = [had.get(label) or self._receiver(label) for label in wanted]
        # What an address was found for by its hci name may be another adapter by the time that it is wanted again.
        self._addresses = {label: self._addresses[label] for label in wanted if label in self._addresses}
        self._addresses |= _named_by_address(wanted)
        self._unmet_since_mono_s.clear()
        for label, receiver in had.items():
            if label not in wanted:
                await receiver.stop()
        for receiver in self._receivers:
            if receiver.label not in had:
                receiver.begin(sink)

    def _receiver(self, label: str) -> BluezReceiver:
        return BluezReceiver(label, self._clock, self._limits)

    async def _tend(self, watch: BluezWatch) -> None:
        adapters = watch.adapters
        given = self._assign(adapters)
        for receiver in self._receivers:
            adapter = given.get(receiver.label)
            if adapter is None:
                await receiver.stop()
                found = ", ".join(sorted(adapters)) or "none"
                cause = f"adapter {receiver.label} is not there (found: {found}); is it plugged in?"
                receiver.lack(ReceiverState.ABSENT, cause)
            else:
                self._addresses[receiver.label] = adapter.address
                await receiver.tend(adapter)
                if receiver.owes_power:
                    await watch.switch_on(adapter.hci)
                elif receiver.wants_power_cycle:
                    receiver.note_power_cycle()
                    await watch.power_cycle(adapter.hci)

    def _assign(self, adapters: Mapping[str, BluezAdapter]) -> dict[str, BluezAdapter]:
        labels = [receiver.label for receiver in self._receivers]
        given = assign(labels, self._addresses, adapters.values())
        now = self._clock.mono_s()
        for label in labels:
            if label in given:
                self._unmet_since_mono_s.pop(label, None)
            else:
                self._unmet_since_mono_s.setdefault(label, now)
        settled = [
            label for label, since in self._unmet_since_mono_s.items() if now - since >= self._limits.settle_s
        ]
        return given | adopt(settled, given.values(), adapters)

    def _name_default(
        self, adapters: Mapping[str, BluezAdapter], sink: Callable[[Advertisement], None]
    ) -> None:
        """With no receiver named, the first adapter found becomes the one, and keeps its name."""
        first = default_adapter(adapters.values())
        if self._receivers or first is None:
            return
        self._receivers.append(self._receiver(first.hci))
        self._receivers[0].begin(sink)

    def _lack(self, state: ReceiverState, cause: str) -> None:
        self._lacking = state, cause
        for receiver in self._receivers:
            receiver.lack(state, cause)

    def _give_up_when_mute(self) -> None:
        """Errors: RadioLost when no receiver could scan for too long."""
        now = self._clock.mono_s()
        if any(receiver.is_listening for receiver in self._receivers):
            self._mute_since_mono_s = None
        elif self._mute_since_mono_s is None:
            self._mute_since_mono_s = now
        elif now - self._mute_since_mono_s >= self._limits.patience_s:
            raise RadioLost(self.status.cause or _NO_ADAPTER)


def _named_by_address(labels: Iterable[str]) -> dict[str, str]:
    return {label: label.upper() for label in labels if _ADDRESS.match(label.upper())}


def assign(
    labels: Iterable[str], addresses: Mapping[str, str], adapters: Iterable[BluezAdapter]
) -> dict[str, BluezAdapter]:
    """The adapter of each receiver that has one: by its known address, else by its hci name."""
    free = {adapter.address: adapter for adapter in adapters}
    by_hci = {adapter.hci: adapter.address for adapter in free.values()}
    labels = list(labels)
    given = {label: free.pop(addresses[label]) for label in labels if addresses.get(label) in free}
    for label in labels:
        if label not in addresses and by_hci.get(label) in free:
            given[label] = free.pop(by_hci[label])
    return given


def adopt(
    unmet: Sequence[str], given: Iterable[BluezAdapter], adapters: Mapping[str, BluezAdapter]
) -> dict[str, BluezAdapter]:
    """Replacements for receivers whose adapter stayed away: the one of its hci name, or the only pair that is left.

    A receiver named by address takes no other: whoever wrote an address meant that adapter.
    """
    taken = {adapter.hci for adapter in given}
    free = {hci: adapter for hci, adapter in adapters.items() if hci not in taken}
    open_to_any = [label for label in unmet if not _ADDRESS.match(label.upper())]
    adopted = {label: free.pop(label) for label in open_to_any if label in free}
    left = [label for label in open_to_any if label not in adopted]
    if len(left) == 1 and len(free) == 1:
        adopted[left[0]] = free.popitem()[1]
    return adopted
