"""What a new home is given: its secrets, the bundle that its agent works from, and what its HQ is told of the chain.

Pure but for drawing the secrets.
"""

import secrets
from collections.abc import Sequence
from hashlib import scrypt, sha256
from typing import Any

from pydantic import Field, ValidationError

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.bundle import Bundle, Cashier, EnrolledMember, PairedTill
from engagement.estate.chain import Chain
from engagement.estate.inventory import Inventory
from engagement.ids import CashierName, MemberId, TillName
from engagement.values import Value
from engagement.visitor.visitor import normal_member_code
from provisioning.faults import ConfigurationWrong

CASHIER = CashierName("cashier-1")
HQ_USER = "hq"
PIN_DIGITS = 6
# Without 0, O, 1, I and L, which people mix up when they read a card aloud.
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_CODE_GROUPS, _CODE_GROUP_LETTERS = 2, 5
# 99 bits: HQ may be reached from anywhere, and nobody needs to know it by heart.
_PASSWORD_GROUPS = 4


class HomeSecrets(Value):
    """Drawn once per home. ``till_tokens`` by till, ``member_codes`` by member; salts as hexadecimal."""

    till_tokens: dict[TillName, str] = Field(default_factory=dict)
    cashier_pin: str = ""
    cashier_salt: str = ""
    member_codes: dict[MemberId, str] = Field(default_factory=dict)
    hq_password: str = ""
    hq_salt: str = ""


def complete_secrets(known: HomeSecrets, branch: Branch, members: Sequence[MemberId]) -> HomeSecrets:
    """Keep what is known and draw what is missing, as for a till that the inventory has gained."""
    return HomeSecrets(
        till_tokens={
            till.name: known.till_tokens.get(till.name) or secrets.token_urlsafe(32) for till in branch.tills
        },
        cashier_pin=known.cashier_pin or f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}",
        cashier_salt=known.cashier_salt or secrets.token_hex(16),
        member_codes={member: known.member_codes.get(member) or _letters(_CODE_GROUPS) for member in members},
        hq_password=known.hq_password or _letters(_PASSWORD_GROUPS),
        hq_salt=known.hq_salt or secrets.token_hex(16),
    )


def _letters(groups: int) -> str:
    return "-".join(
        "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_GROUP_LETTERS)) for _ in range(groups)
    )


def member_ids(inventory: Inventory) -> tuple[MemberId, ...]:
    return tuple(member.id for member in inventory.members)


def make_bundle(
    inventory: Inventory, campaigns: Sequence[Campaign], known: HomeSecrets, before: Bundle | None
) -> Bundle:
    """The bundle of the first branch's first agent; ``before`` itself when nothing changed, else one later in sequence.

    Errors: ConfigurationWrong when the branch has no agent or no till, or when terms changed within an edition.
    """
    branch = inventory.branches[0]
    for what, things in (("agents", branch.agents), ("tills", branch.tills)):
        if not things:
            raise ConfigurationWrong(
                f"branches[0].{what} is empty; allowed: at least one, to run this branch here"
            )
    agent = branch.agents[0]
    bundle = Bundle(
        version=1,
        sequence=before.sequence if before else 1,
        agent=agent.name,
        agent_number=agent.number or 1,
        branch=branch,
        campaigns=tuple(sorted(campaigns, key=lambda campaign: campaign.number)),
        tills=tuple(
            PairedTill(name=name, token_sha256=_sha256_hex(token))
            for name, token in known.till_tokens.items()
        ),
        cashiers=(_cashier(known),),
        members=tuple(
            EnrolledMember(id=member, code_sha256=_sha256_hex(normal_member_code(code)))
            for member, code in known.member_codes.items()
        ),
    )
    if before is None or bundle == before:
        return bundle
    _refuse_changed_terms(before.campaigns, bundle.campaigns)
    return bundle.model_copy(update={"sequence": before.sequence + 1})


def _refuse_changed_terms(published: Sequence[Campaign], wanted: Sequence[Campaign]) -> None:
    """Terms never change once published; whoever wants others writes a new edition."""
    editions = {(campaign.id, campaign.edition): campaign for campaign in published}
    complaints = [
        f"campaign {campaign.id!r} changed, but edition is still {campaign.edition}; published terms never change; "
        f"allowed: edition {campaign.edition + 1}, or the old terms"
        for campaign in wanted
        if editions.get((campaign.id, campaign.edition), campaign) != campaign
    ]
    if complaints:
        raise ConfigurationWrong(*complaints)


def _cashier(known: HomeSecrets) -> Cashier:
    return Cashier(
        name=CASHIER,
        salt=known.cashier_salt,
        pin_scrypt=_scrypt_hex(known.cashier_pin, known.cashier_salt),
    )


def make_chain(inventory: Inventory, bundle: Bundle) -> Chain:
    """All branches, and the campaigns as the bundle has them; this home's agent with the number that it works under.

    Errors: ConfigurationWrong when a name or a number is used twice in the chain.
    """
    here, *others = inventory.branches
    first, *further = here.agents
    numbered = first.model_copy(update={"number": bundle.agent_number})
    here = here.model_copy(update={"agents": (numbered, *further)})
    try:
        return Chain(version=1, branches=(here, *others), campaigns=bundle.campaigns)
    except ValidationError as wrong:
        raise ConfigurationWrong(
            *(
                f"inventory: {error['msg'].removeprefix('Value error, ')}; allowed: each once in all branches"
                for error in wrong.errors()
            )
        ) from wrong


def hq_users(known: HomeSecrets) -> dict[str, Any]:
    """The content of the file of those who may sign in at HQ: one operator, by the scrypt of the password."""
    user = {
        "name": HQ_USER,
        "salt": known.hq_salt,
        "password_scrypt": _scrypt_hex(known.hq_password, known.hq_salt),
    }
    return {"version": 1, "users": [user]}


def _scrypt_hex(text: str, salt_hex: str) -> str:
    return scrypt(text.encode(), salt=bytes.fromhex(salt_hex), n=2**14, r=8, p=1, dklen=32).hex()


def _sha256_hex(text: str) -> str:
    return sha256(text.encode()).hexdigest()
