"""Who gets a coupon, who does not and why, and what one coupon costs the budget."""

import pytest

from engagement.campaign.model import Campaign
from engagement.campaign.state import stop_key, stop_rule
from engagement.campaign.tally import campaign_tally_key
from engagement.clock.moment import Moment
from engagement.coupon.code import SignedCode, read_code
from engagement.coupon.coupon import CouponRecord, Standing, edition_key, serial_of, standing
from engagement.coupon.serials import SERIAL_KEY, SerialRecord
from engagement.coupon.token import MINUTE_ZERO_MS, minute_start_ms
from engagement.ids import SubjectId
from engagement.ledger.record import Ruling
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.sheet import sheet_key
from engagement.visitor.visitor import wallet_key
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import ANNA, BERT, DAY_MS, HOUR_MS, MINUTE_MS, NOON_MS, TODAY, issued, moment


@pytest.fixture
def ledger() -> DictLedger:
    return DictLedger()


def reason(answer: object) -> Reason:
    assert isinstance(answer, Refusal), answer
    return answer.reason


def people(count: int) -> list[SubjectId]:
    return [SubjectId(f"v:{number}") for number in range(count)]


def test_a_coupon_states_its_terms_in_its_code(ledger: DictLedger) -> None:
    now = moment(NOON_MS + 12_345)
    coupon = issued(shop.give(ledger, now=now))
    code = read_code(coupon.code)
    assert isinstance(code, SignedCode)
    body = code.body
    assert (body.agent_number, body.lease_number, body.serial) == (shop.AGENT_NUMBER, shop.LEASE_NUMBER, 1)
    assert (body.kind, body.value, body.min_spend_minor) == ("cash", 2000, 10_000)
    assert (body.campaign_number, body.edition) == (3, 1)
    assert minute_start_ms(body.not_before_min) == NOON_MS, "the minute it was issued in"
    assert minute_start_ms(body.not_after_min) == NOON_MS + 7 * DAY_MS
    assert (coupon.not_before_ms, coupon.not_after_ms) == (NOON_MS, NOON_MS + 7 * DAY_MS + MINUTE_MS - 1)
    assert serial_of(coupon.coupon) == coupon.serial


def test_everything_that_a_coupon_changes_changes_with_it(ledger: DictLedger) -> None:
    coupon = issued(shop.give(ledger))
    tally = ledger.get(campaign_tally_key(coupon.campaign))
    sheet = ledger.get(sheet_key(TODAY, coupon.campaign))
    wallet = ledger.get(wallet_key(ANNA))
    edition = ledger.get(edition_key(coupon.campaign, coupon.edition))
    assert tally is not None
    assert (tally.units, tally.units_today, tally.spend_minor) == (1, 1, 2000)
    assert sheet is not None
    assert (sheet.issued, sheet.issued_minor) == (1, 2000)
    assert wallet is not None
    assert wallet.serials == (coupon.serial,)
    assert edition is not None
    assert edition.campaign == shop.campaign()
    assert [event.what for event in ledger.events] == ["coupon_issued"]


def test_a_refusal_changes_nothing(ledger: DictLedger) -> None:
    issued(shop.give(ledger))
    before, events = dict(ledger.rows), len(ledger.events)
    assert reason(shop.give(ledger)) is Reason.LIMIT_REACHED
    assert (ledger.rows, len(ledger.events)) == (before, events)


def test_a_campaigns_units_run_out_for_all(ledger: DictLedger) -> None:
    two = shop.campaign(budget={"units": 2, "spend_minor": 4000})
    assert [type(shop.give(ledger, person, of=two)) for person in people(2)] == [CouponRecord] * 2
    assert reason(shop.give(ledger, ANNA, of=two)) is Reason.SOLD_OUT


def test_a_campaigns_money_counts_the_worst_case_of_every_edition(ledger: DictLedger) -> None:
    first = shop.campaign(budget={"units": 2, "spend_minor": 4000})
    dearer = shop.campaign(
        edition=2,
        offer={"kind": "percent", "off_bps": 1000, "cap_minor": 3000},
        budget={"units": 2, "spend_minor": 6000},
    )
    anna, bert, carl = people(3)
    issued(shop.give(ledger, anna, of=first))
    issued(shop.give(ledger, bert, of=dearer))
    tally = ledger.get(campaign_tally_key(dearer.id))
    assert tally is not None
    assert tally.spend_minor == 5000
    assert reason(shop.give(ledger, carl, of=dearer)) is Reason.SOLD_OUT


