"""Whether a change of the estate may be made, and what the estate is then. All complaints are told at once.

What agents rely on never changes: an agent keeps its number for good and nobody else gets it; terms that were published
under an edition, a campaign's number and its currency stay; a stop is for ever. A revision is raised only by what changes
something, and a branch's only when its agents' bundles do.

That the change was made against the present revision is checked by whoever holds the estate.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from engagement.campaign.model import Campaign
from engagement.clock.moment import to_ms
from engagement.estate.branch import AGENT_NUMBER_MAX, Agent, Branch
from engagement.estate.bundle import CampaignStop, EnrolledMember
from engagement.estate.bundling import misfit, runs_in
from engagement.estate.estate import (
    Access,
    Change,
    DropBranch,
    Estate,
    EstateBranch,
    PublishCampaign,
    PutBranch,
    PutMembers,
    StopCampaign,
)
from engagement.estate.fitting import twice_heard
from engagement.estate.sizing import too_large, too_much_shared
from engagement.ids import AgentName, BranchCode, CampaignId, Label
from engagement.rights.messages import ACCOUNTS_MAX

Complaints = tuple[str, ...]


def changed(
    estate: Estate, change: Change, *, numbers: Mapping[AgentName, int], at_ms: int, by: Label
) -> Estate | Complaints:
    """The estate after the change: the same object when it changes nothing; or everything that is wrong with it.

    ``numbers``: of every agent that HQ ever knew; ``by`` and ``at_ms``: who stops campaigns, and when.
    """
    draft = _Draft(
        branches={each.branch.code: (each.branch, each.access) for each in estate.branches},
        campaigns={each.id: each for each in estate.campaigns},
        stops={each.campaign: each for each in estate.stops},
        members=estate.members,
        complaints=[],
    )
    for step in change.steps:
        match step:
            case PutBranch():
                draft.put_branch(step)
            case DropBranch():
                draft.drop_branch(step.code)
            case PublishCampaign():
                draft.publish(step.campaign)
            case StopCampaign():
                draft.stop(
                    CampaignStop(campaign=step.campaign, honour_issued=step.honour_issued, by=by, at_ms=at_ms)
                )
            case PutMembers():
                draft.members = tuple(sorted(step.members, key=lambda member: member.id))
    own = {
        agent.name: agent.number for each in estate.branches for agent in each.branch.agents if agent.number
    }
    draft.number_agents({**own, **numbers})
    draft.complaints += _faults(draft, estate, at_ms)
    if draft.complaints:
        return tuple(draft.complaints)
    return _revised(estate, draft)


@dataclass
class _Draft:
    """The estate while steps are applied. Branches that were put stand in the order of their steps."""

    branches: dict[BranchCode, tuple[Branch, Access]]
    campaigns: dict[CampaignId, Campaign]
    stops: dict[CampaignId, CampaignStop]
    members: tuple[EnrolledMember, ...]
    complaints: list[str]

    def put_branch(self, step: PutBranch) -> None:
        self.branches.pop(step.branch.code, None)
        self.branches[step.branch.code] = (step.branch, step.access)

    def drop_branch(self, code: BranchCode) -> None:
        if self.branches.pop(code, None) is None:
            self.complaints.append(f"branch {code!r} cannot be dropped: there is none of this code")

    def publish(self, campaign: Campaign) -> None:
        before = self.campaigns.get(campaign.id)
        because = _why_not_published(before, campaign, is_stopped=campaign.id in self.stops)
        if because is not None:
            self.complaints.append(f"campaign {campaign.id!r} {because}")
        elif campaign != before:
            self.campaigns[campaign.id] = campaign

    def stop(self, wanted: CampaignStop) -> None:
        if wanted.campaign not in self.campaigns:
            self.complaints.append(f"campaign {wanted.campaign!r} cannot be stopped: it was never published")
            return
        stands = self.stops.get(wanted.campaign)
        if stands is None or (stands.honour_issued and not wanted.honour_issued):
            self.stops[wanted.campaign] = wanted

    def number_agents(self, numbers: Mapping[AgentName, int]) -> None:
        """Everybody gets the number it has, or asks for, or the least that is free; asked ones are seen to first."""
        holders = {number: name for name, number in numbers.items()}
        for agent in self._agents():
            if agent.number is None:
                continue
            holder = holders.setdefault(numbers.get(agent.name, agent.number), agent.name)
            if agent.name in numbers and numbers[agent.name] != agent.number:
                self.complaints.append(
                    f"agent {agent.name!r} has number {numbers[agent.name]} for good; it cannot become {agent.number}"
                )
            elif holder != agent.name:
                self.complaints.append(
                    f"agent {agent.name!r} cannot have number {agent.number}: it is that of agent {holder!r}"
                )
        known = {name: number for number, name in holders.items()}
        free = (number for number in range(1, AGENT_NUMBER_MAX + 1) if number not in holders)
        for code, (branch, access) in self.branches.items():
            if any(agent.number is None for agent in branch.agents):
                agents = tuple(self._numbered(agent, known, free) for agent in branch.agents)
                self.branches[code] = (branch.model_copy(update={"agents": agents}), access)

    def _numbered(self, agent: Agent, known: dict[AgentName, int], free: Iterator[int]) -> Agent:
        if agent.number is not None:
            return agent
        number = known.get(agent.name) or next(free, None)
        if number is None:
            self.complaints.append(
                f"agent {agent.name!r} gets no number: all {AGENT_NUMBER_MAX} were given out"
            )
            return agent
        known[agent.name] = number
        return agent.model_copy(update={"number": number})

    def _agents(self) -> Iterator[Agent]:
        return (agent for branch, _ in self.branches.values() for agent in branch.agents)


def _why_not_published(before: Campaign | None, campaign: Campaign, *, is_stopped: bool) -> str | None:
    if before is None or campaign == before:
        return None
    if campaign.edition < before.edition:
        return (
            f"was published in edition {before.edition}; edition {campaign.edition} comes too late: "
            f"make it edition {before.edition + 1}"
        )
    if campaign.edition == before.edition:
        return (
            f"changed, but its edition is still {campaign.edition}; published terms never change: "
            f"make it edition {campaign.edition + 1}, or keep the old terms"
        )
    if campaign.number != before.number:
        return f"has number {before.number} for good; it cannot become {campaign.number}"
    if campaign.offer.currency != before.offer.currency:
        return (
            f"is in {before.offer.currency} for good; publish another campaign in {campaign.offer.currency}"
        )
    if is_stopped:
        return "was stopped for good; publish another campaign instead of a new edition"
    return None


def _faults(draft: _Draft, before: Estate, at_ms: int) -> Iterator[str]:
    """What does not fit together once all steps are done."""
    branches = [branch for branch, _ in draft.branches.values()]
    yield from _used_twice("agent name", (agent.name for branch in branches for agent in branch.agents))
    by_number: dict[int, list[str]] = {}
    for campaign in draft.campaigns.values():
        by_number.setdefault(campaign.number, []).append(campaign.id)
    for number, ids in by_number.items():
        if len(ids) > 1:
            yield f"campaigns {' and '.join(map(repr, sorted(ids)))} have the same number {number}"
    yield from _used_twice("member id", (member.id for member in draft.members))
    yield from _used_twice(
        "code of a member", (member.code_sha256 for member in draft.members), is_secret=True
    )
    known = {each.branch.code: each for each in before.branches}
    for branch, access in draft.branches.values():
        was = known.get(branch.code)
        if was is None or was.access is not access:
            yield from _access_faults(branch, access)
            yield from too_large(was, branch, access)
            heard = twice_heard(agent.parts for agent in branch.agents)
            yield from (f"branch {branch.code!r}: {finding.text}" for finding in heard)
        for listed in branch.campaigns or ():
            found = draft.campaigns.get(listed)
            because = "it was never published" if found is None else misfit(found, branch)
            if because is not None:
                yield f"branch {branch.code!r}: campaign {listed!r} cannot run there: {because}"
    published = {each.id: each for each in before.campaigns}
    news = [each for each in draft.campaigns.values() if each is not published.get(each.id)]
    if branches:
        for campaign in news:
            yield from _nowhere(campaign, branches)
    if news or draft.members is not before.members:
        shared = draft.members, list(draft.campaigns.values())
        yield from too_much_shared((before.members, before.campaigns), shared)
    yield from _too_many(draft, {each.offer.currency for each in news}, at_ms)


def _access_faults(branch: Branch, access: Access) -> Iterator[str]:
    about = f"branch {branch.code!r}: "
    listed = {till.name for till in branch.tills}
    for till in access.tills:
        if till.name not in listed:
            yield f"{about}till {till.name!r} has a token, but the branch does not list it"
    yield from _used_twice(f"{about}till", (till.name for till in access.tills))
    yield from _used_twice(
        f"{about}token of a till", (till.token_sha256 for till in access.tills), is_secret=True
    )
    yield from _used_twice(f"{about}cashier", (cashier.name for cashier in access.cashiers))


def _nowhere(campaign: Campaign, branches: Iterable[Branch]) -> Iterator[str]:
    """A slip in a zone's name or the currency would else only be noticed by nobody winning."""
    if any(misfit(campaign, branch) is None for branch in branches):
        return
    zone = campaign.trigger.zone
    needs = f"currency {campaign.offer.currency}" + (f" and zone {zone!r}" if zone is not None else "")
    yield f"campaign {campaign.id!r} fits no branch: it needs {needs}"


