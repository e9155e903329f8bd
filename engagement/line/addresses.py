"""Where HQ takes what, and how a batch's body is marked."""

from typing import Final
from urllib.parse import quote

from engagement.ids import AgentName

ENROLMENTS_PATH: Final = "/v1/enrolments"
BATCH_TYPE: Final = "application/vnd.beckon.batch"
BATCH_ENCODING: Final = "zstd"
# What HQ reads at most: 500 money events take 15 kB; a batch that needs more is split.
BATCH_BYTES_MAX: Final = 256 * 1024
# What a batch may grow to when it is unpacked.
BATCH_UNPACKED_BYTES_MAX: Final = 4 * 2**20
# What an agent reads at most of a sealed bundle; engagement.estate.sizing keeps bundles below it.
BUNDLE_BYTES_MAX: Final = 8 * 2**20
# Beyond a few hundred entries a longer batch saves nothing more on the wire, and holds up the next in line.
BATCH_ENTRIES_MAX: Final = 2000


def batches_path(agent: AgentName) -> str:
    """Where an agent posts its batches; the name percent-encoded, ready to be sent and signed."""
    return _of(agent, "batches")


def reports_path(agent: AgentName) -> str:
    """Where an agent says how it is."""
    return _of(agent, "reports")


def bundle_path(agent: AgentName) -> str:
    """Where an agent's newest sealed bundle lies."""
    return _of(agent, "bundle")


def leases_path(agent: AgentName) -> str:
    """Where an agent asks for rights and gives them back."""
    return _of(agent, "leases")


def _of(agent: AgentName, what: str) -> str:
    return f"/v1/agents/{quote(agent, safe='')}/{what}"
