"""The funnel of each campaign and day: detected, shown, claimed, redeemed. The formulas, and nothing else.

An event belongs to the day that its own wall clock read in the branch's time zone. Per trigger:

    welcome       detected and shown: consents given, each of which is answered with the offers
    shake         detected: consents given; shown: plays of the campaign
    welcome_back  detected: tags that entered, each once a day; shown: tags that stayed long enough for a dwell
    all           claimed: coupons issued; redeemed: redemptions less those undone, on the day of the undoing

What agents do not journal (phones that only knocked, pages looked at) is not guessed at. Detections belong to the branch,
so two campaigns with one trigger share them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engagement.campaign.model import Campaign
from engagement.clock.moment import from_ms
from engagement.ids import BeaconName, CampaignId, LocalDay
from engagement.journal.event import (
    AnyEvent,
    ConsentGiven,
    CouponIssued,
    CouponRedeemed,
    Played,
    PresenceChanged,
    RedemptionRefused,
    RedemptionUndone,
)

# Time zones change their offset on quarters of an hour.
_QUARTER_MS = 15 * 60_000


class Measure(StrEnum):
    """What is added up. Those in minor units end in ``_minor``."""

    CONSENTED = "consented"
    REFUSED = "refused"
    PLAYED = "played"
    WON = "won"
    CLAIMED = "claimed"
    CLAIMED_MINOR = "claimed_minor"
    REDEEMED = "redeemed"
    REDEEMED_MINOR = "redeemed_minor"


class CountKey(NamedTuple):
    """``campaign`` is None for what belongs to the branch."""

    day: LocalDay
    campaign: CampaignId | None
    measure: Measure


class TagSeen(NamedTuple):
    """That a tag entered, or stayed long enough, at least once on a day."""

    day: LocalDay
    stage: str
    beacon: BeaconName


@dataclass(frozen=True)
class Counts:
    """What a branch's events come to. Two of the same branch merge; no sum is 0."""

    sums: Mapping[CountKey, int] = field(default_factory=dict)
    tags: frozenset[TagSeen] = frozenset()


class SumKey(NamedTuple):
    """As CountKey, over all days."""

    campaign: CampaignId | None
    measure: Measure


@dataclass(frozen=True)
class Totals:
    """Counts of any days and branches, as a report needs them. ``stages``: how often tags came so far, a day each."""

    sums: Mapping[SumKey, int]
    stages: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FunnelLine:
    """One campaign over the days asked for; amounts in minor units of the campaign's currency."""

    campaign: CampaignId
    detected: int
    shown: int
    claimed: int
    redeemed: int
    won: int
    claimed_minor: int
    redeemed_minor: int


def count(events: Iterable[AnyEvent], days: "Days") -> Counts:
    """Add up events of one branch, in any order; ``days``: of the branch's time zone."""
    sums: dict[tuple[LocalDay, CampaignId | None, Measure], int] = {}
    tags: set[TagSeen] = set()
    for event in events:
        day = days.of(event.moment.wall_ms)
        if isinstance(event, PresenceChanged):
            if event.change in ("enter", "dwell"):
                tags.add(TagSeen(day, event.change, event.beacon))
            continue
        for campaign, measure, number in _addends(event):
            key = (day, campaign, measure)
            sums[key] = sums.get(key, 0) + number
    named = {CountKey(*key): number for key, number in sums.items()}
    return Counts(_without_zeros(named), frozenset(tags))


def merge(one: Counts, other: Counts) -> Counts:
    """The counts of both together: any grouping and any order gives the same."""
    sums = Counter(one.sums)
    for key, number in other.sums.items():
        sums[key] += number
    return Counts(_without_zeros(sums), one.tags | other.tags)


class Days:
    """Local days of one time zone; remembers them, because batches are of one day mostly."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._known: dict[int, LocalDay] = {}

    def of(self, instant_ms: int) -> LocalDay:
        quarter = instant_ms // _QUARTER_MS
        day = self._known.get(quarter)
        if day is None:
            day = LocalDay(from_ms(quarter * _QUARTER_MS).astimezone(self._zone).date().isoformat())
            self._known[quarter] = day
        return day


def total(branches: Iterable[Counts]) -> Totals:
    """Over all days and branches; a tag that came on two days, or to two branches, counts twice."""
    sums: Counter[SumKey] = Counter()
    stages: Counter[str] = Counter()
    for counts in branches:
        for (_, campaign, measure), number in counts.sums.items():
            sums[SumKey(campaign, measure)] += number
        stages.update(tag.stage for tag in counts.tags)
    return Totals(sums, stages)


def funnel(campaigns: Iterable[Campaign], totals: Totals) -> tuple[FunnelLine, ...]:
    """One line per campaign, in their order."""
    return tuple(_line(campaign, totals) for campaign in campaigns)


def _line(campaign: Campaign, totals: Totals) -> FunnelLine:
    def summed(measure: Measure, of: CampaignId | None = campaign.id) -> int:
        return totals.sums.get(SumKey(of, measure), 0)

    consented = summed(Measure.CONSENTED, None)
    detected, shown = {
        "welcome": (consented, consented),
        "shake": (consented, summed(Measure.PLAYED)),
        "welcome_back": (totals.stages.get("enter", 0), totals.stages.get("dwell", 0)),
    }[campaign.trigger.on]
    return FunnelLine(
        campaign=campaign.id,
        detected=detected,
        shown=shown,
        claimed=summed(Measure.CLAIMED),
        redeemed=summed(Measure.REDEEMED),
        won=summed(Measure.WON),
        claimed_minor=summed(Measure.CLAIMED_MINOR),
        redeemed_minor=summed(Measure.REDEEMED_MINOR),
    )


def _addends(event: AnyEvent) -> tuple[tuple[CampaignId | None, Measure, int], ...]:
    match event:
        case CouponIssued():
            return (
                (event.campaign, Measure.CLAIMED, 1),
                (event.campaign, Measure.CLAIMED_MINOR, event.liability_minor),
            )
        case CouponRedeemed():
            return (
                (event.campaign, Measure.REDEEMED, 1),
                (event.campaign, Measure.REDEEMED_MINOR, event.discount_minor),
            )
        case RedemptionUndone():
            return (
                (event.campaign, Measure.REDEEMED, -1),
                (event.campaign, Measure.REDEEMED_MINOR, -event.discount_minor),
            )
        case Played():
            return (
                (event.campaign, Measure.PLAYED, 1),
                (event.campaign, Measure.WON, int(event.won)),
            )
        case ConsentGiven():
            return ((None, Measure.CONSENTED, 1),)
        case RedemptionRefused():
            return ((None, Measure.REFUSED, 1),)
        case _:
            return ()


def _without_zeros(sums: Mapping[CountKey, int]) -> Mapping[CountKey, int]:
    return {key: number for key, number in sums.items() if number}
