"""The recorded radio: real time on a clock that is ours, loops, broken lines, and files that are no recordings."""

import asyncio
import json
import selectors
from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_agent.adapters.recorded_radio import LOOP_GAP_S, RecordedRadio
from edge_agent.ports import RadioLost
from edge_agent.radio_status import ReceiverState
from engagement.advertisement.packet import Advertisement
from engagement.clock.moment import Moment


class _Leap(selectors.SelectSelector):
    """Waits no time at all, and says how long it would have waited."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.passed_s += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.passed_s


class LoopClock:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.ahead_s = 1000.0

    def mono_s(self) -> float:
        return self._loop.time() + self.ahead_s

    def now(self) -> Moment:
        raise AssertionError("a radio has no business with wall time")


class Listening:
    """Plays a recording for some virtual seconds; ``heard`` holds when each came, on the clock, and what."""

    def __init__(self, path: Path, *, loop: bool = True, stall_at_s: float | None = None) -> None:
        self._loop = VirtualLoop()
        self.clock = LoopClock(self._loop)
        self.radio = RecordedRadio(path, path.stem, self.clock, loop)
        self.heard: list[tuple[float, Advertisement]] = []
        self._stall_at_s = stall_at_s

    def during(self, seconds: float) -> list[tuple[float, Advertisement]]:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen(seconds))
        return self.heard

    async def _listen(self, seconds: float) -> None:
        if self._stall_at_s is not None:
            self._loop.call_later(self._stall_at_s, self._stall)
        try:
            async with asyncio.timeout(seconds):
                await self.radio.listen(lambda one: self.heard.append((self.clock.mono_s(), one)))
        except TimeoutError:
            pass

    def _stall(self) -> None:
        """The machine sleeps for an hour while the loop's timers stand still."""
        self.clock.ahead_s += 3600.0


def line(t: object, **other: object) -> str:
    fields: Mapping[str, object] = {
        "t": t,
        "adapter": "hci0",
        "address": "C0:FF:EE:00:00:01",
        "rssi": -70,
        "data": "020106",
    }
    return json.dumps({**fields, **other})


def recording(folder: Path, *lines: str) -> Path:
    path = folder / "shop.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_plays_in_real_time_from_the_moment_it_listens(tmp_path: Path) -> None:
    path = recording(tmp_path, line(500), line(500.25), line(503), line(503))
    heard = Listening(path, loop=False).during(60)
    assert [when for when, _ in heard] == pytest.approx([1000, 1000.25, 1003, 1003])
    assert [one.t_s for _, one in heard] == pytest.approx([1000, 1000.25, 1003, 1003])


def test_loops_with_time_that_keeps_rising(tmp_path: Path) -> None:
    heard = Listening(recording(tmp_path, line(7), line(8))).during(3.0)
    assert [one.t_s for _, one in heard] == pytest.approx(
        [1000, 1001, 1001 + LOOP_GAP_S, 1002 + LOOP_GAP_S, 1002 + 2 * LOOP_GAP_S]
    )


def test_a_recording_of_one_line_does_not_spin(tmp_path: Path) -> None:
    heard = Listening(recording(tmp_path, line(7))).during(1.05)
    assert len(heard) == 11


def test_falls_silent_at_the_end_when_not_looped(tmp_path: Path) -> None:
    listening = Listening(recording(tmp_path, line(7)), loop=False)
    assert len(listening.during(100)) == 1
    assert listening.radio.status.receivers[0].state is ReceiverState.STOPPED
    assert listening.radio.status.cause == "the recording is over"


def test_goes_on_from_where_it_was_after_the_machine_slept(tmp_path: Path) -> None:
    path = recording(tmp_path, *(line(t) for t in range(100)))
    heard = Listening(path, loop=False, stall_at_s=10.5).during(30)
    times = [one.t_s for _, one in heard]
    assert times[10] == pytest.approx(1010)
    assert times[11] == pytest.approx(4611)
    assert times[12] == pytest.approx(4612)
    assert times == sorted(times)


def test_broken_lines_are_counted_once_told_once_and_cost_no_good_one(tmp_path: Path) -> None:
    path = recording(
        tmp_path, line(1), "{", line(2, rssi="loud"), line(2), "", line(1e9), line(3), line(1.5), line(4)
    )
    listening = Listening(path)
    heard = listening.during(10)
    status = listening.radio.status
    assert [round(one.t_s, 3) for _, one in heard[:4]] == [1000, 1001, 1002, 1003]
    assert status.broken_lines == 4
    assert (status.first_broken_line or "").startswith("line 2: ")
    assert status.receivers[0].state is ReceiverState.HEARING


def test_a_wild_time_at_the_end_does_not_silence_it(tmp_path: Path) -> None:
    listening = Listening(recording(tmp_path, line(1), line(2), line(1e9)))
    assert len(listening.during(10)) > 10
    assert listening.radio.status.broken_lines == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), ("", "no advertisement"), ("{}\n{}\n", "no advertisement")],
)
def test_what_is_no_recording_is_given_up_with_its_cause(
    tmp_path: Path, content: str | None, says: str
) -> None:
    path = tmp_path / "shop.jsonl"
    if content is not None:
        path.write_text(content)
    listening = Listening(path)
    with pytest.raises(RadioLost) as lost:
        listening.during(1)
    assert says in lost.value.cause
    assert str(path) in lost.value.cause
    assert listening.radio.status.receivers[0].state is ReceiverState.UNREADABLE
    assert not listening.radio.status.is_listening


def test_lines_that_are_due_together_leave_others_their_turn(tmp_path: Path) -> None:
    path = recording(tmp_path, *(line(1) for _ in range(1000)))
    turns: list[int] = []

    async def count_turns() -> None:
        heard: list[Advertisement] = []
        radio = RecordedRadio(path, "shop", LoopClock(asyncio.get_running_loop()))
        listening = asyncio.create_task(radio.listen(heard.append))
        while len(heard) < 1000:
            turns.append(len(heard))
            await asyncio.sleep(0)
        listening.cancel()
        await asyncio.wait([listening])

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(count_turns())
    assert len(turns) >= 10
