"""What people may want to know beside a plan: what HQ, the desk and the stores have that does not go together.

Nothing of it is a change, and none of it holds one up.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engagement.campaign.model import Campaign
from engagement.estate.bundling import runs_in, sequence_of
from engagement.estate.estate import Estate
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


class AgentAtHq(Value):
    """An agent as HQ knows it. ``bundle_sequence``: of the bundle that it works from; None while it said nothing."""

    name: AgentName
    branch: BranchCode
    number: int | None = None
    is_active: bool = False
    bundle_sequence: int | None = None


def notes_on(
    before: Estate,
    after: Estate,
    agents: Sequence[AgentAtHq],
    held: Held,
    written: Sequence[Campaign] | None,
) -> Iterator[str]:
    """``after``: once the plan is carried out; ``written``: all campaigns that files name, None where that is not known."""
    yield from _strays(before, written)
    yield from _homeless(after)
    yield from _strange_keys(before, held)
    yield from _astray(before, after, agents)
    yield from _drift(before, agents)


def _strays(estate: Estate, written: Sequence[Campaign] | None) -> Iterator[str]:
    """Campaigns at HQ that no file names any more."""
    if written is None:
        return
    named = {campaign.id for campaign in written}
    stopped = {stop.campaign for stop in estate.stops}
    for campaign in estate.campaigns:
        if campaign.id not in named | stopped:
            yield f"campaign {campaign.id} is in no file and goes on; to end it: beckon campaign stop {campaign.id}"


def _homeless(after: Estate) -> Iterator[str]:
    """Campaigns that nobody wins any more, for their zone or their currency is gone everywhere, or no branch lists them."""
    stopped = {stop.campaign for stop in after.stops}
    for campaign in after.campaigns:
        if campaign.id in stopped or any(runs_in(campaign, each.branch) for each in after.branches):
            continue
        yield f"campaign {campaign.id} runs in no branch; to end it: beckon campaign stop {campaign.id}"


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
