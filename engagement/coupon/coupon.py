"""The coupon as its owner keeps it, with the terms it was issued under."""

from enum import StrEnum
from typing import ClassVar, Literal

from engagement.campaign.model import Campaign, Offer, Stacking
from engagement.clock.moment import Moment
from engagement.coupon.lifecycle import CouponState
from engagement.ids import (
    CampaignId,
    CashierName,
    CouponId,
    OrderId,
    RedemptionId,
    SubjectId,
    TillName,
)
from engagement.ledger.record import Key, Record
from engagement.values import Value

# A coupon that is redeemed, undone and redeemed again keeps its last steps; more is abuse, and the journal has it all.
HISTORY_MAX = 20


class Redemption(Value):
    """An accepted attempt."""

    id: RedemptionId
    order: OrderId
    till: TillName
    cashier: CashierName
    moment: Moment
    discount_minor: int

    @property
    def redeemed_ms(self) -> int:
        return self.moment.wall_ms


class HistoryLine(Value):
    """One step of a coupon's life, for its timeline. ``by``: the till and cashier, or empty; ``redemption``: the
    redemption that was made or undone, or empty."""

    what: Literal["issued", "redeemed", "undone", "voided"]
    at_ms: int
    by: str = ""
    redemption: str = ""


class CouponRecord(Record):
    """Keyed by serial. ``code`` is the QR text; validity is inclusive at both ends, in Unix milliseconds."""

    kind: ClassVar[str] = "coupon"
    coupon: CouponId
    serial: int
    campaign: CampaignId
    edition: int
    subject: SubjectId
    state: CouponState
    offer: Offer
    stacking: Stacking
    redeem_limit: int
    issued_ms: int
    not_before_ms: int
    not_after_ms: int
    code: str
    short_code: str
    redemption: Redemption | None = None
    history: tuple[HistoryLine, ...] = ()


class EditionRecord(Record):
    """A published edition, kept for the coupons that were issued under it."""

    kind: ClassVar[str] = "edition"
    campaign: Campaign


class Standing(StrEnum):
    """What a coupon is to its owner now: the stored state, and what time has made of it."""

    ACTIVE = "active"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    REDEEMED = "redeemed"
    VOIDED = "voided"


def coupon_key(serial: int) -> Key[CouponRecord]:
    return Key(CouponRecord, serial_id(serial))


def serial_id(serial: int) -> str:
    """Zero-padded, so that ids sort as numbers."""
    return f"{serial:06d}"


def serial_of(coupon: CouponId) -> int | None:
    """The serial inside a coupon's public id ``<serial>-<secret>``; None when it has another shape."""
    serial, dash, secret = coupon.partition("-")
    if dash and secret and len(serial) == 6 and serial.isascii() and serial.isdigit():
        return int(serial)
    return None


def edition_key(campaign: CampaignId, edition: int) -> Key[EditionRecord]:
    return Key(EditionRecord, f"{campaign}@{edition}")


def standing(coupon: CouponRecord, now: Moment) -> Standing:
    """Within the clock's error a coupon counts as valid."""
    if coupon.state is not CouponState.ACTIVE:
        return Standing(coupon.state.value)
    if now.is_certainly_after(coupon.not_after_ms):
        return Standing.EXPIRED
    if now.is_certainly_before(coupon.not_before_ms):
        return Standing.NOT_YET_VALID
    return Standing.ACTIVE


def remembered(history: tuple[HistoryLine, ...], line: HistoryLine) -> tuple[HistoryLine, ...]:
    """The history with one more line: the first line (the issue) and the newest ones stay."""
    longer = (*history, line)
    return longer if len(longer) <= HISTORY_MAX else (longer[0], *longer[-(HISTORY_MAX - 1) :])
