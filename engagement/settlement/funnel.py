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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import repeat
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from engagement.campaign.model import Campaign
from engagement.clock.moment import from_ms
from engagement.ids import BeaconName, CampaignId, LocalDay
from engagement.journal.event import (
    ConsentGiven,
    CouponIssued,
    CouponRedeemed,
    Event,
    Played,
    PresenceChanged,
    RedemptionRefused,
    RedemptionUndone,
)
from engagement.journal.event_columns import EventColumns

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


# What each event adds: to which measure, which of its fields (1 where none is named), and with which sign.
_ADDENDS: Final[Mapping[type[Event], Sequence[tuple[Measure, str | None, int]]]] = {
    CouponIssued: ((Measure.CLAIMED, None, 1), (Measure.CLAIMED_MINOR, "liability_minor", 1)),
    CouponRedeemed: ((Measure.REDEEMED, None, 1), (Measure.REDEEMED_MINOR, "discount_minor", 1)),
    RedemptionUndone: ((Measure.REDEEMED, None, -1), (Measure.REDEEMED_MINOR, "discount_minor", -1)),
    Played: ((Measure.PLAYED, None, 1), (Measure.WON, "won", 1)),
    ConsentGiven: ((Measure.CONSENTED, None, 1),),
    RedemptionRefused: ((Measure.REFUSED, None, 1),),
}
# Changes of a tag's presence that are counted.
_STAGES: Final = ("enter", "dwell")


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


def count(events: Iterable[EventColumns], days: "Days") -> Counts:
    """Add up events of one branch, in any order and grouping; ``days``: of the branch's time zone."""
    sums: Counter[CountKey] = Counter()
    tags: set[TagSeen] = set()
    for each in events:
        if each.kind is PresenceChanged:
            seen = zip(days.of_all(each.wall_ms), each.fields["change"], each.fields["beacon"], strict=True)
            tags.update(TagSeen(*one) for one in set(seen) if one[1] in _STAGES)
        else:
            _add(sums, each, days)
    return Counts(_without_zeros(sums), frozenset(tags))


def _add(sums: "Counter[CountKey]", each: EventColumns, days: "Days") -> None:
    addends = _ADDENDS.get(each.kind, ())
    if not addends:
        return
    campaigns = each.fields.get("campaign") or repeat(None, len(each.seqs))
    places = [*zip(days.of_all(each.wall_ms), campaigns, strict=True)]
    for measure, field_name, sign in addends:
        found: Counter[tuple[LocalDay, CampaignId | None]] = Counter()
        if field_name is None:
            found.update(places)
        else:
            for place, number in zip(places, each.fields[field_name], strict=True):
                found[place] += number
        for (day, campaign), number in found.items():
            sums[CountKey(day, campaign, measure)] += sign * number


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
        return self.of_all((instant_ms,))[0]

    def of_all(self, instants_ms: Sequence[int]) -> Sequence[LocalDay]:
        quarters = [instant_ms // _QUARTER_MS for instant_ms in instants_ms]
        for quarter in {*quarters} - self._known.keys():
            day = from_ms(quarter * _QUARTER_MS).astimezone(self._zone).date()
            self._known[quarter] = LocalDay(day.isoformat())
        return [*map(self._known.__getitem__, quarters)]


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


def _without_zeros(sums: Mapping[CountKey, int]) -> Mapping[CountKey, int]:
    return {key: number for key, number in sums.items() if number}
