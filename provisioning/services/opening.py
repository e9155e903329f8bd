"""The store as it opens and runs: what stands in ``run.json``, and what the terminal is told.

``run.json`` appears once every program serves and the agent works from what HQ wants of it; it is there while every program
serves, or dies and is expected back at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

from engagement.estate.branch import Branch
from provisioning.ports import Health, Watcher
from provisioning.services.chain_secrets import ChainSecrets
from provisioning.services.seeding import HomeSecrets
from provisioning.services.store_address import StoreAddress, run_facts

# An agent is told of a new bundle by the answer to its first report; a store whose line is broken opens all the same.
_SETTLES_S = 10.0


class RunFile(Protocol):
    def write_run_facts(self, facts: dict[str, Any]) -> None: ...

    def remove_run_facts(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StoreHere:
    """What the facts of a run are made of, but for programs."""

    branch: Branch
    address: StoreAddress
    ca_file: Path
    hq: HomeSecrets
    known: ChainSecrets


@dataclass
class Opening(Watcher):
    """``programs``: the agent's name first; ``ask``: how one of them is now; ``settled``: set once the agent works from what HQ wants; ``greeting``: what
    people read once the store is open, made of the facts."""

    store: StoreHere
    programs: Sequence[str]
    ask: Callable[[str], Awaitable[Health | None]]
    run_file: RunFile
    settled: asyncio.Event
    greeting: Callable[[dict[str, Any]], str]
    tell: Callable[[str], None]
    _serving: dict[str, tuple[int, Health]] = field(default_factory=dict, init=False)
    _complete: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _greeted: bool = field(default=False, init=False)

    async def open(self) -> None:
        """Return once the store is open, with its facts written."""
        while not self._greeted:
            await self._complete.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_SETTLES_S):
                    await self.settled.wait()
            await self._look_again()
            if self._complete.is_set():
                self._greet(self._write())

    async def _look_again(self) -> None:
        """What a program complained of when it began to serve may be over by now."""
        for program in self.programs:
            health = await self.ask(program)
            if health is not None and program in self._serving:
                self._serving[program] = (self._serving[program][0], health)

    @override
    def serving(self, name: str, pid: int, health: Health) -> None:
        self._serving[name] = (pid, health)
        if self._greeted:
            self.tell(f"{name} is healthy again as process {pid}.")
        if all(program in self._serving for program in self.programs):
            self._complete.set()
            if self._greeted:
                self._write()

    def _write(self) -> dict[str, Any]:
        facts = run_facts(
            branch=self.store.branch,
            address=self.store.address,
            ca_file=self.store.ca_file,
            hq=self.store.hq,
            known=self.store.known,
            radio=self._serving[self.programs[0]][1].radio,
            pids={program: self._serving[program][0] for program in self.programs},
        )
        self.run_file.write_run_facts(facts)
        return facts

    def _greet(self, facts: dict[str, Any]) -> None:
        self._greeted = True
        self.tell(self.greeting(facts))
        for program in self.programs:
            for complaint in self._serving[program][1].complaints:
                self.tell(f"  note: {complaint}")

    @override
    def gone(self, name: str) -> None:
        self._serving.pop(name, None)
        self._complete.clear()
        self.run_file.remove_run_facts()

    @override
    def say(self, sentence: str) -> None:
        self.tell(sentence)
