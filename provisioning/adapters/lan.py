"""Finds new boxes on the LAN by zeroconf, for a bounded time and up to a bounded number.

mDNS proves nothing: whoever stands on the network may announce anything. What is found is only where to knock.
"""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

from zeroconf import BadTypeInNameException, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from engagement.line.setup import FINGERPRINT_KEY, SERVICE_TYPE, STATE_KEY, STATE_NEW
from provisioning.faults import WorkFailed
from provisioning.services.claiming import FoundBox

# Announcements are repeated after 1 s (RFC 6762, 8.3), and queries after 1, 2 and 4 s.
_LISTENS_S = 5.0
# Nobody sets up more boxes in one place; a flood of announcements is somebody's mistake, or worse.
_NAMES_MAX = 100
_TXT_CHARS_MAX = 40


async def find_new_boxes(
    *, listens_s: float = _LISTENS_S, interfaces: Sequence[str] | None = None
) -> list[FoundBox]:
    """Those in setup mode, in order of their fingerprints. ``interfaces``: own addresses to listen at; None for all.

    Errors: WorkFailed when the network cannot be listened to.
    """
    names: set[str] = set()

    def heard(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed:
            names.discard(name)
        elif len(names) < _NAMES_MAX:
            names.add(name)

    try:
        zeroconf = AsyncZeroconf(interfaces=list(interfaces)) if interfaces else AsyncZeroconf()
    except (OSError, RuntimeError) as failure:  # the second where no interface has an address
        raise WorkFailed(
            f"cannot listen for boxes on the network: {failure}; give --at HOST:PORT"
        ) from failure
    async with zeroconf:
        browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE_TYPE, handlers=[heard])
        try:
            await asyncio.sleep(listens_s)
        finally:
            await browser.async_cancel()
        found = await asyncio.gather(*(_looked_up(zeroconf, name) for name in sorted(names)))
    return sorted(
        {box for boxes in found for box in boxes}, key=lambda box: (box.fingerprint or "", box.host)
    )


async def _looked_up(zeroconf: AsyncZeroconf, name: str) -> list[FoundBox]:
    """At each of its addresses; empty when it is no new box, or does not tell."""
    try:
        info = AsyncServiceInfo(SERVICE_TYPE, name)
        if not await info.async_request(zeroconf.zeroconf, 3000):
            return []
    except BadTypeInNameException:
        return []
    told = info.decoded_properties
    fingerprint = (told.get(FINGERPRINT_KEY) or "")[:_TXT_CHARS_MAX]
    if told.get(STATE_KEY) != STATE_NEW or not fingerprint.isprintable() or not fingerprint or not info.port:
        return []
    # IPv4 where it has one: link-local IPv6 addresses need to be told which way to go.
    addresses = info.parsed_scoped_addresses(IPVersion.V4Only) or info.parsed_scoped_addresses()
    return [FoundBox(address, info.port, fingerprint) for address in addresses[:2] if _may_be_box(address)]


def _may_be_box(address: str) -> bool:
    plain = ip_address(address)
    return not (plain.is_multicast or plain.is_unspecified)
