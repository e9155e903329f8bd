"""A bad line to HQ: what becomes of one request on it, whatever it asks for."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import TypeVar

from pydantic import BaseModel

from edge_agent.ports import BatchDiverged, LeaseRefused, LineBusy, LineDown, LineGap, LineRefused

_Answer = TypeVar("_Answer", bound=BaseModel)


class Storm:
    """Loses requests and answers, delivers copies late, refuses for a while; ``calm()`` ends it, but for late copies.

    ``refusals``: what HQ may say besides that it does not know the agent.
    """

    def __init__(self, dice: Random, refusals: Sequence[Callable[[], Exception]] = ()) -> None:
        self._dice = dice
        self._refusals = (lambda: LineRefused("agent_unknown"), *refusals)
        self._badness = 0.6

    def calm(self) -> None:
        self._badness = 0.0

    async def carry(self, arrive: Callable[[], _Answer]) -> _Answer:
        """``arrive``: HQ takes the request; of an answer that counts, ``slot_ms`` may be raised."""
        dice = self._dice
        await asyncio.sleep(dice.random() * 0.2)
        if dice.random() < 0.3:
            self._deliver_late(arrive)
        if dice.random() < self._badness:
            await self._mishap(arrive)
        answer = arrive()
        await asyncio.sleep(dice.random() * 0.2)
        if dice.random() < self._badness / 2:
            raise LineDown("the answer was lost")
        if dice.random() < self._badness / 3:
            return answer.model_copy(update={"slot_ms": dice.randrange(20_000)})
        return answer

    async def _mishap(self, arrive: Callable[[], object]) -> None:
        kind = self._dice.randrange(3 + len(self._refusals))
        match kind:
            case 0:
                await asyncio.sleep(30)
                raise LineDown("no answer in time")
            case 1:
                raise LineBusy(self._dice.randrange(60_000))
            case 2:
                self._deliver_late(arrive)
                raise LineDown("it will arrive after we gave up")
            case _:
                raise self._refusals[kind - 3]()

    def _deliver_late(self, arrive: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(self._dice.random() * 120, self._arrive_late, arrive)

    def _arrive_late(self, arrive: Callable[[], object]) -> None:
        """A copy that nobody waits for any more."""
        with suppress(LineGap, BatchDiverged, LeaseRefused):
            arrive()
