"""What a new home is given: its secrets, and the bundle that its agent works from. Pure but for drawing the secrets."""

import secrets
from collections.abc import Sequence
from hashlib import scrypt, sha256

from pydantic import Field

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.bundle import Bundle, Cashier, EnrolledMember, PairedTill
from engagement.estate.inventory import Inventory
from engagement.ids import CashierName, MemberId, TillName
from engagement.values import Value
from engagement.visitor.visitor import normal_member_code
from provisioning.faults import ConfigurationWrong

CASHIER = CashierName("cashier-1")
PIN_DIGITS = 6
# Without 0, O, 1, I and L, which people mix up when they read a card aloud.
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_CODE_GROUPS, _CODE_GROUP_LETTERS = 2, 5


class HomeSecrets(Value):
    """Drawn once per home. ``till_tokens`` by till, ``member_codes`` by member; ``cashier_salt`` as hexadecimal."""

    till_tokens: dict[TillName, str] = Field(default_factory=dict)
    cashier_pin: str = ""
    cashier_salt: str = ""
    member_codes: dict[MemberId, str] = Field(default_factory=dict)


def complete_secrets(known: HomeSecrets, branch: Branch, members: Sequence[MemberId]) -> HomeSecrets:
    """Keep what is known and draw what is missing, as for a till that the inventory has gained."""
    return HomeSecrets(
        till_tokens={
            till.name: known.till_tokens.get(till.name) or secrets.token_urlsafe(32) for till in branch.tills
        },
        cashier_pin=known.cashier_pin or f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}",
        cashier_salt=known.cashier_salt or secrets.token_hex(16),
        member_codes={member: known.member_codes.get(member) or _member_code() for member in members},
    )


def _member_code() -> str:
    return "-".join(
        "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_GROUP_LETTERS))
        for _ in range(_CODE_GROUPS)
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
    pin = scrypt(
        known.cashier_pin.encode(), salt=bytes.fromhex(known.cashier_salt), n=2**14, r=8, p=1, dklen=32
    )
    return Cashier(name=CASHIER, salt=known.cashier_salt, pin_scrypt=pin.hex())


def _sha256_hex(text: str) -> str:
    return sha256(text.encode()).hexdigest()
