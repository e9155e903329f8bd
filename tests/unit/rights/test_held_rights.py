"""An agent gives out what it was granted and no more, whatever its own budget says; and asks, returns and fences itself."""

import pytest

from engagement.campaign.issue import LeaseShort
from engagement.campaign.state import CampaignState, stop_key, stop_rule
from engagement.campaign.tally import CampaignTally, campaign_tally_key
from engagement.coupon.coupon import CouponRecord
from engagement.ids import CampaignId
from engagement.ledger.record import Ruling
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.lease import LeaseAccount
from engagement.rights.messages import ACCOUNTS_MAX
from tests.fakes import shop
from tests.fakes.held_rights import Holder, coupons, told
from tests.fakes.shop import DAY_MS, NOON_MS, moment

WELCOME = shop.campaign()
OTHER = shop.campaign(id="other", number=9)


@pytest.fixture
def holder() -> Holder:
    return Holder()


def reason(answer: object) -> Reason:
    assert isinstance(answer, Refusal), answer
    return answer.reason


# Giving out.


def test_without_a_lease_nothing_is_given_out(holder: Holder) -> None:
    assert isinstance(holder.give(), LeaseShort)
    holder.request()
    assert reason(holder.give()) is Reason.SOLD_OUT
    assert holder.ledger.events == []


def test_what_was_granted_is_given_out_and_not_one_more(holder: Holder) -> None:
    holder.hold(3)
    assert [type(holder.give()) for _ in range(5)] == [CouponRecord] * 3 + [LeaseShort] * 2
    assert holder.account().used(holder.tally) == coupons(3)


def test_the_lease_outranks_the_campaigns_own_budget() -> None:
    tiny = shop.campaign(budget={"units": 1, "spend_minor": 2000})
    holder = Holder((tiny,))
    holder.hold(3)
    holder.sell(3, of=tiny)
    assert isinstance(holder.give(of=tiny), LeaseShort)


def test_a_lease_covers_units_and_money_alike(holder: Holder) -> None:
    holder.take(holder.request(), {WELCOME.id: Amount(units=9, minor=4000)})
    holder.sell(2)
    assert isinstance(holder.give(), LeaseShort)
    assert holder.account().left(holder.tally) == Amount(units=7)
    assert holder.holding().coupons_left == 0


def test_what_hq_cannot_mend_is_said_for_what_it_is() -> None:
    slow = shop.campaign(budget={"units": 10, "spend_minor": 20_000, "units_per_day": 1})
    holder = Holder((slow,))
    holder.hold(1)
    holder.sell(1, of=slow)
    answer = holder.give(of=slow)
    assert reason(answer) is Reason.SOLD_OUT
    assert not isinstance(answer, LeaseShort), "more rights do not lengthen the day"


def test_who_is_at_the_limit_is_told_so_and_waits_for_no_rights(holder: Holder) -> None:
    holder.hold(1)
    shop.issued(holder.give(to=shop.ANNA))
    assert reason(holder.give(to=shop.ANNA)) is Reason.LIMIT_REACHED


# Before, without and beside a lease.


def test_what_was_given_out_before_the_lease_began_does_not_count_on_it(holder: Holder) -> None:
    for _ in range(4):
        shop.issued(holder.give(is_leased=False))
    asked = told(holder.request())
    assert (asked.granted, asked.used) == (NOTHING, NOTHING)
    holder.hold(2)
    holder.sell(2)
    assert isinstance(holder.give(), LeaseShort)
    assert told(holder.request()).used == coupons(2)


def test_what_is_given_out_without_drawing_on_a_lease_does_not_count_on_it(holder: Holder) -> None:
    holder.hold(2)
    holder.sell(1)
    for _ in range(3):
        shop.issued(holder.give(is_leased=False))
    assert told(holder.request()).used == coupons(1)
    holder.sell(1)
    assert isinstance(holder.give(), LeaseShort)


def test_a_store_without_hq_keeps_no_account(holder: Holder) -> None:
    shop.issued(holder.give(is_leased=False))
    assert holder.ledger.all_of(LeaseAccount) == []


# Asking and taking.


def test_every_request_has_the_next_number_and_tells_everything(holder: Holder) -> None:
    first = holder.request()
    assert (first.number, first.epoch, first.grant) == (1, "00000000000000aa", "")
    assert told(first).wanted_units >= 1
    assert holder.take(first, {WELCOME.id: coupons(5)}) == {WELCOME.id}
    holder.sell(2)
    second = holder.request()
    assert (second.number, second.grant) == (2, "sealed 1")
    assert (told(second).granted, told(second).used) == (coupons(5), coupons(2))


def test_a_number_that_a_crash_left_unsent_is_not_used_again(holder: Holder) -> None:
    holder.request()
    assert holder.request().number == 2


def test_a_grant_counts_once_and_totals_never_sink(holder: Holder) -> None:
    request = holder.request()
    assert holder.take(request, {WELCOME.id: coupons(5)}) == {WELCOME.id}
    assert holder.take(request, {WELCOME.id: coupons(5)}) == frozenset()
    assert holder.take(request, {WELCOME.id: coupons(3)}) == frozenset()
    assert holder.account().granted == coupons(5)


