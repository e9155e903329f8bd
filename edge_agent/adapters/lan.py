"""Announces the staff side by zeroconf, on the staff address and nowhere else.

mDNS proves nothing: it only helps to find the agent. The guest network never hears it.
"""

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address

from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from edge_agent.ports import Lan
from engagement.line.setup import FINGERPRINT_KEY, SERVICE_TYPE, STATE_KEY, STATE_NEW


class ZeroconfLan(Lan):
    """``address`` and ``port``: the staff listener's; ``name`` and ``told`` are for whoever looks."""

    def __init__(self, *, address: str, port: int, name: str, told: Mapping[str, str]) -> None:
        self._address = address
        self._info = ServiceInfo(
            SERVICE_TYPE,
            f"{name}.{SERVICE_TYPE}",
            addresses=[ip_address(address).packed],
            port=port,
            properties=dict(told),
            server=f"{name}.local.",
        )

    @classmethod
    def of_store(cls, *, address: str, port: int, branch: str, agent: str) -> "ZeroconfLan":
        """For tills and people of a store that works."""
        told = {"branch": branch, "agent": agent, "path": "/till"}
        return cls(address=address, port=port, name=f"{agent}-{branch}", told=told)

    @classmethod
    def of_new_box(cls, *, address: str, port: int, fingerprint: str) -> "ZeroconfLan":
        """For the desk that sets this box up."""
        told = {STATE_KEY: STATE_NEW, FINGERPRINT_KEY: fingerprint}
        return cls(address=address, port=port, name=f"beckon-{fingerprint.lower()}", told=told)

    async def announce(self) -> None:
        async with AsyncZeroconf(interfaces=[self._address]) as zeroconf:
            # Each call answers with what is still to be sent.
            await (await zeroconf.async_register_service(self._info, allow_name_change=True))
            try:
                await asyncio.Event().wait()
            finally:
                await (await zeroconf.async_unregister_service(self._info))
