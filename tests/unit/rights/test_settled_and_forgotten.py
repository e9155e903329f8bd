"""A lease that was settled, and left out of the proofs, meets an HQ that was put back to before that."""

from dataclasses import replace

from engagement.ids import AgentName, CampaignId
from engagement.journal.tip import Epoch
from engagement.rights.account import Account, Books, CampaignTerms
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.lending import Asking, Lent, lend
from engagement.rights.messages import HeldAccount, LeaseRequest

WELCOME, AGENT = CampaignId("welcome"), AgentName("harbour-1")
SETTLED = HeldAccount(
    campaign=WELCOME,
    granted=Amount(units=63, minor=63),
    returned=Amount(units=29, minor=29),
    used=Amount(units=34, minor=34),
)


def told(books: Books, *, is_open: bool = False) -> Lent:
    ruled = lend(
        books,
        Asking(
            agent=AGENT,
            request=LeaseRequest(epoch=Epoch("a" * 16), number=9, accounts=(SETTLED,)),
            request_sha256=b"a request",
            proof=None,
            terms={WELCOME: CampaignTerms(Amount(units=100, minor=100), 1, is_open=is_open)},
            active_agents=1,
            fresh_incarnation="f" * 32,
        ),
    )
    assert isinstance(ruled, Lent)
    return ruled


def test_an_hq_that_remembers_less_was_returned_takes_the_agents_word() -> None:
    known = Account(Amount(units=59, minor=59))
    books = Books("0" * 32, accounts={WELCOME: known}, outstanding={WELCOME: known.outstanding})
    after = told(books).books
    assert after.accounts[WELCOME] == Account(SETTLED.granted, SETTLED.returned, SETTLED.used)
    assert after.outstanding[WELCOME] == SETTLED.used


def test_an_hq_that_remembers_nothing_counts_what_was_given_out() -> None:
    after = told(Books("0" * 32), is_open=True).books
    assert after.outstanding[WELCOME] == SETTLED.used
    assert after.accounts[WELCOME].held == NOTHING


def test_while_it_is_fenced_it_counts_nothing_new() -> None:
    fenced = Books("0" * 32, awaited=frozenset({AGENT, AgentName("park-1")}))
    assert told(fenced).books.outstanding.get(WELCOME, NOTHING) == NOTHING
    assert told(replace(fenced, awaited=frozenset())).books.outstanding[WELCOME] == SETTLED.used
