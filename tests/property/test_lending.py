"""Whatever agents say, true or not: HQ's books add up, nothing beyond the budget goes out, and no words break the rule."""

from hypothesis import given
from hypothesis import strategies as st

from cloud_api.ports.rights import LeaseKey
from engagement.ids import AgentName, CampaignId
from engagement.journal.tip import Epoch
from engagement.rights.account import Account, CampaignTerms
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.lending import Asking, lend
from engagement.rights.messages import HeldAccount, LeaseRequest
from tests.fakes.lease_world import CAMPAIGNS, LIABILITY_MINOR, one
from tests.fakes.memory_rights import RightsFile

KEYS = [LeaseKey(AgentName(f"agent-{each % 2}"), Epoch(f"{each:016x}")) for each in range(3)]
BUDGET = one(20, LIABILITY_MINOR)
TERMS = {campaign: CampaignTerms(BUDGET, LIABILITY_MINOR) for campaign in CAMPAIGNS}

numbers = st.one_of(st.integers(0, 30), st.sampled_from([2**47, 2**48 - 1]))
amounts = st.builds(Amount, units=numbers, minor=numbers.map(lambda minor: min(7 * minor, 2**48 - 1)))
accounts = st.builds(
    HeldAccount,
    campaign=st.sampled_from([*CAMPAIGNS, CampaignId("unheard-of")]),
    granted=amounts,
    returned=amounts,
    used=amounts,
    wanted_units=st.one_of(st.integers(0, 30), st.just(2**32 - 1)),
)
requests = st.builds(
    LeaseRequest,
    epoch=st.just(KEYS[0].epoch),
    number=st.one_of(st.integers(1, 20), st.just(2**48 - 1)),
    accounts=st.lists(accounts, max_size=3, unique_by=lambda account: account.campaign).map(tuple),
)


@given(st.lists(st.tuples(st.sampled_from(KEYS), requests, st.booleans()), max_size=25))
def test_no_words_bring_out_more_than_the_budget(said: list[tuple[LeaseKey, LeaseRequest, bool]]) -> None:
    file = RightsFile("0" * 32)
    for key, request, is_given_up in said:
        if is_given_up:
            file.give_up(key.agent, set)
        before = file.books(key, set)
        ruled = lend(
            before,
            Asking(
                agent=key.agent,
                request=request,
                request_sha256=request.model_dump_json().encode(),
                proof=None,
                terms=TERMS,
                active_agents=2,
                fresh_incarnation="1" * 32,
            ),
        )
        file.keep(key, ruled.books)
        for campaign, account in ruled.books.accounts.items():
            was = before.accounts.get(campaign, Account())
            assert account.granted.covers(was.granted)
            assert account.returned.covers(was.returned)
            assert account.used.covers(was.used)
            assert account.granted.covers(account.returned)
        for campaign in CAMPAIGNS:
            leases = [accounts[campaign] for accounts in file.accounts.values() if campaign in accounts]
            outstanding = file.outstanding.get(campaign, NOTHING)
            assert sum((lease.outstanding for lease in leases), NOTHING) == outstanding
            assert BUDGET.covers(outstanding)
        assert not file.is_fenced
