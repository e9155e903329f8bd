"""One look at all agents for whoever watches: with thousands of them it costs a large part of a second, and each open
window asks again whenever something changes."""

import asyncio
from collections.abc import Sequence, Set
from typing import NamedTuple

from cloud_api.services.lending import Lending
from cloud_api.services.overview import AgentView, Overview
from engagement.ids import AgentName

# A look is good for so many times as long as it took: a fifth of HQ's time at most, and milliseconds in a small chain.
_GOOD_FOR = 4.0


class Seen(NamedTuple):
    """``agents``: all of them; ``holders``: those whose rights count on budgets, and that may still use them."""

    agents: Sequence[AgentView] = ()
    holders: Set[AgentName] = frozenset()


class Glance:
    """Remembers the last look."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._good_until_s = 0.0
        self._turn = asyncio.Lock()

    async def look(self, overview: Overview, lending: Lending) -> Seen:
        """As it was a moment ago at most. Errors: StorageFailed."""
        now_s = asyncio.get_running_loop().time
        async with self._turn:
            began_s = now_s()
            if began_s >= self._good_until_s:
                self._seen = Seen(await overview.agents(), await lending.holders())
                ended_s = now_s()
                self._good_until_s = ended_s + _GOOD_FOR * (ended_s - began_s)
            return self._seen
