"""The agents that may speak, in memory: every request asks for a key, and no request should cost a look-up on disk."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cloud_api.ports.storage import KnownAgent, Storage
from engagement.ids import AgentName


@dataclass
class Enrolled:
    """``turn``: one batch of an agent at a time, so that its batches are ruled on in order."""

    known: KnownAgent
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Registry:
    """``load()`` after whatever changed the agents in storage. ``active``: how many may speak."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._agents: dict[AgentName, Enrolled] = {}
        self.active = 0

    async def load(self) -> None:
        for known in await self._storage.agents():
            enrolled = self._agents.setdefault(known.name, Enrolled(known))
            enrolled.known = known
        self.active = sum(each.known.state == "active" for each in self._agents.values())

    def find(self, name: AgentName) -> Enrolled | None:
        return self._agents.get(name)

    def by_number(self, number: int) -> KnownAgent | None:
        return next((each.known for each in self._agents.values() if each.known.number == number), None)

    def all(self) -> Iterable[KnownAgent]:
        """Also for the storage's thread, while an agent is being added: a list of a dict's values is made in one go."""
        return [each.known for each in list(self._agents.values())]

    def public_key_of(self, name: str) -> bytes | None:
        """The key whose signature counts; None for strangers, and for agents that were revoked or never enrolled."""
        found = self._agents.get(AgentName(name))
        return found.known.public_key if found is not None and found.known.state == "active" else None

    def heard_from(self, name: AgentName, at_ms: int) -> None:
        """Remember an agent's contact; storage learns of it with the next batch that is kept."""
        if (found := self._agents.get(name)) is not None:
            found.known = replace(found.known, last_contact_ms=at_ms)