def test_an_answer_to_an_older_request_is_of_no_use(holder: Holder) -> None:
    old = holder.request()
    new = holder.request()
    assert holder.take(old, {WELCOME.id: coupons(5)}) == frozenset()
    assert holder.take(new, {WELCOME.id: coupons(5)}, number=old.number) == frozenset()
    assert holder.account().granted == NOTHING


def test_a_campaign_that_was_never_asked_for_is_not_begun_by_a_grant(holder: Holder) -> None:
    request = holder.request()
    holder.take(request, {WELCOME.id: coupons(5), OTHER.id: coupons(7)})
    assert [account.id for account in holder.ledger.all_of(LeaseAccount)] == [WELCOME.id]


def test_what_hq_has_taken_back_is_gone_here_too(holder: Holder) -> None:
    request = holder.request()
    holder.take(request, {WELCOME.id: coupons(5)}, returned={WELCOME.id: coupons(4)})
    holder.sell(1)
    assert isinstance(holder.give(), LeaseShort)


def test_old_rows_of_a_lease_open(holder: Holder) -> None:
    old = LeaseAccount.model_validate_json('{"id": "welcome"}')
    holder.ledger.decide([], lambda rows: Ruling(None, writes=(old,)))
    holder.hold(1)
    holder.sell(1)


# How many.


def test_a_lease_is_low_below_half_of_the_last_top_up(holder: Holder) -> None:
    holder.hold(10)
    assert told(holder.request()).wanted_units == 0
    holder.sell(5)
    assert not holder.holding().is_low or holder.holding().forecast > 10
    holder.sell(1)
    assert holder.holding().is_low


def test_a_lease_is_low_below_half_of_what_a_busy_day_may_ask_for() -> None:
    tally = CampaignTally(id="welcome", units=100, spend_minor=0, day=shop.TODAY, units_today=40)
    holder = Holder()
    holder.ledger.decide([], lambda rows: Ruling(None, writes=(tally,)))
    holder.hold(80)
    assert not holder.holding().is_low
    assert holder.holding().forecast == 80
    holder.now = moment(NOON_MS + DAY_MS)
    assert holder.holding().forecast == 80, "yesterday counts as well"
    holder.now = moment()
    holder.sell(25)
    assert holder.holding().is_low
    assert told(holder.request()).wanted_units == 2 * 65 - 55


@pytest.mark.parametrize(
    ("granted", "today", "other_day"), [(10, 0, 0), (1, 0, 0), (50, 9, 31), (0, 3, 3), (40, 40, 0)]
)
def test_how_many_may_go_before_it_is_low(granted: int, today: int, other_day: int) -> None:
    holder = Holder()
    tally = CampaignTally(
        id="welcome", units=99, day=shop.TODAY, units_today=today, units_other_day=other_day
    )
    holder.ledger.decide([], lambda rows: Ruling(None, writes=(tally,)))
    holder.hold(granted)
    until_low = holder.holding().coupons_until_low
    for _ in range(until_low):
        assert not holder.holding().is_low
        holder.sell(1)
    assert holder.holding().is_low
    assert holder.holding().coupons_until_low == 0


def test_shoppers_who_wait_are_asked_for(holder: Holder) -> None:
    holder.hold(1)
    holder.sell(1)
    assert told(holder.request({WELCOME.id: 200})).wanted_units == 200


# Giving back.


def test_everything_of_a_stopped_campaign_goes_back_and_is_given_out_no_more(holder: Holder) -> None:
    holder.hold(5)
    holder.sell(2)
    stop = stop_rule(WELCOME.id, by="boss", honour_issued=True, now=holder.now)
    holder.ledger.decide([stop_key(WELCOME.id)], stop)
    assert holder.holding().state is CampaignState.STOPPED
    request = holder.request()
    assert (told(request).returned, told(request).wanted_units) == (coupons(3), 0)
    assert holder.account().left(holder.tally) == NOTHING


def test_an_ended_campaign_and_one_that_left_the_bundle_go_back(holder: Holder) -> None:
    holder.campaigns = (WELCOME, OTHER)
    request = holder.request()
    holder.take(request, {WELCOME.id: coupons(5), OTHER.id: coupons(6)})
    holder.campaigns = (WELCOME,)
    holder.now = moment(NOON_MS + 11 * DAY_MS)
    request = holder.request()
    assert [told(request, each).returned for each in (WELCOME, OTHER)] == [coupons(5), coupons(6)]


def test_a_campaign_that_opens_later_is_leased_before(holder: Holder) -> None:
    holder.now = moment(NOON_MS - 11 * DAY_MS)
    assert holder.holding().state is CampaignState.SCHEDULED
    assert told(holder.request()).wanted_units >= 1


