"""What of a branch HQ keeps at hand: all that other branches' changes and HQ's lists ask for.

100,000 beacons as values take hundreds of MB. A change is judged the same on outlines, as long as the branches that it
puts are whole: of the others only codes, agents, currency, zones and campaigns matter.
"""

from functools import lru_cache

from engagement.estate.branch import Zone
from engagement.estate.estate import Access, EstateBranch
from engagement.ids import ZoneName

_NO_ACCESS = Access()


def outline_of(each: EstateBranch) -> EstateBranch:
    """Without beacons, tills, receivers and access."""
    branch = each.branch
    agents = tuple(agent.model_copy(update={"receivers": ()}) for agent in branch.agents)
    zones = tuple(_shared(zone.name) for zone in branch.zones)
    left = {"beacons": (), "tills": (), "agents": agents, "zones": zones}
    # Not validated again: what is left of a branch that fits together fits together.
    return EstateBranch.model_construct(
        branch=branch.model_copy(update=left), access=_NO_ACCESS, changed=each.changed
    )


@lru_cache(maxsize=1024)
def _shared(name: ZoneName) -> Zone:
    """Branches of a chain name their zones alike; one value serves them all."""
    return Zone(name=name)
