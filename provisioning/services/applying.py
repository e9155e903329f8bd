"""Brings HQ to want what people wrote down: plans against what HQ wants now, and sends the plan whole.

Decides the order: secrets are kept before HQ hears of them, so that none is ever in use and lost; those of a change that HQ
refused are forgotten again, and those of what the change took away after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from engagement.campaign.model import Campaign
from engagement.estate.estate import Change
from engagement.estate.noting import FIRST_CASHIER
from engagement.estate.planning import Plan, Wanted, plan_of, secured
from provisioning.faults import ConfigurationWrong
from provisioning.ports import HqEstate, HqRefused, HqSilent
from provisioning.services.chain_secrets import (
    ChainSecrets,
    hashed_access,
    hashed_members,
    held,
    with_drawn,
    without_gone,
)


class SecretsKept(Protocol):
    """The file of a chain's secrets. Errors of both methods: WorkFailed."""

    def read(self) -> ChainSecrets: ...

    def write(self, known: ChainSecrets) -> None: ...


class NoSecrets:
    """For changes that give nobody a secret."""

    def read(self) -> ChainSecrets:
        return ChainSecrets()

    def write(self, known: ChainSecrets) -> None:
        raise AssertionError("no secret was to be drawn")


@dataclass(frozen=True, slots=True)
class Applying:
    """``insists``: the desk's secrets replace those that HQ has; otherwise they fill in what HQ lacks."""

    hq: HqEstate
    kept: SecretsKept
    insists: bool = False

    async def plan(self, wanted: Wanted) -> Plan:
        """Errors: HqSilent, HqRefused; ConfigurationWrong with every reason why HQ would not take what is written."""
        estate = await self.hq.estate({branch.code: branch for branch in wanted.branches or ()})
        agents = await self.hq.agents()
        known = held(self.kept.read(), first_cashier=FIRST_CASHIER, insists=self.insists)
        plan = plan_of(estate, replace(wanted, held=known), agents)
        if not isinstance(plan, Plan):
            raise ConfigurationWrong(*plan)
        return plan

    async def apply(self, plan: Plan) -> int:
        """The revision that has all of it. Errors: HqSilent, when it is unknown whether HQ took it; HqRefused, HqMoved."""
        before = self.kept.read()
        drawn = with_drawn(before, plan)
        if drawn != before:
            self.kept.write(drawn)
        steps = secured(plan, hashed_access(drawn, plan.lacks), hashed_members(drawn, plan.members_lacking))
        try:
            revision = await self.hq.change(Change(base=plan.base, steps=steps))
        except HqRefused:
            if drawn != before:
                self.kept.write(before)
            raise
        except HqSilent as silent:
            raise HqSilent(f"{silent}; it may have taken the change or not: do the same again") from silent
        after = without_gone(drawn, steps)
        if after != drawn:
            self.kept.write(after)
        return revision

    async def plan_of_campaigns(self, campaigns: Sequence[Campaign]) -> Plan:
        """Of these alone. Errors: as plan()."""
        return await self.plan(Wanted(branches=None, members=None, campaigns=campaigns, is_all=False))
