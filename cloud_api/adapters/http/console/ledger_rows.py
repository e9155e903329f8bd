"""Where a campaign's budget is, in the four places that a reader understands: given, lent, written off, free."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cloud_api.ports.rights import Lease
from engagement.ids import AgentName
from engagement.rights.account import Account
from engagement.rights.amount import NOTHING, Amount

# More do not help a reader; all of them are in the API.
_ROWS_MAX = 100

Place = Literal["given", "held", "lost", "free"]


@dataclass(frozen=True)
class Part:
    """``from_share`` and ``share``: in percent of all, by coupons, for a bar."""

    key: Place
    amount: Amount
    from_share: float
    share: float


@dataclass(frozen=True)
class LeaseRow:
    """What one mini-PC holds or was lent, over all its ledger files."""

    agent: AgentName
    account: Account
    is_written_off: bool


@dataclass(frozen=True)
class LedgerRows:
    """``over``: what is out beyond the budget; ``left_out``: how many further mini-PCs there are."""

    budget: Amount
    parts: Sequence[Part]
    over: Amount
    leases: Sequence[LeaseRow]
    left_out: int
    adds_up: bool


def ledger_rows(*, budget: Amount, free: Amount, leases: Sequence[Lease], adds_up: bool) -> LedgerRows:
    amounts: dict[Place, Amount] = {
        "given": _sum(lease.account.used for lease in leases),
        "held": _sum(lease.account.held for lease in leases if not lease.is_written_off),
        "lost": _sum(lease.account.held for lease in leases if lease.is_written_off),
        "free": free,
    }
    whole = _sum(amounts.values())
    rows = _by_agent(leases)
    return LedgerRows(
        budget=budget,
        parts=_parts(amounts, whole.at_least(budget)),
        over=whole - budget,
        leases=rows[:_ROWS_MAX],
        left_out=max(0, len(rows) - _ROWS_MAX),
        adds_up=adds_up,
    )


def _parts(amounts: dict[Place, Amount], whole: Amount) -> list[Part]:
    parts, before = [], 0.0
    for key, amount in amounts.items():
        share = 100 * amount.units / max(whole.units, 1)
        if key != "lost" or amount != NOTHING:
            parts.append(Part(key, amount, before, share))
        before += share
    return parts


def _by_agent(leases: Iterable[Lease]) -> list[LeaseRow]:
    """The largest first."""
    sums: dict[tuple[AgentName, bool], Account] = defaultdict(Account)
    for lease in leases:
        before, more = sums[lease.key.agent, lease.is_written_off], lease.account
        sums[lease.key.agent, lease.is_written_off] = Account(
            granted=before.granted + more.granted,
            returned=before.returned + more.returned,
            used=before.used + more.used,
        )
    rows = [LeaseRow(agent, account, lost) for (agent, lost), account in sums.items()]
    return sorted(rows, key=lambda row: (-row.account.outstanding.units, row.agent, row.is_written_off))


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, start=NOTHING)
