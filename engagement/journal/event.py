"""Every event that an agent journals, with its lane.

Money events are never shed; engagement feeds the funnel; telemetry is the first to go when a disk fills.
A visitor stands in an event only as a subject tag that differs per campaign, or as a pseudonym.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, get_args

from pydantic import Field

from engagement.clock.moment import Moment
from engagement.ids import (
    BeaconName,
    CampaignId,
    CashierName,
    CouponId,
    OrderId,
    RedemptionId,
    SubjectId,
    TillName,
    VisitorId,
    ZoneName,
)
from engagement.values import Value


class Lane(StrEnum):
    MONEY = "money"
    ENGAGEMENT = "engagement"
    TELEMETRY = "telemetry"


class Event(Value):
    """The part common to all: which lane it belongs to, and when it was decided."""

    lane: ClassVar[Lane]
    what: str
    moment: Moment


class CouponIssued(Event):
    lane: ClassVar[Lane] = Lane.MONEY
    what: Literal["coupon_issued"] = "coupon_issued"
    coupon: CouponId
    campaign: CampaignId
    edition: int
    subject: SubjectId
    liability_minor: int
    currency: str
    not_after_ms: int


class CouponRedeemed(Event):
    lane: ClassVar[Lane] = Lane.MONEY
    what: Literal["coupon_redeemed"] = "coupon_redeemed"
    coupon: CouponId
    campaign: CampaignId
    redemption: RedemptionId
    order: OrderId
    till: TillName
    cashier: CashierName
    basket_minor: int
    discount_minor: int
    currency: str


class RedemptionUndone(Event):
    lane: ClassVar[Lane] = Lane.MONEY
    what: Literal["redemption_undone"] = "redemption_undone"
    coupon: CouponId
    campaign: CampaignId
    redemption: RedemptionId
    till: TillName
    cashier: CashierName
    discount_minor: int
    currency: str


class CampaignStopped(Event):
    lane: ClassVar[Lane] = Lane.MONEY
    what: Literal["campaign_stopped"] = "campaign_stopped"
    campaign: CampaignId
    by: str
    honour_issued: bool


class OrderRecorded(Event):
    lane: ClassVar[Lane] = Lane.MONEY
    what: Literal["order_recorded"] = "order_recorded"
    order: OrderId
    till: TillName
    cashier: CashierName
    basket_minor: int
    discount_minor: int
    currency: str


class RedemptionRefused(Event):
    """An attempt that was refused. Not money: nothing moved, and a flood of bad codes must be sheddable."""

    lane: ClassVar[Lane] = Lane.ENGAGEMENT
    what: Literal["redemption_refused"] = "redemption_refused"
    reason: str
    till: TillName
    coupon: CouponId | None


class ConsentGiven(Event):
    lane: ClassVar[Lane] = Lane.ENGAGEMENT
    what: Literal["consent_given"] = "consent_given"
    visitor: VisitorId
    analytics: bool
    marketing: bool
    language: str
    text_sha256: str


class Played(Event):
    lane: ClassVar[Lane] = Lane.ENGAGEMENT
    what: Literal["played"] = "played"
    campaign: CampaignId
    subject: SubjectId
    play: int
    won: bool


class MemberLinked(Event):
    lane: ClassVar[Lane] = Lane.ENGAGEMENT
    what: Literal["member_linked"] = "member_linked"
    visitor: VisitorId


class PresenceChanged(Event):
    lane: ClassVar[Lane] = Lane.ENGAGEMENT
    what: Literal["presence_changed"] = "presence_changed"
    beacon: BeaconName
    change: Literal["enter", "dwell", "leave", "zone"]
    zone: ZoneName | None
    dwell_s: float


class HealthChanged(Event):
    lane: ClassVar[Lane] = Lane.TELEMETRY
    what: Literal["health_changed"] = "health_changed"
    status: Literal["ok", "degraded", "failing"]
    issues: tuple[str, ...]


AnyEvent = Annotated[
    CouponIssued
    | CouponRedeemed
    | RedemptionUndone
    | CampaignStopped
    | OrderRecorded
    | RedemptionRefused
    | ConsentGiven
    | Played
    | MemberLinked
    | PresenceChanged
    | HealthChanged,
    Field(discriminator="what"),
]

# By the word that stands in ``what``.
KINDS: Final[Mapping[str, type[Event]]] = {
    kind.model_fields["what"].default: kind for kind in get_args(get_args(AnyEvent)[0])
}
