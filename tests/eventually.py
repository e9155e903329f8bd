"""Waiting in tests: poll a condition with a deadline, never sleep for a guess."""

import asyncio
from collections.abc import Callable

POLL_S = 0.005
# Only how long a failure takes to be told: a busy machine may stand still for seconds, and a success waits for nothing.
PATIENCE_S = 30.0


async def eventually(
    condition: Callable[[], object], within_s: float = PATIENCE_S, what: str = "condition"
) -> None:
    """Return as soon as the condition holds. Errors: AssertionError when it does not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not condition():
        if loop.time() > deadline:
            raise AssertionError(f"{what} did not come true within {within_s:g} s")
        await asyncio.sleep(POLL_S)