def test_the_day_has_a_share_of_its_own(ledger: DictLedger) -> None:
    slow = shop.campaign(budget={"units": 10, "spend_minor": 20_000, "units_per_day": 1})
    anna, bert, carl = people(3)
    issued(shop.give(ledger, anna, of=slow))
    assert reason(shop.give(ledger, bert, of=slow)) is Reason.SOLD_OUT
    tomorrow = moment(NOON_MS + DAY_MS)
    issued(shop.give(ledger, bert, of=slow, now=tomorrow))
    assert reason(shop.give(ledger, carl, of=slow)) is Reason.SOLD_OUT, "the clock was set back"
    assert reason(shop.give(ledger, carl, of=slow, now=tomorrow)) is Reason.SOLD_OUT


def test_a_person_has_limits_in_all_and_by_the_day(ledger: DictLedger) -> None:
    two = shop.campaign(limits={"issue": 2, "issue_per_day": 1})
    issued(shop.give(ledger, of=two))
    assert reason(shop.give(ledger, of=two)) is Reason.LIMIT_REACHED
    issued(shop.give(ledger, BERT, of=two))
    issued(shop.give(ledger, of=two, now=moment(NOON_MS + DAY_MS)))
    assert reason(shop.give(ledger, of=two, now=moment(NOON_MS + 2 * DAY_MS))) is Reason.LIMIT_REACHED


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (moment(NOON_MS - 11 * DAY_MS), Reason.NOT_RUNNING),
        (moment(NOON_MS + 11 * DAY_MS), Reason.NOT_RUNNING),
        # A clock that lost its battery: no coupon can state such a time, however little the clock is trusted.
        (moment(MINUTE_ZERO_MS - 1, error_ms=5 * 365 * DAY_MS), Reason.NOT_RUNNING),
        (moment(0, error_ms=100 * 365 * DAY_MS), Reason.NOT_RUNNING),
        (moment(MINUTE_ZERO_MS + 2**24 * MINUTE_MS - 1, error_ms=100 * 365 * DAY_MS), Reason.NOT_RUNNING),
    ],
)
def test_nothing_is_issued_outside_the_window_or_by_an_impossible_clock(
    ledger: DictLedger, now: Moment, why: Reason
) -> None:
    assert reason(shop.give(ledger, now=now)) is why


def test_a_stop_stops_issuing_also_where_it_honours_what_was_issued(ledger: DictLedger) -> None:
    campaign = shop.campaign()
    rule = stop_rule(campaign.id, by="boss", honour_issued=True, now=moment())
    ledger.decide([stop_key(campaign.id)], rule)
    assert reason(shop.give(ledger)) is Reason.CAMPAIGN_STOPPED


def test_the_last_serial_is_the_last_coupon(ledger: DictLedger) -> None:
    last = SerialRecord(id=SERIAL_KEY.id, next=999_999, free_until=1_000_000)
    ledger.decide([SERIAL_KEY], lambda rows: Ruling(None, writes=(last,)))
    coupon = issued(shop.give(ledger))
    assert coupon.serial == 999_999
    assert reason(shop.give(ledger, BERT)) is Reason.SOLD_OUT


def test_a_coupon_is_usable_at_once_even_if_the_clock_was_ahead_by_its_error(ledger: DictLedger) -> None:
    ahead = moment(NOON_MS + HOUR_MS, error_ms=HOUR_MS)
    coupon = issued(shop.give(ledger, now=ahead))
    corrected = moment(NOON_MS, ran_ms=HOUR_MS)
    assert standing(coupon, corrected) is Standing.ACTIVE


def test_campaigns_do_not_share_limits_but_share_serials(ledger: DictLedger) -> None:
    other: Campaign = shop.campaign(id="other", number=9)
    first, second = issued(shop.give(ledger)), issued(shop.give(ledger, of=other))
    assert (first.serial, second.serial) == (1, 2)
    assert first.code != second.code


def test_a_subjects_tag_is_the_same_within_a_campaign_and_another_one_elsewhere(ledger: DictLedger) -> None:
    twice = shop.campaign(limits={"issue": 2, "issue_per_day": 2})
    other = shop.campaign(id="other", number=9)
    tags = []
    for campaign, who in ((twice, ANNA), (twice, ANNA), (other, ANNA), (twice, BERT)):
        code = read_code(issued(shop.give(ledger, who, of=campaign)).code)
        assert isinstance(code, SignedCode)
        tags.append(code.body.subject_tag)
    assert tags[0] == tags[1]
    assert len(set(tags)) == 3
