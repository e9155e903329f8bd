"""The inventory file: all branches of a chain as HQ writes them down."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from engagement.estate.branch import Branch
from engagement.estate.fitting import InventoryParts, chain_findings
from engagement.finding import Unfit
from engagement.ids import LABEL, Label, MemberId
from engagement.values import Value, at_least_one

FILES_PATTERN: Final = r"^[^\x00-\x1f\x7f]*$"
CampaignPattern = Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=FILES_PATTERN)]


class Member(Value):
    """A member of the chain; ``name`` is what the staff page may show."""

    id: Annotated[MemberId, LABEL]
    name: Label | None = None


class Inventory(Value):
    """``version`` is the file's format. Branch codes, agents' names and numbers, and member ids are unique in the chain.

    ``campaigns``: paths or patterns of campaign files, relative to the inventory; None where campaigns are published by
    hand alone.
    """

    version: Literal[1]
    branches: Annotated[tuple[Branch, ...], AfterValidator(at_least_one)]
    members: tuple[Member, ...] = ()
    campaigns: Annotated[tuple[CampaignPattern, ...], Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> "Inventory":
        if findings := tuple(chain_findings(self.parts)):
            raise Unfit(findings)
        return self

    @property
    def parts(self) -> InventoryParts:
        return InventoryParts(
            branches=tuple(branch.parts_for_others for branch in self.branches),
            members=tuple(member.id for member in self.members),
        )
