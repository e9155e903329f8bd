"""Announces the staff side by zeroconf, on the staff address and nowhere else.

mDNS proves nothing: it only helps to find the agent. The guest network never hears it.
"""

import asyncio
from ipaddress import ip_address

from zeroconf import ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from edge_agent.ports import Lan

SERVICE_TYPE = "_beckon._tcp.local."


class ZeroconfLan(Lan):
    """``address`` and ``port``: the staff listener's; ``branch`` and ``agent`` are told to whoever looks."""

    def __init__(self, *, address: str, port: int, branch: str, agent: str) -> None:
        self._address = address
        self._info = ServiceInfo(
            SERVICE_TYPE,
            f"{agent}-{branch}.{SERVICE_TYPE}",
            addresses=[ip_address(address).packed],
            port=port,
            properties={"branch": branch, "agent": agent, "path": "/till"},
            server=f"{agent}-{branch}.local.",
        )

    async def announce(self) -> None:
        async with AsyncZeroconf(interfaces=[self._address]) as zeroconf:
            # Each call answers with what is still to be sent.
            await (await zeroconf.async_register_service(self._info, allow_name_change=True))
            try:
                await asyncio.Event().wait()
            finally:
                await (await zeroconf.async_unregister_service(self._info))
