"""When a campaign runs, and what the kill switch does."""

import pytest

from engagement.campaign.state import CampaignState, StopRecord, campaign_state, stop_key, stop_rule
from engagement.clock.moment import Moment, to_ms
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger
from tests.fakes.shop import MINUTE_MS, NOON_MS, moment

CAMPAIGN = shop.campaign()
OPENS_MS = to_ms(CAMPAIGN.window.opens_at)
ENDS_MS = to_ms(CAMPAIGN.window.ends_at)


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (moment(OPENS_MS - 1), CampaignState.SCHEDULED),
        (moment(OPENS_MS), CampaignState.RUNNING),
        (moment(ENDS_MS), CampaignState.RUNNING),
        (moment(ENDS_MS + 1), CampaignState.ENDED),
        # Within what the clock may be off, it runs.
        (moment(OPENS_MS - 1000, error_ms=1000), CampaignState.RUNNING),
        (moment(ENDS_MS + 1000, error_ms=1000), CampaignState.RUNNING),
        (moment(ENDS_MS + 1001, error_ms=1000), CampaignState.ENDED),
    ],
)
def test_a_campaign_runs_in_its_window(now: Moment, state: CampaignState) -> None:
    assert campaign_state(CAMPAIGN, None, now) is state


def stop(ledger: DictLedger, *, honour_issued: bool, by: str = "boss", at_ms: int = NOON_MS) -> StopRecord:
    rule = stop_rule(CAMPAIGN.id, by=by, honour_issued=honour_issued, now=moment(at_ms))
    return ledger.decide([stop_key(CAMPAIGN.id)], rule)


def test_a_stop_outranks_the_window_and_is_journaled_once() -> None:
    ledger = DictLedger()
    first = stop(ledger, honour_issued=False)
    assert stop(ledger, honour_issued=False, by="other", at_ms=NOON_MS + MINUTE_MS) == first
    assert [event.what for event in ledger.events] == ["campaign_stopped"]
    for now_ms in (OPENS_MS - 1, NOON_MS, ENDS_MS + 1):
        assert campaign_state(CAMPAIGN, first, moment(now_ms)) is CampaignState.STOPPED


def test_a_full_stop_outranks_one_that_honours_coupons_and_is_never_softened() -> None:
    ledger = DictLedger()
    assert stop(ledger, honour_issued=True).honour_issued is True
    assert stop(ledger, honour_issued=False).honour_issued is False
    assert stop(ledger, honour_issued=True).honour_issued is False
    assert len(ledger.events) == 2
