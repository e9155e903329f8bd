"""The bundle of a store without HQ, made of the files that a home starts with."""

from collections.abc import Sequence

from engagement.campaign.model import Campaign
from engagement.estate.bundle import Bundle
from engagement.estate.inventory import Inventory
from engagement.estate.noting import FIRST_CASHIER
from engagement.estate.planning import Lack
from provisioning.services.chain_secrets import ChainSecrets, hashed_access, hashed_members


def local_bundle(inventory: Inventory, campaigns: Sequence[Campaign], known: ChainSecrets) -> Bundle:
    """Of the first branch's first agent."""
    branch = inventory.branches[0]
    tills = tuple(till.name for till in branch.tills)
    lack = Lack(branch=branch.code, tills=tills, cashiers=(FIRST_CASHIER,))
    access = hashed_access(known, [lack])[branch.code]
    return Bundle(
        version=1,
        sequence=1,
        agent=branch.agents[0].name,
        agent_number=branch.agents[0].number or 1,
        branch=branch,
        campaigns=tuple(campaigns),
        tills=access.tills,
        cashiers=access.cashiers,
        members=hashed_members(known, [member.id for member in inventory.members]),
    )
