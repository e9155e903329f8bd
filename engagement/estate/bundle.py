"""What one agent works from: its branch, the campaigns that run there, and who may open what."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from engagement.campaign.model import Campaign
from engagement.estate.branch import AGENT_NUMBER_MAX, Agent, Branch
from engagement.ids import LABEL, SLUG, AgentName, CampaignId, CashierName, Label, MemberId, TillName
from engagement.values import Value

Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PairedTill(Value):
    """A till's own token, as its SHA-256: the agent can check it and cannot leak it."""

    name: Annotated[TillName, LABEL]
    token_sha256: Sha256Hex


class Cashier(Value):
    """``pin_scrypt``: scrypt of the PIN with ``salt``, N=2**14, r=8, p=1, 32 bytes; both as hexadecimal."""

    name: Annotated[CashierName, LABEL]
    salt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    pin_scrypt: Sha256Hex


class EnrolledMember(Value):
    """``code_sha256``: SHA-256 of the member code in its normal form (upper case, no separators)."""

    id: Annotated[MemberId, LABEL]
    code_sha256: Sha256Hex


class CampaignStop(Value):
    """That HQ stopped a campaign everywhere. ``by``: who did; ``at_ms``: Unix ms of HQ's clock."""

    campaign: Annotated[CampaignId, SLUG]
    honour_issued: bool
    by: Label
    at_ms: Annotated[int, Field(ge=0)]


class Bundle(Value):
    """``sequence`` rises with every bundle made for this agent; ``agent_number`` stands in every code it issues.

    ``is_leased``: rights come from HQ's leases; otherwise, in a store without HQ, the campaigns' budgets are all this
    agent's own.
    """

    version: Literal[1]
    sequence: Annotated[int, Field(ge=1)]
    agent: Annotated[AgentName, LABEL]
    agent_number: Annotated[int, Field(ge=1, le=AGENT_NUMBER_MAX)]
    branch: Branch
    campaigns: tuple[Campaign, ...] = ()
    tills: tuple[PairedTill, ...] = ()
    cashiers: tuple[Cashier, ...] = ()
    members: tuple[EnrolledMember, ...] = ()
    stops: tuple[CampaignStop, ...] = ()
    is_leased: bool = False

    @model_validator(mode="after")
    def _hangs_together(self) -> "Bundle":
        if self.agent not in {agent.name for agent in self.branch.agents}:
            raise ValueError(f"agent {self.agent!r} is not an agent of branch {self.branch.code!r}")
        for what, keys in (
            ("id", [campaign.id for campaign in self.campaigns]),
            ("number", [campaign.number for campaign in self.campaigns]),
        ):
            if len(set(keys)) != len(keys):
                raise ValueError(f"two campaigns have the same {what}")
        for campaign in self.campaigns:
            if campaign.offer.currency != self.branch.currency:
                raise ValueError(
                    f"campaign {campaign.id!r} is in {campaign.offer.currency}, the branch in {self.branch.currency}"
                )
        return self

    @property
    def own_agent(self) -> Agent:
        return next(agent for agent in self.branch.agents if agent.name == self.agent)
