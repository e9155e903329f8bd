"""The line in which decisions wait for a store's one writer, and how each is answered exactly once.

Every store has this line; how a group of decisions becomes durable is the store's own.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from edge_agent.ports import StoreClosed, StoreFull
from engagement.ledger.group import Group, storable
from engagement.ledger.record import Key, Rule

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decision:
    """One caller's keys and rule, and the future it waits on."""

    keys: tuple[Key[Any], ...]
    rule: Rule[Any]
    essential: bool
    answer: asyncio.Future[Any]

    def refuse(self, error: Exception) -> None:
        """Give the caller an error, unless it has gone away."""
        if self.answer.done():
            return
        if isinstance(error, StopIteration):  # a future cannot carry one: it would end the caller's coroutine
            error = RuntimeError(f"a rule raised {error!r}")
        self.answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one decision came to, held until its group is durable."""

    decision: Decision
    answer: Any
    error: Exception | None

    def tell(self) -> None:
        if self.error is not None:
            self.decision.refuse(self.error)
        elif not self.decision.answer.done():
            self.decision.answer.set_result(self.answer)


def judge(group: Group, decisions: Iterable[Decision]) -> list[Outcome]:
    """Rule on all decisions in order; nobody is told yet."""
    outcomes = []
    for decision in decisions:
        try:
            outcomes.append(Outcome(decision, group.judge(decision.keys, decision.rule), None))
        except Exception as error:  # whatever a rule raises belongs to its caller alone, not to the writer
            outcomes.append(Outcome(decision, None, error))
    return outcomes


class WaitingLine:
    """Decisions in the order of their coming. At most ``waiting_max`` stand in it, the others wait outside."""

    def __init__(self, *, waiting_max: int) -> None:
        self._room = asyncio.Semaphore(waiting_max)
        self._line: asyncio.Queue[Decision | None] = asyncio.Queue()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    async def ask(
        self, keys: Iterable[Key[Any]], rule: Rule[T], *, essential: bool, is_full: Callable[[], bool]
    ) -> T:
        """Stand in line and wait for the answer. Errors: as Store.decide()."""
        asked = tuple(storable(key) for key in keys)
        async with self._room:
            if self._is_closed:
                raise StoreClosed
            if is_full() and not essential:
                raise StoreFull
            decision = Decision(asked, rule, essential, asyncio.get_running_loop().create_future())
            self._line.put_nowait(decision)
            answer: T = await decision.answer
            return answer

    async def group(self, *, size_max: int) -> list[Decision]:
        """Wait for a decision and take it with those behind it; empty when woken by close()."""
        group = [await self._line.get()]
        while len(group) < size_max and not self._line.empty():
            group.append(self._line.get_nowait())
        return [decision for decision in group if decision is not None and not decision.answer.done()]

    def close(self) -> None:
        """Take no more, tell all who wait in line that nothing of theirs was kept, and wake the writer."""
        self._is_closed = True
        while not self._line.empty():
            decision = self._line.get_nowait()
            if decision is not None:
                decision.refuse(StoreClosed())
        self._line.put_nowait(None)
