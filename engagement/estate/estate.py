"""What HQ wants: every branch, who may open what there, the campaigns that were published, and those that were stopped.

One revision counts all changes. A change names the revision that it was made against, and is taken whole or not at all.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.bundle import CampaignStop, Cashier, EnrolledMember, PairedTill
from engagement.ids import SLUG, BranchCode, CampaignId
from engagement.values import Value


class Access(Value):
    """Who may open what in one branch, as hashes alone."""

    tills: tuple[PairedTill, ...] = ()
    cashiers: tuple[Cashier, ...] = ()


# The parser would keep texts for the next time that they come: these lie all over the memory of what they were read with,
# so that of the 300 MB of a chain's change 200 MB could never be given back.
_LETS_GO = ConfigDict(cache_strings="none")


class EstateBranch(Value):
    """``branch``: its agents all with their numbers. ``changed``: the revision that last changed anything here."""

    model_config = _LETS_GO

    branch: Branch
    access: Access = Access()
    changed: int


class Estate(Value):
    """``campaigns``: the newest edition of each. ``changed``: the revision that last changed what all branches share.

    Branches in order of their codes, campaigns in order of their numbers.
    """

    revision: Annotated[int, Field(ge=0)] = 0
    changed: int = 0
    branches: tuple[EstateBranch, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    stops: tuple[CampaignStop, ...] = ()
    members: tuple[EnrolledMember, ...] = ()


class PutBranch(Value):
    """A new branch, or what an old one is from now on. An agent without a number keeps its own, or gets a new one."""

    step: Literal["put_branch"] = "put_branch"
    branch: Branch
    access: Access = Access()


class DropBranch(Value):
    step: Literal["drop_branch"] = "drop_branch"
    code: BranchCode


class PublishCampaign(Value):
    """A new campaign, or a higher edition; what was published under an edition never changes."""

    step: Literal["publish_campaign"] = "publish_campaign"
    campaign: Campaign


class StopCampaign(Value):
    """Everywhere, for good. A full stop outranks one that honours coupons; the reverse changes nothing."""

    step: Literal["stop_campaign"] = "stop_campaign"
    campaign: Annotated[CampaignId, SLUG]
    honour_issued: bool = False


class PutMembers(Value):
    """All members of the chain from now on."""

    step: Literal["put_members"] = "put_members"
    members: tuple[EnrolledMember, ...] = ()


Step = Annotated[
    PutBranch | DropBranch | PublishCampaign | StopCampaign | PutMembers, Field(discriminator="step")
]


class Change(Value):
    """``base``: the revision that the steps were made against."""

    model_config = _LETS_GO

    base: Annotated[int, Field(ge=0)]
    steps: tuple[Step, ...]