def test_a_settled_lease_is_told_once_and_goes_on_when_the_campaign_comes_back(holder: Holder) -> None:
    holder.hold(5)
    holder.sell(2)
    holder.campaigns = ()
    last = holder.request()
    assert told(last).returned == coupons(3)
    holder.take(last, {WELCOME.id: coupons(5)}, returned={WELCOME.id: coupons(3)})
    quiet = holder.request()
    assert quiet.accounts == ()
    holder.take(quiet, {WELCOME.id: coupons(5)}, returned={WELCOME.id: coupons(3)})
    assert holder.request().accounts == (), "what HQ repeats of it changes nothing"
    holder.campaigns = (WELCOME,)
    back = told(holder.request())
    assert (back.granted, back.returned, back.used) == (coupons(5), coupons(3), coupons(2))
    holder.hold(7)
    holder.sell(2)
    assert isinstance(holder.give(), LeaseShort)


def test_another_hq_is_told_of_settled_leases_too(holder: Holder) -> None:
    holder.hold(5)
    holder.campaigns = ()
    holder.take(holder.request(), {WELCOME.id: coupons(5)})
    request = holder.request()
    assert request.accounts == ()
    holder.take(request, {WELCOME.id: coupons(5)}, incarnation="2" * 32, is_fenced=True)
    assert holder.desk.is_hq_fenced
    assert told(holder.request()).returned == coupons(5)


def test_a_grant_that_came_after_the_end_goes_back_as_well(holder: Holder) -> None:
    holder.request()
    holder.campaigns = ()
    request = holder.request()
    holder.take(request, {WELCOME.id: coupons(5)})
    assert told(holder.request()).returned == coupons(5)


def test_recalled_rights_go_back_down_to_what_two_such_days_ask_for(holder: Holder) -> None:
    holder.hold(100)
    holder.sell(5)
    request = holder.request(recalled=[WELCOME.id])
    assert told(request).returned == coupons(95 - 20)
    assert told(request).wanted_units == 0
    assert not holder.holding().is_low, "what was given back is not asked for at once"
    assert told(holder.request(recalled=[WELCOME.id])).returned == coupons(75)


def test_a_quiet_store_keeps_a_little_when_rights_are_recalled(holder: Holder) -> None:
    holder.hold(100)
    holder.request(recalled=[WELCOME.id])
    assert holder.holding().coupons_left == 2


def test_what_is_beyond_a_budget_that_was_lowered_goes_back(holder: Holder) -> None:
    holder.hold(500)
    holder.sell(20)
    holder.campaigns = (shop.campaign(edition=2, budget={"units": 30, "spend_minor": 60_000}),)
    request = holder.request()
    assert told(request).returned == coupons(470)
    assert holder.holding().coupons_left == 10
    holder.campaigns = (shop.campaign(edition=3, budget={"units": 10, "spend_minor": 20_000}),)
    assert told(holder.request()).returned == coupons(480)
    assert isinstance(holder.give(), LeaseShort)


def test_a_budget_beyond_every_amount_takes_nothing_back(holder: Holder) -> None:
    holder.hold(5)
    holder.campaigns = (shop.campaign(edition=2, budget={"units": 30, "spend_minor": 10**18}),)
    assert told(holder.request()).returned == NOTHING
    assert holder.holding().coupons_left == 5


# Going back, and being given up.


def test_a_ledger_that_went_back_gives_nothing_out_and_asks_for_nothing(holder: Holder) -> None:
    holder.hold(5)
    asked = holder.request()
    holder.diverge()
    assert isinstance(holder.give(), LeaseShort)
    assert holder.next_request() is None
    assert holder.take(asked, {WELCOME.id: coupons(50)}) == frozenset()
    assert isinstance(holder.give(), LeaseShort)


def test_a_machine_that_was_given_up_returns_all_and_begins_anew(holder: Holder) -> None:
    holder.hold(5)
    holder.sell(2)
    holder.give_up()
    request = holder.request()
    assert told(request).wanted_units == 0
    assert told(request).returned.covers(coupons(1000)), "also what it never heard of"
    assert isinstance(holder.give(), LeaseShort)
    assert told(holder.request()).returned.covers(coupons(1000)), "until HQ has answered to it"
    # HQ had granted 9 in all: the answer to that was lost.
    last = holder.request()
    holder.take(last, {WELCOME.id: coupons(9)}, returned={WELCOME.id: coupons(7)})
    assert isinstance(holder.give(), LeaseShort)
    asked = told(holder.request())
    assert (asked.granted, asked.returned, asked.used) == (coupons(9), coupons(7), coupons(2))
    assert asked.wanted_units > 0
    holder.hold(12)
    holder.sell(3)
    assert isinstance(holder.give(), LeaseShort)


def test_a_request_never_has_more_accounts_than_hq_takes() -> None:
    many = tuple(shop.campaign(id=f"c{number}", number=number) for number in range(1, ACCOUNTS_MAX + 50))
    holder = Holder(many)
    holder.request()
    holder.campaigns = (many[-1], WELCOME)
    request = holder.request()
    assert len(request.accounts) == ACCOUNTS_MAX
    assert {CampaignId("welcome"), many[-1].id} <= {each.campaign for each in request.accounts[:2]}


def test_the_tally_of_the_lease_is_the_campaigns(holder: Holder) -> None:
    holder.hold(2)
    holder.sell(2)
    found = holder.ledger.get(campaign_tally_key(WELCOME.id))
    assert found is not None
    assert found.units == 2
