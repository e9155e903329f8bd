"""Keeps the agent findable on the staff network. Never worth stopping anything else for."""

import asyncio
import logging

from edge_agent.ports import Entropy, Lan
from edge_agent.services.backoff import backoff_s

_LOG = logging.getLogger(__name__)


async def keep_announcing(lan: Lan, entropy: Entropy) -> None:
    """Announce until cancelled; a network that is not there yet is tried again, ever more slowly."""
    attempt = 0
    while True:
        try:
            await lan.announce()
        except OSError as failure:
            attempt += 1
            if attempt == 1:
                _LOG.warning("cannot announce on the staff network", extra={"cause": str(failure)})
        await asyncio.sleep(backoff_s(max(attempt, 1), entropy.token(1)))
