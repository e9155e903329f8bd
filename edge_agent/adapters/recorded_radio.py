"""A recording played as a radio, in real time against the clock port, over and over.

The file is read as it plays, since a store's machine has little memory and a day's recording is large. Lines that
cannot be read are counted and passed over; the first one is told in the status.
"""

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from edge_agent.adapters.advert_files import BrokenLine, read_adverts
from edge_agent.ports import Clock, RadioLost
from edge_agent.radio_status import RadioStatus, ReceiverState, ReceiverStatus
from engagement.advertisement.packet import Advertisement

_log = logging.getLogger(__name__)

# Between the last advertisement and the first one again; also keeps a recording of one line from spinning.
LOOP_GAP_S = 0.1
# After a pause of the machine longer than this, the recording goes on from where it was and does not catch up.
LATE_S_MAX = 2.0
# A longer pause between two lines is a damaged time, and would silence the radio.
PAUSE_S_MAX = 86_400.0
# Lines that are due together are handed on in portions, so that the loop's other work gets its turn.
PORTION = 100


class RecordedRadio:
    """``t_s`` of its advertisements is the clock's mono_s, as with a live radio, and rises from loop to loop."""

    def __init__(self, path: Path, name: str, clock: Clock, loop: bool = True) -> None:
        self._path = path
        self._name = name
        self._clock = clock
        self._loop = loop
        self._state = ReceiverState.STARTING
        self._cause: str | None = None
        self._heard = 0
        self._last_heard_mono_s: float | None = None
        self._loops = 0
        self._broken_lines = 0
        self._first_broken_line: str | None = None

    @property
    def name(self) -> str:
        return f"recording:{self._name}"

    @property
    def status(self) -> RadioStatus:
        last = self._last_heard_mono_s
        ago_s = None if last is None else max(0.0, self._clock.mono_s() - last)
        receiver = ReceiverStatus(self._name, self._state, self._heard, ago_s, self._loops, self._cause)
        return RadioStatus(self.name, (receiver,), self._broken_lines, self._first_broken_line)

    def retune(self, adapters: Sequence[str]) -> None:
        """What was heard was heard."""

    async def listen(self, sink: Callable[[Advertisement], None]) -> None:
        """Play until cancelled; a recording that is not looped falls silent at its end.

        Errors: RadioLost when the file cannot be read or holds no advertisement.
        """
        self._broken_lines = self._loops = 0
        self._first_broken_line = None
        start_s = self._clock.mono_s()
        while True:
            end_s = await self._play(sink, start_s)
            if end_s is None:
                raise self._lost(f"the recording {self._path} holds no advertisement that can be read")
            if not self._loop:
                self._state, self._cause = ReceiverState.STOPPED, "the recording is over"
                await asyncio.Event().wait()
            start_s = end_s + LOOP_GAP_S
            self._loops += 1

    async def _play(self, sink: Callable[[Advertisement], None], start_s: float) -> float | None:
        """Play the file once from ``start_s`` of mono_s; when its last advertisement was due, None if it had none."""
        shift_s: float | None = None
        due_s: float | None = None
        with closing(self._advertisements()) as advertisements:
            for position, advertisement in enumerate(advertisements):
                if shift_s is None:
                    shift_s = start_s - advertisement.t_s
                wait_s = advertisement.t_s + shift_s - self._clock.mono_s()
                if wait_s > 0 or position % PORTION == 0:
                    await asyncio.sleep(max(0.0, wait_s))
                late_s = self._clock.mono_s() - (advertisement.t_s + shift_s)
                if late_s > LATE_S_MAX:
                    shift_s += late_s
                due_s = advertisement.t_s + shift_s
                self._hand_on(advertisement._replace(t_s=due_s), sink)
        return due_s

    def _hand_on(self, advertisement: Advertisement, sink: Callable[[Advertisement], None]) -> None:
        self._state, self._cause = ReceiverState.HEARING, None
        self._heard += 1
        self._last_heard_mono_s = advertisement.t_s
        sink(advertisement)

    def _advertisements(self) -> Generator[Advertisement, None, None]:
        """Those of the file that can be read. Errors: RadioLost."""
        last_s: float | None = None
        try:
            with self._path.open("rb") as file:
                for line in read_adverts(file):
                    if isinstance(line, BrokenLine):
                        self._note_broken(str(line))
                    elif last_s is not None and line.t_s - last_s > PAUSE_S_MAX:
                        self._note_broken(
                            f"t is {line.t_s:g}; allowed: up to a day after the last, {last_s:g}"
                        )
                    else:
                        last_s = line.t_s
                        yield line
        except OSError as fault:
            raise self._lost(f"the recording {self._path} cannot be read: {fault.strerror}") from fault

    def _note_broken(self, what: str) -> None:
        """Each line counts once, however often it is met."""
        if self._loops > 0:
            return
        self._broken_lines += 1
        if self._first_broken_line is None:
            self._first_broken_line = what
            _log.warning("recording has a broken line", extra={"recording": self._name, "broken": what})

    def _lost(self, cause: str) -> RadioLost:
        self._state, self._cause = ReceiverState.UNREADABLE, cause
        return RadioLost(cause)