def _too_many(draft: _Draft, currencies: Iterable[str], at_ms: int) -> Iterator[str]:
    """An agent's requests for rights name no more; what is beyond would never be given out, and nobody would know why."""
    at_once = Counter(
        each.offer.currency
        for each in draft.campaigns.values()
        if each.id not in draft.stops and at_ms <= to_ms(each.window.ends_at)
    )
    for currency in sorted(currencies):
        if at_once[currency] > ACCOUNTS_MAX:
            yield (
                f"{at_once[currency]} campaigns in {currency} are neither stopped nor over; "
                f"at most {ACCOUNTS_MAX} may be, so stop some first"
            )


def _used_twice(what: str, names: Iterable[str], *, is_secret: bool = False) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{what}{'' if is_secret else f' {name!r}'} is used {count} times"


def _revised(before: Estate, draft: _Draft) -> Estate:
    revision = before.revision + 1
    old = {each.branch.code: each for each in before.branches}
    is_touched = _touch(before, draft)
    stay = [
        code
        for code, (branch, access) in draft.branches.items()
        if (each := old.get(code)) is not None and each.branch == branch and each.access == access
    ]
    touched = {code for code in stay if is_touched(draft.branches[code][0])}
    # One number instead of a row for each branch of a large chain, for what changes them all.
    is_for_all = len(touched) == len(stay) and is_touched.something
    branches = {code: old[code] for code in stay}
    for code, (branch, access) in draft.branches.items():
        if code not in branches or (code in touched and not is_for_all):
            # Not validated again, which is most of the work of a large change: the branch was when it arrived.
            branches[code] = EstateBranch.model_construct(branch=branch, access=access, changed=revision)
    if not is_touched.something and len(stay) == len(old) == len(branches):
        return before
    return Estate(
        revision=revision,
        changed=revision if is_for_all else before.changed,
        branches=tuple(branches[code] for code in sorted(branches)),
        campaigns=tuple(sorted(draft.campaigns.values(), key=lambda campaign: campaign.number)),
        stops=tuple(draft.stops[campaign] for campaign in sorted(draft.stops)),
        members=draft.members,
    )


@dataclass(frozen=True)
class _Touch:
    """Which branches feel what all share: asked of a branch, whether its bundles become others.

    ``editions``: of campaigns that changed, the old and the new; ``stopped``: currencies of new stops.
    """

    editions: tuple[Campaign, ...]
    stopped: frozenset[str]
    has_other_members: bool

    def __call__(self, branch: Branch) -> bool:
        return (
            self.has_other_members
            or branch.currency in self.stopped
            or any(runs_in(campaign, branch) for campaign in self.editions)
        )

    @property
    def something(self) -> bool:
        return bool(self.editions or self.stopped or self.has_other_members)


def _touch(before: Estate, draft: _Draft) -> _Touch:
    published = {each.id: each for each in before.campaigns}
    stops = {each.campaign: each for each in before.stops}
    renewed = [each for each in draft.campaigns.values() if each is not published.get(each.id)]
    return _Touch(
        editions=(*renewed, *(published[each.id] for each in renewed if each.id in published)),
        stopped=frozenset(
            draft.campaigns[id].offer.currency
            for id, stop in draft.stops.items()
            if stop is not stops.get(id)
        ),
        has_other_members=draft.members != before.members,
    )
