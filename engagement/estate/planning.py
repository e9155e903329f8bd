"""What must be done for HQ to want what people wrote down: a plan of steps, and its lines for people.

Decides what is a change and what is none: an agent without a number keeps the one it has; a till, a cashier or a member
whom HQ can already check stays as it is, and who cannot be checked yet gets a secret, which only the desk draws and keeps.
Campaigns are published and never dropped. Whether HQ would take the steps is asked of the same rule that HQ asks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch, Till
from engagement.estate.bundle import Cashier, EnrolledMember, PairedTill
from engagement.estate.changing import Complaints, changed
from engagement.estate.differing import (
    branch_lines,
    campaign_line,
    dropped_branch_line,
    lost_campaigns,
    new_branch_line,
)
from engagement.estate.estate import (
    Access,
    Change,
    DropBranch,
    Estate,
    EstateBranch,
    PublishCampaign,
    PutBranch,
    PutMembers,
    Step,
)
from engagement.estate.noting import FIRST_CASHIER, AgentAtHq, Held, notes_on
from engagement.ids import AgentName, BranchCode, CashierName, MemberId, TillName
from engagement.values import Value


@dataclass(frozen=True, slots=True)
class Wanted:
    """None for what stays as HQ has it. ``is_all``: whether campaigns that are not among these are worth a word.
    ``renewed``: branches whose tills and cashiers get new secrets."""

    branches: Sequence[Branch] | None
    members: Sequence[MemberId] | None = ()
    campaigns: Sequence[Campaign] | None = None
    is_all: bool = True
    renewed: frozenset[BranchCode] = frozenset()
    held: Held = field(default_factory=Held)


class Lack(Value):
    """Who needs a secret in a branch that the steps put. ``is_renewal``: a new one, whatever the desk has."""

    branch: BranchCode
    tills: tuple[TillName, ...] = ()
    cashiers: tuple[CashierName, ...] = ()
    is_renewal: bool = False


class Plan(Value):
    """``base``: the revision that it was made against. ``lines``: one per thing that changes; ``notes``: what people may
    want to know besides. ``lacks`` and ``members_lacking``: whose secrets must be added to the steps before they are sent."""

    base: int
    steps: tuple[Step, ...] = ()
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lacks: tuple[Lack, ...] = ()
    members_lacking: tuple[MemberId, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.steps


def plan_of(estate: Estate, wanted: Wanted, agents: Sequence[AgentAtHq] = ()) -> Plan | Complaints:
    """The plan; or why HQ would not take it. ``agents``: all that HQ ever knew."""
    numbers = {agent.name: agent.number for agent in agents if agent.number is not None}
    draft = _Draft(estate, wanted, numbers)
    draft.plan_campaigns()
    draft.plan_branches()
    draft.plan_members()
    after = changed(
        estate, Change(base=estate.revision, steps=tuple(draft.steps)), numbers=numbers, at_ms=0, by="plan"
    )
    if isinstance(after, tuple):
        return after
    written = wanted.campaigns if wanted.is_all else None
    return Plan(
        base=estate.revision,
        steps=tuple(draft.steps),
        lines=tuple(draft.lines(after, agents)),
        notes=tuple(notes_on(estate, after, agents, wanted.held, written)),
        lacks=tuple(draft.lacks.values()),
        members_lacking=tuple(draft.members_lacking),
    )


def secured(
    plan: Plan, access: Mapping[BranchCode, Access], members: Iterable[EnrolledMember]
) -> tuple[Step, ...]:
    """The steps with the secrets that they lacked, as hashes. ``access``: of those who lacked one, by branch."""
    additions = {member.id: member for member in members}
    steps: list[Step] = []
    for step in plan.steps:
        if isinstance(step, PutBranch) and step.branch.code in access:
            more = access[step.branch.code]
            tills = {till.name: till for till in (*step.access.tills, *more.tills)}
            cashiers = {cashier.name: cashier for cashier in (*step.access.cashiers, *more.cashiers)}
            listed = tuple(tills[till.name] for till in step.branch.tills if till.name in tills)
            step = PutBranch(
                branch=step.branch, access=Access(tills=listed, cashiers=tuple(cashiers.values()))
            )
        elif isinstance(step, PutMembers):
            step = PutMembers(members=(*step.members, *additions.values()))
        steps.append(step)
    return tuple(steps)


class _Draft:
    def __init__(self, estate: Estate, wanted: Wanted, numbers: Mapping[AgentName, int]) -> None:
        self._estate = estate
        self._wanted = wanted
        self._before = {each.branch.code: each for each in estate.branches}
        own = (agent for each in estate.branches for agent in each.branch.agents)
        self._numbers = {agent.name: agent.number for agent in own if agent.number is not None} | dict(
            numbers
        )
        self.steps: list[Step] = []
        self.lacks: dict[BranchCode, Lack] = {}
        self.members_lacking: list[MemberId] = []
        self._access_lines: dict[BranchCode, list[str]] = {}
        self._member_lines: list[str] = []

    def plan_campaigns(self) -> None:
        published = {campaign.id: campaign for campaign in self._estate.campaigns}
        for campaign in self._wanted.campaigns or ():
            if published.get(campaign.id) != campaign:
                self.steps.append(PublishCampaign(campaign=campaign))

    def plan_branches(self) -> None:
        """Those that go first, so that their agents may come in elsewhere."""
        if self._wanted.branches is None:
            return
        codes = {branch.code for branch in self._wanted.branches}
        self.steps += (DropBranch(code=code) for code in self._before if code not in codes)
        for branch in self._wanted.branches:
            self._plan_branch(self._numbered(branch), self._before.get(branch.code))

    def _plan_branch(self, branch: Branch, before: EstateBranch | None) -> None:
        at_hq = before.access if before else _NO_ACCESS
        access = self._access(branch, at_hq)
        is_same = before is not None and before.branch == branch and at_hq == access
        if not is_same or branch.code in self.lacks:
            self.steps.append(PutBranch(branch=branch, access=access))

    def _numbered(self, branch: Branch) -> Branch:
        """With the numbers that its agents have for good, where the file gives none."""
        if not any(agent.number is None and agent.name in self._numbers for agent in branch.agents):
            return branch
        agents = tuple(
            agent.model_copy(update={"number": self._numbers.get(agent.name)})
            if agent.number is None
            else agent
            for agent in branch.agents
        )
        return branch.model_copy(update={"agents": agents})

    def _access(self, branch: Branch, at_hq: Access) -> Access:
        """What HQ has of those who are listed, and what the desk holds for the others; who is left over is lacking."""
        known = {till.name: till for till in at_hq.tills}
        is_renewal = branch.code in self._wanted.renewed
        found = {till.name: self._till(branch, till, known.get(till.name)) for till in branch.tills}
        tills = tuple(till for till in found.values() if till is not None)
        cashiers = at_hq.cashiers if branch.tills else ()
        lack = Lack(
            branch=branch.code,
            tills=tuple(name for name, till in found.items() if till is None or is_renewal),
            cashiers=(FIRST_CASHIER,) if branch.tills and self._lacks_cashier(branch, cashiers) else (),
            is_renewal=is_renewal,
        )
        if lack.tills or lack.cashiers:
            self.lacks[branch.code] = lack
        news = [till.name for till in tills if known.get(till.name) != till]
        self._access_lines[branch.code] = [
            *(f"till {name} gets a {'new ' if name in known else ''}token" for name in (*news, *lack.tills)),
            *(f"{name} gets a {'new ' if cashiers else ''}PIN" for name in lack.cashiers),
        ]
        is_same = tills == at_hq.tills and cashiers == at_hq.cashiers
        return at_hq if is_same else Access(tills=tills, cashiers=cashiers)

    def _lacks_cashier(self, branch: Branch, cashiers: Sequence[Cashier]) -> bool:
        salt = self._wanted.held.cashier_salts.get(branch.code)
        is_other = self._wanted.held.insists and all(salt != each.salt for each in cashiers)
        return not cashiers or branch.code in self._wanted.renewed or (salt is not None and is_other)

    def _till(self, branch: Branch, till: Till, at_hq: PairedTill | None) -> PairedTill | None:
        token = self._wanted.held.tills.get((branch.code, till.name))
        if token is None or (at_hq is not None and not self._wanted.held.insists):
            return at_hq
        if at_hq is not None and at_hq.token_sha256 == token:
            return at_hq
        return PairedTill(name=till.name, token_sha256=token)

    def plan_members(self) -> None:
        if self._wanted.members is None:
            return
        held, at_hq = self._wanted.held, {member.id: member for member in self._estate.members}
        members: list[EnrolledMember] = []
        for id in self._wanted.members:
            known, code = at_hq.get(id), held.members.get(id)
            if code is not None and (known is None or (held.insists and known.code_sha256 != code)):
                members.append(EnrolledMember(id=id, code_sha256=code))
            elif known is not None:
                members.append(known)
                continue
            else:
                self.members_lacking.append(id)
            verb = "+ member" if known is None else "~ member"
            self._member_lines.append(f"{verb} {id} gets a {'new ' if known else ''}code")
        self._member_lines += (f"- member {id}" for id in at_hq if id not in set(self._wanted.members))
        if self._member_lines:
            self.steps.append(PutMembers(members=tuple(members)))

    def lines(self, after: Estate, agents: Sequence[AgentAtHq]) -> Iterator[str]:
        campaigns = {campaign.id: campaign for campaign in self._estate.campaigns}
        branches = {each.branch.code: each.branch for each in after.branches}
        active = {agent.name for agent in agents if agent.is_active}
        put = [step.branch.code for step in self.steps if isinstance(step, PutBranch)]
        stopped = {stop.campaign for stop in after.stops}
        running = [campaign for campaign in after.campaigns if campaign.id not in stopped]
        for step in self.steps:
            if isinstance(step, PublishCampaign):
                yield campaign_line(campaigns.get(step.campaign.id), step.campaign) or ""
        for code in put:
            before = self._before.get(code)
            if before is None:
                yield new_branch_line(branches[code])
                continue
            yield from branch_lines(before.branch, branches[code])
            yield from (f"~ branch {code}: {line}" for line in self._access_lines.get(code, ()))
            lost = lost_campaigns(before.branch, branches[code], running)
            yield from (f"~ branch {code}: {line}" for line in lost)
        listed = {agent.name for branch in branches.values() for agent in branch.agents}
        for step in self.steps:
            if isinstance(step, DropBranch):
                gone = self._before[step.code].branch
                names = {agent.name for agent in gone.agents} & active - listed
                yield dropped_branch_line(gone, names)
        yield from self._member_lines


_NO_ACCESS = Access()
