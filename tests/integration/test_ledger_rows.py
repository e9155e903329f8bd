"""Where a campaign's budget is, as the console tells it: nothing is missing, nothing stands in two places."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cloud_api.adapters.http.console.ledger_rows import LedgerRows, ledger_rows
from cloud_api.ports.rights import Lease, LeaseKey
from cloud_api.services.lending import FenceView, Ledger
from engagement.ids import AgentName
from engagement.journal.tip import Epoch
from engagement.rights.account import Account
from engagement.rights.amount import NOTHING, Amount
from tests.fakes import shop

UNIT_MINOR = 2000


def coupons(units: int) -> Amount:
    return Amount(units=units, minor=units * UNIT_MINOR)


def lease(
    granted: int,
    *,
    returned: int = 0,
    used: int = 0,
    agent: str = "a-1",
    epoch: str = "e1",
    lost: bool = False,
) -> Lease:
    account = Account(coupons(granted), coupons(returned), coupons(used))
    key = LeaseKey(AgentName(agent), Epoch(epoch))
    return Lease(key, account, is_written_off=lost, issued=coupons(used))


def rows(*leases: Lease, budget: int = 100) -> LedgerRows:
    """As HQ reckons what is free: the budget less all that is outstanding."""
    outstanding = sum((each.account.outstanding for each in leases), start=NOTHING)
    return ledger_rows(Ledger(shop.campaign(), coupons(budget), outstanding, leases, FenceView("", ())))


def parts(ledger: LedgerRows) -> dict[str, int]:
    return {part.key: part.amount.units for part in ledger.parts}


def test_a_fresh_campaign_is_free() -> None:
    ledger = rows()
    assert parts(ledger) == {"given": 0, "held": 0, "free": 100}
    assert (ledger.over, ledger.leases) == (NOTHING, [])


def test_what_is_out_is_given_lent_or_lost() -> None:
    ledger = rows(
        lease(30, returned=5, used=10),
        lease(20, used=15, agent="b-1", lost=True),
    )
    assert parts(ledger) == {"given": 25, "held": 15, "lost": 5, "free": 55}
    assert [(row.agent, row.account.held.units, row.is_written_off) for row in ledger.leases] == [
        ("a-1", 15, False),
        ("b-1", 5, True),
    ]


def test_ledger_files_of_one_agent_stand_in_one_row() -> None:
    ledger = rows(lease(10, used=10), lease(10, used=1, epoch="e2"), lease(5, epoch="e0", lost=True))
    assert [(row.agent, row.account.used.units, row.is_written_off) for row in ledger.leases] == [
        ("a-1", 11, False),
        ("a-1", 0, True),
    ]


def test_what_was_given_before_hq_lent_is_said_to_be_beyond_the_budget() -> None:
    ledger = rows(lease(10, used=30), budget=20)
    assert parts(ledger) == {"given": 30, "held": 0, "free": 10}
    assert (ledger.over, ledger.adds_up) == (coupons(20), False)


def test_journals_tell_of_what_was_given_before_the_next_request_does() -> None:
    told = replace(lease(30, used=10), issued=coupons(12))
    assert parts(rows(told)) == {"given": 12, "held": 18, "free": 70}
    behind = replace(lease(30, used=10), issued=coupons(3))
    assert parts(rows(behind)) == {"given": 10, "held": 20, "free": 70}
    assert rows(told, behind).adds_up


def test_only_the_largest_hundred_are_listed() -> None:
    ledger = rows(*(lease(n, agent=f"a-{n}") for n in range(120)), budget=10_000)
    assert (len(ledger.leases), ledger.left_out) == (100, 20)
    assert ledger.leases[0].agent == "a-119"


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.booleans()), max_size=6
    ),
    st.integers(1, 200),
)
def test_the_parts_come_to_the_budget_and_what_is_beyond(
    told: list[tuple[int, int, int, bool]], budget: int
) -> None:
    leases = [
        lease(granted, returned=min(returned, max(0, granted - used)), used=used, agent=f"a-{n}", lost=lost)
        for n, (granted, returned, used, lost) in enumerate(told)
    ]
    ledger = rows(*leases, budget=budget)
    assert sum(parts(ledger).values()) == budget + ledger.over.units
    assert sum(part.amount.minor for part in ledger.parts) == ledger.budget.minor + ledger.over.minor
    assert all(0 <= part.from_share <= part.from_share + part.share <= 100.001 for part in ledger.parts)
