"""Where a campaign's budget is, in the four places that a reader understands: given, lent, written off, free."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cloud_api.ports.rights import AgentBooks, Lease
from cloud_api.services.lending import Ledger
from engagement.ids import AgentName, CampaignId
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
    """What one mini-PC has, over all its ledger files that were written off, or over all others."""

    agent: AgentName
    account: Account
    is_written_off: bool


@dataclass(frozen=True)
class LedgerRows:
    """``over``: what is out beyond the budget; ``left_out``: how many further rows there are."""

    budget: Amount
    parts: Sequence[Part]
    over: Amount
    leases: Sequence[LeaseRow]
    left_out: int
    adds_up: bool


def ledger_rows(ledger: Ledger) -> LedgerRows:
    rows = _by_agent(ledger.leases)
    amounts: dict[Place, Amount] = {
        "given": _sum(row.account.used for row in rows),
        "held": _sum(row.account.held for row in rows if not row.is_written_off),
        "lost": _sum(row.account.held for row in rows if row.is_written_off),
        "free": ledger.free,
    }
    whole = _sum(amounts.values())
    over = whole - ledger.budget
    return LedgerRows(
        budget=ledger.budget,
        parts=_parts(amounts, whole.at_least(ledger.budget)),
        over=over,
        leases=rows[:_ROWS_MAX],
        left_out=max(0, len(rows) - _ROWS_MAX),
        adds_up=ledger.adds_up and over == NOTHING,
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
        sums[lease.key.agent, lease.is_written_off] += _as_known(lease)
    rows = [LeaseRow(agent, account, lost) for (agent, lost), account in sums.items()]
    return sorted(rows, key=lambda row: (-row.account.outstanding.units, row.agent, row.is_written_off))


@dataclass(frozen=True)
class HoldingRow:
    """What one mini-PC has of a campaign, over all its ledger files that were written off, or over all others."""

    campaign: CampaignId
    account: Account
    is_written_off: bool


def holding_rows(books: AgentBooks) -> list[HoldingRow]:
    """In order of campaigns."""
    sums: dict[tuple[CampaignId, bool], Account] = defaultdict(Account)
    for campaign, lease in books.leases:
        sums[campaign, lease.is_written_off] += _as_known(lease)
    return [HoldingRow(campaign, account, lost) for (campaign, lost), account in sums.items()]


def _as_known(lease: Lease) -> Account:
    """Journals tell of what was given sooner than the next request for rights does."""
    return replace(lease.account, used=lease.account.used.at_least(lease.issued))


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, start=NOTHING)
