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
from engagement.estate.bundling import sequence_of
from engagement.estate.changing import Complaints, changed
from engagement.estate.differing import branch_lines, campaign_line, dropped_branch_line, new_branch_line
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
from engagement.ids import AgentName, BranchCode, CashierName, MemberId, TillName
from engagement.values import Value

# The one who may open the till's pages of a new branch.
FIRST_CASHIER = CashierName("cashier-1")
# After a change of all, nearly every agent of a chain lags for a minute; and of a new chain none is enrolled.
_NOTES_MAX, _NAMED_MAX = 20, 5


@dataclass(frozen=True, slots=True)
class Held:
    """Of the secrets that the desk keeps, what shows which they are: SHA-256 of tokens and codes, salts of PINs.

    ``insists``: they replace what HQ has; otherwise they only fill in what HQ lacks.
    """

    tills: Mapping[tuple[BranchCode, TillName], str] = field(default_factory=dict)
    cashier_salts: Mapping[BranchCode, str] = field(default_factory=dict)
    members: Mapping[MemberId, str] = field(default_factory=dict)
    insists: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """None for what stays as HQ has it. ``is_all``: whether campaigns that are not among these are worth a word.
    ``renewed``: branches whose tills and cashiers get new secrets."""

    branches: Sequence[Branch] | None
    members: Sequence[MemberId] | None = ()
    campaigns: Sequence[Campaign] | None = None
    is_all: bool = True
    renewed: frozenset[BranchCode] = frozenset()
    held: Held = Held()


class AgentAtHq(Value):
    """An agent as HQ knows it. ``bundle_sequence``: of the bundle that it works from; None while it said nothing."""

    name: AgentName
    branch: BranchCode
    number: int | None = None
    is_active: bool = False
    bundle_sequence: int | None = None


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
    return Plan(
        base=estate.revision,
        steps=tuple(draft.steps),
        lines=tuple(draft.lines(after, agents)),
        notes=(
            *_strays(estate, wanted),
            *_strange_keys(estate, wanted.held),
            *_astray(estate, after, agents),
            *_drift(estate, agents),
        ),
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
        listed = {agent.name for branch in branches.values() for agent in branch.agents}
        for step in self.steps:
            if isinstance(step, DropBranch):
                gone = self._before[step.code].branch
                names = {agent.name for agent in gone.agents} & active - listed
                yield dropped_branch_line(gone, names)
        yield from self._member_lines


_NO_ACCESS = Access()


def _strays(estate: Estate, wanted: Wanted) -> Iterator[str]:
    """Campaigns at HQ that no file names any more."""
    if wanted.campaigns is None or not wanted.is_all:
        return
    named = {campaign.id for campaign in wanted.campaigns}
    stopped = {stop.campaign for stop in estate.stops}
    for campaign in estate.campaigns:
        if campaign.id not in named | stopped:
            yield f"campaign {campaign.id} is in no file and goes on; to end it: beckon campaign stop {campaign.id}"


def _strange_keys(estate: Estate, held: Held) -> Iterator[str]:
    """Secrets that the desk keeps and HQ knows otherwise, as from another HQ: nobody gets in with them."""
    if held.insists:
        return
    notes: list[str] = []
    for each in estate.branches:
        code = each.branch.code
        renew = f"is none that HQ knows; to draw new ones: --renew {code}"
        for till in each.access.tills:
            if held.tills.get((code, till.name), till.token_sha256) != till.token_sha256:
                notes.append(f"branch {code}: the desk's token of till {till.name} {renew}")
        salt = held.cashier_salts.get(code)
        own = next((cashier for cashier in each.access.cashiers if cashier.name == FIRST_CASHIER), None)
        if salt is not None and own is not None and salt != own.salt:
            notes.append(f"branch {code}: the desk's PIN of {FIRST_CASHIER} {renew}")
    for member in estate.members:
        if held.members.get(member.id, member.code_sha256) != member.code_sha256:
            notes.append(
                f"member {member.id}: the desk's code is none that HQ knows; to draw a new one: apply without the member, "
                "then with it"
            )
    yield from notes[:_NOTES_MAX]
    if len(notes) > _NOTES_MAX:
        yield f"and {len(notes) - _NOTES_MAX} more of the desk's tokens, PINs and codes are none that HQ knows"


def _astray(before: Estate, after: Estate, agents: Sequence[AgentAtHq]) -> Iterator[str]:
    """Machines in use that would get no bundle any more, and so hear of no stop: their branch is another, or they have
    none. Those of a branch that goes are told there."""
    branch_of = {agent.name: each.branch.code for each in after.branches for agent in each.branch.agents}
    listed = {agent.name for each in before.branches for agent in each.branch.agents}
    codes = {each.branch.code for each in after.branches}
    notes: list[str] = []
    for known in agents:
        if not known.is_active:
            continue
        branch = branch_of.get(known.name)
        if branch is None and known.name in listed and known.branch in codes:
            notes.append(
                f"agent {known.name} of branch {known.branch} is still in use; it keeps the bundle that it has, and "
                f"hears of no stop: beckon agent revoke {known.name}"
            )
        elif branch is not None and branch != known.branch:
            notes.append(
                f"agent {known.name} was enrolled for branch {known.branch} and takes no bundle of branch {branch}: set its "
                f"mini-PC up anew, with an empty home, and then: beckon enrol {branch} {known.name} --replace"
            )
    yield from notes[:_NOTES_MAX]
    if len(notes) > _NOTES_MAX:
        yield f"and {len(notes) - _NOTES_MAX} agents more stand in another branch than before, or in none"


def _drift(estate: Estate, agents: Sequence[AgentAtHq]) -> Iterator[str]:
    """Agents that do not work from what HQ wants already."""
    at_hq = {agent.name: agent for agent in agents}
    waited_for: list[str] = []
    behind: list[str] = []
    for each in estate.branches:
        newest = sequence_of(estate, each)
        for agent in each.branch.agents:
            known = at_hq.get(agent.name)
            if known is None or not known.is_active:
                waited_for.append(f"{agent.name} of branch {each.branch.code}")
            elif known.branch != each.branch.code:
                continue  # told as one that is astray
            elif (known.bundle_sequence or 0) > estate.revision:
                behind.append(
                    f"agent {known.name} of branch {each.branch.code} works from bundle {known.bundle_sequence}, which HQ does "
                    "not remember making; it takes none before HQ's revision is higher"
                )
            elif known.bundle_sequence is not None and known.bundle_sequence < newest:
                behind.append(
                    f"agent {agent.name} of branch {each.branch.code} still works from bundle "
                    f"{known.bundle_sequence or 'none'}; the newest is {newest}"
                )
    yield from behind[:_NOTES_MAX]
    if len(behind) > _NOTES_MAX:
        yield f"and {len(behind) - _NOTES_MAX} agents more work from older bundles"
    if waited_for:
        more = f" and {len(waited_for) - _NAMED_MAX} more" if len(waited_for) > _NAMED_MAX else ""
        yield f"not enrolled: {', '.join(waited_for[:_NAMED_MAX])}{more}"
