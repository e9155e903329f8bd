"""One advertisement as a receiver heard it, before anything is understood."""

from typing import NamedTuple


class Advertisement(NamedTuple):
    """``t_s``: seconds from any origin, rising. ``data``: the AD structures. ``rssi_dbm``: None when not measured.

    ``address`` is the sender's on-air address; it stays in memory and never reaches a disk, a log or the wire.
    A tuple, not a model: an agent makes thousands of these a second.
    """

    t_s: float
    adapter: str
    address: str
    rssi_dbm: int | None
    data: bytes
