"""What a home is given: the password of its HQ, the secrets of its chain, and what its HQ is to be told of it.

Pure but for drawing the secrets.
"""

import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Literal

from pydantic import Field

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.inventory import Inventory
from engagement.estate.noting import FIRST_CASHIER
from engagement.estate.planning import Lack, Plan, Wanted
from engagement.ids import AgentName, BranchCode, MemberId, TillName
from engagement.values import Value
from provisioning.faults import ConfigurationWrong
from provisioning.services.chain_secrets import (
    BranchSecrets,
    CashierSecret,
    ChainSecrets,
    letters,
    scrypt_hex,
    with_drawn,
)

CASHIER = FIRST_CASHIER
HQ_USER = "hq"
# 99 bits: HQ may be reached from anywhere, and nobody needs to know it by heart.
_PASSWORD_GROUPS = 4


class HomeSecrets(Value):
    """``hq_password`` is drawn once per home; its salt as hexadecimal. The others are the first version's, which kept the
    secrets of its one branch here."""

    hq_password: str = ""
    hq_salt: str = ""
    till_tokens: dict[TillName, str] = Field(default_factory=dict)
    cashier_pin: str = ""
    cashier_salt: str = ""
    member_codes: dict[MemberId, str] = Field(default_factory=dict)


class HomeState(Value):
    """What was done for the home's files as they were last. ``laid_out``: digest of what HQ was told, empty while it was
    told nothing; ``revision``: HQ's, which has it; ``recording``: digest of the branch that the recording is of."""

    version: Literal[1] = 1
    branch: BranchCode
    agent: AgentName
    laid_out: str = ""
    revision: int = 0
    recording: str = ""


def store_here(inventory: Inventory) -> tuple[Branch, AgentName]:
    """The first branch and its first agent run here. Errors: ConfigurationWrong when the branch has no agent or no till."""
    branch = inventory.branches[0]
    for what, things in (("agents", branch.agents), ("tills", branch.tills)):
        if not things:
            raise ConfigurationWrong(
                f"branches[0].{what} is empty; allowed: at least one, to run this branch here"
            )
    return branch, branch.agents[0].name


def home_secrets(known: HomeSecrets) -> HomeSecrets:
    """With a password for HQ, and without what has moved into the chain's file."""
    return HomeSecrets(
        hq_password=known.hq_password or letters(_PASSWORD_GROUPS),
        hq_salt=known.hq_salt or secrets.token_hex(16),
    )


def chain_secrets(known: ChainSecrets, before: HomeSecrets, inventory: Inventory) -> ChainSecrets:
    """Everybody's in the inventory: what is known stays, also from the first version, and what is missing is drawn."""
    known = _taken_over(known, before, inventory.branches[0].code)
    everybody = Plan(
        base=0,
        lacks=tuple(
            Lack(
                branch=branch.code,
                tills=tuple(till.name for till in branch.tills),
                cashiers=(FIRST_CASHIER,) if branch.tills else (),
            )
            for branch in inventory.branches
        ),
        members_lacking=tuple(member.id for member in inventory.members),
    )
    return with_drawn(known, everybody)


def _taken_over(known: ChainSecrets, before: HomeSecrets, branch: BranchCode) -> ChainSecrets:
    if not before.cashier_pin or branch in known.branches:
        return known
    cashier = CashierSecret(pin=before.cashier_pin, salt=before.cashier_salt)
    own = BranchSecrets(till_tokens=before.till_tokens, cashiers={FIRST_CASHIER: cashier})
    return ChainSecrets(
        branches={**known.branches, branch: own}, member_codes={**before.member_codes, **known.member_codes}
    )


def wanted_of(inventory: Inventory, campaigns: Sequence[Campaign]) -> Wanted:
    return Wanted(
        branches=inventory.branches, members=[member.id for member in inventory.members], campaigns=campaigns
    )


def digest_of(inventory: Inventory, campaigns: Sequence[Campaign], known: ChainSecrets) -> str:
    """Another one whenever HQ is to be told something else."""
    whole = (inventory, *campaigns, known)
    return sha256("\n".join(value.model_dump_json() for value in whole).encode()).hexdigest()


def branch_digest(branch: Branch) -> str:
    return sha256(branch.model_dump_json().encode()).hexdigest()


def hq_users(known: HomeSecrets) -> dict[str, Any]:
    """The content of the file of those who may sign in at HQ: one operator, by the scrypt of the password."""
    user = {
        "name": HQ_USER,
        "salt": known.hq_salt,
        "password_scrypt": scrypt_hex(known.hq_password, known.hq_salt),
    }
    return {"version": 1, "users": [user]}
