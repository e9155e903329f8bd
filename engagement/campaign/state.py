"""Whether a campaign runs in a branch now: its window, and the kill switch."""

from enum import StrEnum
from typing import ClassVar

from engagement.campaign.model import Campaign
from engagement.clock.moment import Moment, to_ms
from engagement.ids import CampaignId
from engagement.journal.event import CampaignStopped
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling


class CampaignState(StrEnum):
    SCHEDULED = "scheduled"
    RUNNING = "running"
    ENDED = "ended"
    STOPPED = "stopped"


class StopRecord(Record):
    """That a campaign was stopped in this branch. ``honour_issued``: coupons already given are still redeemed."""

    kind: ClassVar[str] = "stop"
    stopped_ms: int
    by: str
    honour_issued: bool


def stop_key(campaign: CampaignId) -> Key[StopRecord]:
    return Key(StopRecord, campaign)


def campaign_state(campaign: Campaign, stop: StopRecord | None, now: Moment) -> CampaignState:
    """Stopped outranks the window; within the clock's error a campaign counts as running."""
    if stop is not None:
        return CampaignState.STOPPED
    if now.is_certainly_before(to_ms(campaign.window.opens_at)):
        return CampaignState.SCHEDULED
    if now.is_certainly_after(to_ms(campaign.window.ends_at)):
        return CampaignState.ENDED
    return CampaignState.RUNNING


def stop_rule(campaign: CampaignId, *, by: str, honour_issued: bool, now: Moment) -> Rule[StopRecord]:
    """Stop a campaign; asking again changes nothing, except that a full stop outranks one that honours coupons."""

    def rule(rows: Rows) -> Ruling[StopRecord]:
        before = rows.get(stop_key(campaign))
        if before is not None and (honour_issued or not before.honour_issued):
            return Ruling(before)
        stop = StopRecord(id=campaign, stopped_ms=now.wall_ms, by=by, honour_issued=honour_issued)
        event = CampaignStopped(moment=now, campaign=campaign, by=by, honour_issued=honour_issued)
        return Ruling(stop, writes=(stop,), events=(event,))

    return rule
