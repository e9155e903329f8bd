"""What happens in a store, as events: the least of each that the line and the funnel look at."""

from collections.abc import Iterable

from engagement.clock.moment import Moment
from engagement.ids import (
    BeaconName,
    CampaignId,
    CashierName,
    CouponId,
    OrderId,
    RedemptionId,
    TillName,
    VisitorId,
)
from engagement.journal.event import (
    ConsentGiven,
    CouponIssued,
    CouponRedeemed,
    Played,
    PresenceChanged,
    RedemptionUndone,
)
from tests.fakes import shop


def issued(
    serial: int = 1, *, of: str = "welcome", now: Moment | None = None, secret: str = "s"
) -> CouponIssued:
    now = now or shop.moment()
    return CouponIssued(
        moment=now,
        coupon=CouponId(f"{serial:06d}-{secret}"),
        campaign=CampaignId(of),
        edition=1,
        subject=shop.ANNA,
        liability_minor=2000,
        currency="CNY",
        not_after_ms=now.wall_ms + 7 * shop.DAY_MS,
    )


def redeemed(
    serial: int = 1, *, of: str = "welcome", now: Moment | None = None, secret: str = "s"
) -> CouponRedeemed:
    return CouponRedeemed(
        moment=now or shop.moment(),
        coupon=CouponId(f"{serial:06d}-{secret}"),
        campaign=CampaignId(of),
        redemption=RedemptionId(f"r{serial}"),
        order=OrderId(f"o{serial}"),
        till=TillName("till-1"),
        cashier=CashierName("Li"),
        basket_minor=12_345,
        discount_minor=2000,
        currency="CNY",
    )


def undone(
    serial: int = 1, *, of: str = "welcome", now: Moment | None = None, secret: str = "s"
) -> RedemptionUndone:
    return RedemptionUndone(
        moment=now or shop.moment(),
        coupon=CouponId(f"{serial:06d}-{secret}"),
        campaign=CampaignId(of),
        redemption=RedemptionId(f"r{serial}"),
        till=TillName("till-1"),
        cashier=CashierName("Li"),
        discount_minor=2000,
        currency="CNY",
    )


def consented(now: Moment | None = None) -> ConsentGiven:
    return ConsentGiven(
        moment=now or shop.moment(),
        visitor=VisitorId("anna"),
        analytics=False,
        marketing=False,
        language="en",
        text_sha256="00",
    )


def shaken(play: int = 1, *, won: bool = False, now: Moment | None = None) -> Played:
    return Played(
        moment=now or shop.moment(), campaign=CampaignId("shake"), subject=shop.ANNA, play=play, won=won
    )


def came(tag: str = "lin", *, stays: bool = False, now: Moment | None = None) -> PresenceChanged:
    return PresenceChanged(
        moment=now or shop.moment(),
        beacon=BeaconName(tag),
        change="dwell" if stays else "enter",
        zone=None,
        dwell_s=60.0 if stays else 0.0,
    )


def money(count: int, *, first: int = 1) -> Iterable[CouponIssued | CouponRedeemed]:
    """Issues and redemptions in turn."""
    for number in range(first, first + count):
        serial = (number + 1) // 2
        yield issued(serial) if number % 2 else redeemed(serial)
