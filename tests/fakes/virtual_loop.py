"""An event loop whose time leaps to the next timer instead of waiting: hours pass in milliseconds, always alike."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from typing_extensions import override

T = TypeVar("T")


class Stuck(Exception):
    """Everything waits and no timer is set: nothing could ever happen again."""


class _LeapingSelector(selectors.SelectSelector):
    now_s = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stuck
        self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    @override
    def time(self) -> float:
        return self._leaping.now_s


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run(), on virtual time from 0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


async def until(condition: Callable[[], bool], within_s: float) -> float:
    """Seconds until the condition held. Errors: AssertionError when it does not in time."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while not condition():
        assert loop.time() - began_s <= within_s, f"not within {within_s} s"
        await asyncio.sleep(0.05)
    return loop.time() - began_s
