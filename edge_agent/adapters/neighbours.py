"""Which phone is behind an address: the kernel's neighbour table. The only place that sees a hardware address.

What leaves here is an opaque handle; the visit keys hash it before anything is written.
"""

from hashlib import blake2b
from ipaddress import ip_address
from pathlib import Path

from edge_agent.ports import Gatekeeper

_ARP = Path("/proc/net/arp")
_INCOMPLETE = "00:00:00:00:00:00"


class NeighbourTable(Gatekeeper):
    """On loopback, and where the table knows nothing, the address itself stands for the phone."""

    def handset(self, address: str) -> bytes:
        hardware = None if ip_address(address).is_loopback else _hardware_address(address)
        return blake2b((hardware or address).encode(), digest_size=16).digest()


def _hardware_address(address: str) -> str | None:
    """The neighbour's hardware address. Source: /proc/net/arp, columns address, type, flags, hardware, mask, device."""
    for line in _ARP.read_text().splitlines()[1:]:
        columns = line.split()
        if columns[0] == address and columns[3] != _INCOMPLETE:
            return columns[3]
    return None
