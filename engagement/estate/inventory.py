"""The inventory file: all branches of a chain as HQ writes them down."""

from collections import Counter
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from engagement.estate.branch import Branch
from engagement.ids import LABEL, Label, MemberId
from engagement.values import Value, at_least_one


class Member(Value):
    """A member of the chain; ``name`` is what the staff page may show."""

    id: Annotated[MemberId, LABEL]
    name: Label | None = None


class Inventory(Value):
    """``version`` is the file's format. Branch codes and member ids are unique in the chain."""

    version: Literal[1]
    branches: Annotated[tuple[Branch, ...], AfterValidator(at_least_one)]
    members: tuple[Member, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> "Inventory":
        problems = [
            f"branch code {code!r} is used {count} times"
            for code, count in Counter(branch.code for branch in self.branches).items()
            if count > 1
        ]
        members = {member.id for member in self.members}
        for branch in self.branches:
            problems += [
                f"tag {beacon.name!r} belongs to member {beacon.member!r}, who is not listed"
                for beacon in branch.beacons
                if beacon.member is not None and beacon.member not in members
            ]
        if problems:
            raise ValueError("; ".join(problems))
        return self
