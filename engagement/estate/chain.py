"""The chain as HQ's cloud is told of it: all branches, and all campaigns that were published to them."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from pydantic import model_validator

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.values import Value


class Chain(Value):
    """``version`` is the file's format. An agent's name and number are unique in the whole chain: the one signs its
    requests, the other stands in its coupons."""

    version: Literal[1]
    branches: tuple[Branch, ...] = ()
    campaigns: tuple[Campaign, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> "Chain":
        agents = [agent for branch in self.branches for agent in branch.agents]
        problems = [
            f"{what} {name!r} is used twice"
            for what, names in (
                ("branch code", [branch.code for branch in self.branches]),
                ("agent name", [agent.name for agent in agents]),
                ("agent number", [agent.number for agent in agents if agent.number is not None]),
                ("campaign id", [campaign.id for campaign in self.campaigns]),
                ("campaign number", [campaign.number for campaign in self.campaigns]),
            )
            for name in _repeated(names)
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _repeated(names: Iterable[str | int]) -> list[str | int]:
    return [name for name, count in Counter(names).items() if count > 1]
