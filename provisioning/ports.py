"""What keeping a program alive needs from outside: a way to start it, its health, and somebody to tell."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Health:
    """What a program says about itself. ``status``: ok, degraded or failing; ``radio`` as shown to people;
    ``complaints``: one sentence per issue, with what to do."""

    status: str
    radio: str
    complaints: tuple[str, ...]

    @property
    def serves(self) -> bool:
        return self.status in ("ok", "degraded")


class Process(Protocol):
    """A program that was started."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int:
        """Its exit code once it has ended; minus the signal when one killed it."""

    def ask_to_stop(self) -> None: ...

    def kill(self) -> None: ...


class Program(Protocol):
    """A program that can be started, and asked how it is."""

    @property
    def name(self) -> str: ...

    async def start(self) -> Process: ...

    async def health(self) -> Health | None:
        """None while it does not answer."""

    def last_words(self) -> str:
        """The end of its log, for people; empty when it said nothing."""


class Watcher(Protocol):
    """Who is told what happens to the program."""

    def serving(self, name: str, pid: int, health: Health) -> None:
        """It is healthy under this process id."""

    def gone(self, name: str) -> None:
        """It has not been healthy for so long that its process id must not be relied on."""

    def say(self, sentence: str) -> None: ...
