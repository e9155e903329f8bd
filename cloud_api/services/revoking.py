"""Takes an agent's key from it: a mini-PC that was stolen, sold or is no longer trusted says nothing more to HQ.

What it sent before stays, and so do its rights, which are written off apart. It may enrol again by a claim made later.
"""

import logging

from cloud_api.ports.storage import Storage
from cloud_api.services.news import News
from cloud_api.services.refused import Refused
from cloud_api.services.registry import Registry
from engagement.ids import AgentName

_LOG = logging.getLogger(__name__)


class Revoking:
    def __init__(self, *, storage: Storage, registry: Registry, news: News) -> None:
        self._storage = storage
        self._registry = registry
        self._news = news

    async def revoke(self, agent: AgentName, *, by: str) -> None:
        """A second time changes nothing. Errors: Refused agent_not_listed."""
        if self._registry.find(agent) is None:
            raise Refused(
                "agent_not_listed", f"no agent {agent!r} ever had a claim here; nothing was revoked"
            )
        await self._storage.revoke(agent)
        await self._registry.load()
        self._news.tell()
        _LOG.warning("an agent was revoked", extra={"agent": agent, "by": by})
