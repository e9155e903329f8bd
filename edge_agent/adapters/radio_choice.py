"""Which radio an agent has: the machine's adapters, a recording, or none at all."""

import asyncio
from collections.abc import Callable, Sequence

from edge_agent.adapters.bluez_watch import find_adapter
from edge_agent.adapters.recorded_radio import RecordedRadio
from edge_agent.config import Settings
from edge_agent.ports import Clock, Radio
from edge_agent.radio_status import RadioStatus
from engagement.advertisement.packet import Advertisement
from engagement.estate.branch import Agent


class NoRadio:
    """For an agent that serves only the portal and the tills."""

    name = "none"
    status = RadioStatus("none", ())

    async def listen(self, sink: Callable[[Advertisement], None]) -> None:
        await asyncio.Event().wait()

    def retune(self, adapters: Sequence[str]) -> None:
        """There is none to tune."""


async def choose_radio(settings: Settings, agent: Agent, clock: Clock) -> Radio:
    """By the settings; ``auto`` takes the recording only when BlueZ has no adapter now."""
    if settings.radio == "none":
        return NoRadio()
    has_recording = settings.recording is not None and settings.radio in ("auto", "recording")
    if has_recording and (settings.radio == "recording" or await find_adapter() is None):
        assert settings.recording is not None
        return RecordedRadio(settings.recording, settings.recording.stem, clock)
    # bleak takes 7 MB and a quarter of a second, which an agent with a recording need not spend.
    from edge_agent.adapters.bluez_radio import BluezRadio

    return BluezRadio([receiver.adapter for receiver in agent.receivers], clock=clock)
