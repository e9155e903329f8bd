"""HQ's rule for leases, case by case: what is granted, what is believed, and when a restored HQ grants again."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from engagement.ids import AgentName, CampaignId
from engagement.journal.tip import Epoch
from engagement.rights.account import Account, Books, CampaignTerms, LeaseDesk
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.lending import Asking, LeaseFault, Lent, NotLent, lend
from engagement.rights.messages import Grant, GrantedAccount, HeldAccount, LeaseRequest

AGENT, OTHER = AgentName("harbour-1"), AgentName("park-1")
EPOCH = Epoch("00000000000000aa")
WELCOME = CampaignId("welcome")
OLD, NEW, FRESH = "0" * 32, "1" * 32, "2" * 32
BUDGET = 100
LIABILITY_MINOR = 7


def coupons(units: int) -> Amount:
    return Amount(units=units, minor=units * LIABILITY_MINOR)


def asking(
    number: int = 1,
    *,
    granted: int = 0,
    returned: int = 0,
    used: int = 0,
    wanted: int = 0,
    proof: Grant | None = None,
    terms: CampaignTerms | None = None,
    agents: int = 2,
    digest: bytes = b"a request",
) -> Asking:
    account = HeldAccount(
        campaign=WELCOME,
        granted=coupons(granted),
        returned=coupons(returned),
        used=coupons(used),
        wanted_units=wanted,
    )
    return Asking(
        agent=AGENT,
        request=LeaseRequest(epoch=EPOCH, number=number, accounts=(account,)),
        request_sha256=digest,
        proof=proof,
        terms={WELCOME: terms or CampaignTerms(coupons(BUDGET), LIABILITY_MINOR)},
        active_agents=agents,
        fresh_incarnation=FRESH,
    )


def proof(units: int, incarnation: str = OLD) -> Grant:
    account = GrantedAccount(campaign=WELCOME, granted=coupons(units))
    return Grant(incarnation=incarnation, agent=AGENT, epoch=EPOCH, number=1, accounts=(account,))


def books(granted: int = 0, returned: int = 0, used: int = 0, *, number: int = 1, others: int = 0) -> Books:
    account = Account(coupons(granted), coupons(returned), coupons(used))
    return Books(
        incarnation=OLD,
        desk=LeaseDesk(number, b"the last"),
        accounts={WELCOME: account},
        outstanding={WELCOME: account.outstanding + coupons(others)},
    )


def lent(before: Books, asked: Asking) -> Lent:
    ruled = lend(before, asked)
    assert isinstance(ruled, Lent)
    return ruled


def refused(before: Books, asked: Asking) -> NotLent:
    ruled = lend(before, asked)
    assert isinstance(ruled, NotLent)
    return ruled


def granted(ruled: Lent) -> Amount:
    return ruled.grant.accounts[0].granted


def test_a_first_lease_is_a_share_that_nobody_asked_for() -> None:
    assert granted(lent(Books(OLD), asking())) == coupons(BUDGET // 4)
    assert granted(lent(Books(OLD), asking(agents=1000))) == coupons(1)


def test_a_wish_gets_a_quarter_of_what_is_free_or_a_share() -> None:
    before = books(10, used=10)
    assert granted(lent(before, asking(2, granted=10, used=10, wanted=20, agents=10))) == coupons(30)
    assert granted(lent(before, asking(2, granted=10, used=10, wanted=90, agents=10))) == coupons(10 + 22)
    assert granted(lent(before, asking(2, granted=10, used=10, wanted=1, agents=10))) == coupons(10 + 4)
    assert granted(lent(before, asking(2, granted=10, used=10, agents=10))) == coupons(10)


def test_the_last_units_go_out_one_by_one() -> None:
    before = books(10, used=10, others=BUDGET - 11)
    assert granted(lent(before, asking(2, granted=10, used=10, wanted=50))) == coupons(11)
    before = books(10, used=10, others=BUDGET - 10)
    ruled = lent(before, asking(2, granted=10, used=10, wanted=50))
    assert (granted(ruled), ruled.recalled) == (coupons(10), (WELCOME,))


def test_a_lowered_budget_takes_nothing_back_and_gives_nothing_out() -> None:
    lowered = CampaignTerms(coupons(5), LIABILITY_MINOR)
    ruled = lent(books(10, used=2), asking(2, granted=10, used=2, wanted=50, terms=lowered))
    assert granted(ruled) == coupons(10)


def test_a_dearer_edition_is_made_up_in_money() -> None:
    """Ten units are held with money for five; what is free has money alone."""
    dearer = CampaignTerms(Amount(units=10, minor=20 * LIABILITY_MINOR), 2 * LIABILITY_MINOR)
    ruled = lent(books(10), asking(2, granted=10, wanted=10, terms=dearer, agents=1))
    more = granted(ruled) - coupons(10)
    assert (more.units, more.minor % (2 * LIABILITY_MINOR) == 0, more.minor > 0) == (0, True, True)


def test_what_was_given_out_without_a_grant_is_covered_first() -> None:
    ruled = lent(Books(OLD), asking(used=30))
    assert ruled.books.accounts[WELCOME].owed == NOTHING
    assert granted(ruled).units > 30
    ruled = lent(Books(OLD), asking(used=BUDGET + 5))
    assert granted(ruled) == coupons(BUDGET)
    assert ruled.books.accounts[WELCOME].owed == coupons(5)


def test_a_campaign_that_is_not_open_is_not_granted_and_may_come_back() -> None:
    closed = CampaignTerms(coupons(BUDGET), LIABILITY_MINOR, is_open=False)
    ruled = lent(books(10, used=3), asking(2, granted=10, used=3, returned=7, wanted=9, terms=closed))
    assert ruled.books.outstanding == {WELCOME: coupons(3)}


def test_names_that_hq_never_had_are_not_kept() -> None:
    asked = replace(asking(used=4, wanted=4), terms={})
    assert lent(Books(OLD), asked).books.accounts == {}
    assert lent(books(9), asking(2, granted=9)).books.accounts.keys() == {WELCOME}


def test_what_was_used_cannot_be_returned() -> None:
    ruled = lent(books(10), asking(2, granted=10, used=6, returned=9))
    assert ruled.books.accounts[WELCOME] == Account(coupons(10), coupons(4), coupons(6))


def test_a_campaign_is_named_once() -> None:
    """Each naming would be granted out of what is free."""
    account = HeldAccount(campaign=WELCOME)
    with pytest.raises(ValidationError, match="twice"):
        LeaseRequest(epoch=EPOCH, number=1, accounts=(account, account))


def test_grants_that_are_only_asserted_free_nothing() -> None:
    ruled = lent(books(10), asking(2, granted=30, used=2, returned=15, wanted=5))
    assert ruled.unproven == (WELCOME,)
    assert ruled.books.accounts[WELCOME] == Account(coupons(10), NOTHING, coupons(2))


@pytest.mark.parametrize(("used", "returned"), [(4, 3), (5, 2)])
def test_a_total_that_fell_is_another_copy(used: int, returned: int) -> None:
    before = books(10, returned=3, used=5)
    ruled = refused(before, asking(2, granted=10, used=used, returned=returned))
    assert (ruled.fault, ruled.books) == (LeaseFault.WENT_BACK, before)


def test_a_number_is_had_once() -> None:
    before = lent(Books(OLD), asking(3)).books
    assert refused(before, asking(2)).fault is LeaseFault.WENT_BACK
    assert refused(before, asking(3, wanted=1, digest=b"another")).fault is LeaseFault.WENT_BACK
    again = lent(before, asking(3))
    assert again.books == before
    assert granted(again) == before.accounts[WELCOME].granted


def test_a_fenced_hq_grants_nothing_and_takes_what_comes_back() -> None:
    before = replace(books(10, number=1), incarnation=NEW, awaited=frozenset({AGENT, OTHER}))
    ruled = lent(before, asking(5, granted=30, used=4, returned=6, wanted=9, proof=proof(30)))
    assert ruled.is_fenced
    assert ruled.books.accounts[WELCOME] == Account(coupons(30), coupons(6), coupons(4))
    assert ruled.books.awaited == {AGENT, OTHER}
    assert ruled.grant.incarnation == NEW
    heard = lent(ruled.books, asking(6, granted=30, used=4, returned=6, wanted=9, proof=ruled.grant))
    assert heard.books.awaited == {OTHER}
    assert granted(heard) == coupons(30)


def test_the_last_that_is_heard_lifts_the_fence() -> None:
    before = replace(books(10), incarnation=NEW, awaited=frozenset({AGENT}))
    ruled = lent(before, asking(2, granted=10, wanted=9, proof=proof(10, NEW)))
    assert not ruled.is_fenced
    assert granted(ruled).units > 10


def test_a_grant_of_this_life_that_is_forgotten_fences_hq() -> None:
    ruled = lent(books(10), asking(2, granted=30, wanted=9, proof=proof(30)))
    assert (ruled.is_fenced, ruled.grant.incarnation) == (True, FRESH)
    assert granted(ruled) == coupons(30)


def test_who_comes_back_from_a_write_off_with_more_than_was_known_surrenders_it_too() -> None:
    before = replace(Books(NEW), is_given_up=True, is_heard=True)
    ruled = refused(before, asking(4, granted=30, used=5, proof=proof(30)))
    assert ruled.fault is LeaseFault.WRITTEN_OFF
    assert ruled.books.outstanding == {WELCOME: coupons(30)}
    alive = lent(ruled.books, asking(5, granted=30, used=5, returned=25, wanted=4, proof=proof(30)))
    assert not alive.books.is_given_up
    assert alive.books.accounts[WELCOME].returned == coupons(25)
