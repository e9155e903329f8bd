"""One attempt to redeem, and its undoing: idempotence, the order, the sheet, the coupon's next state.

A request that was accepted is answered the same for ever, or "undone" after an undo; a refused one is judged again.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from engagement.campaign.state import stop_key
from engagement.campaign.tally import SubjectTally, subject_tally_key
from engagement.clock.moment import Moment, certainly_elapsed_ms
from engagement.coupon.coupon import (
    CouponRecord,
    HistoryLine,
    Redemption,
    coupon_key,
    remembered,
)
from engagement.coupon.lifecycle import Step, step
from engagement.coupon.redemption import Circumstances, decide_redemption
from engagement.ids import (
    CampaignId,
    CashierName,
    CouponId,
    LocalDay,
    OrderId,
    RedemptionId,
    RequestId,
    SubjectId,
    TillName,
)
from engagement.journal.event import CouponRedeemed, RedemptionRefused, RedemptionUndone
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.order import Applied, OrderRecord, closed_refusal, order_key
from engagement.till.recent import RecentRecord, recent_key
from engagement.till.sheet import blank_line, sheet_key

UNDO_WINDOW_MS = 10 * 60_000


class RequestRecord(Record):
    """Keyed by till and request id: the accepted redemption that the request led to."""

    kind: ClassVar[str] = "request"
    redemption: RedemptionId
    serial: int
    discount_minor: int
    accepted_ms: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the till asks for. ``redemption_secret``: unpredictable characters for the redemption's id."""

    till: TillName
    cashier: CashierName
    request: RequestId
    order: OrderId
    basket_minor: int
    currency: str
    now: Moment
    day: LocalDay
    redemption_secret: str


@dataclass(frozen=True, slots=True)
class Accepted:
    redemption: RedemptionId
    discount_minor: int
    coupon: CouponRecord


@dataclass(frozen=True, slots=True)
class Undone:
    """The request had been accepted, and its redemption undone since."""

    redemption: RedemptionId
    coupon: CouponRecord


@dataclass(frozen=True, slots=True)
class Target:
    """The coupon an attempt is for, as read before the decision; these three never change for a serial in use."""

    serial: int
    coupon: CouponId
    campaign: CampaignId
    subject: SubjectId


def request_key(till: TillName, request: RequestId) -> Key[RequestRecord]:
    return Key(RequestRecord, f"{till}|{request}")


def redemption_id(serial: int, secret: str) -> RedemptionId:
    return RedemptionId(f"r{serial:06d}-{secret}")


def serial_of_redemption(redemption: RedemptionId) -> int | None:
    """The serial inside a redemption's id ``r<serial>-<secret>``; None when it has another shape."""
    head, dash, secret = redemption.partition("-")
    digits = head[1:]
    if dash and secret and head[:1] == "r" and len(digits) == 6 and digits.isascii() and digits.isdigit():
        return int(digits)
    return None


def redeem_keys(attempt: Attempt, target: Target) -> tuple[Key[Any], ...]:
    return (
        coupon_key(target.serial),
        request_key(attempt.till, attempt.request),
        stop_key(target.campaign),
        order_key(attempt.till, attempt.order),
        subject_tally_key(target.campaign, target.subject),
        sheet_key(attempt.day, target.campaign),
        recent_key(attempt.till),
    )


def redeem_rule(attempt: Attempt, target: Target) -> Rule[Accepted | Undone | Refusal]:
    """Judge the attempt and, if it is accepted, change everything that it changes."""

    def rule(rows: Rows) -> Ruling[Accepted | Undone | Refusal]:
        coupon = rows.get(coupon_key(target.serial))
        if coupon is None or coupon.coupon != target.coupon:
            return Ruling(Refusal(Reason.UNKNOWN_CODE))
        before = rows.get(request_key(attempt.till, attempt.request))
        if before is not None:
            return Ruling(_repeat(before, coupon))
        order = rows.get(order_key(attempt.till, attempt.order)) or _new_order(attempt)
        if order.closed_ms is not None:
            return Ruling(closed_refusal(order))
        subject_key = subject_tally_key(coupon.campaign, coupon.subject)
        tally = (rows.get(subject_key) or SubjectTally(id=subject_key.id)).on(attempt.day)
        decision = decide_redemption(
            coupon,
            Circumstances(
                now=attempt.now,
                basket_minor=attempt.basket_minor,
                currency=attempt.currency,
                applied=order.applied,
                stop=rows.get(stop_key(coupon.campaign)),
                redeemed_by_subject=tally.redeemed,
            ),
        )
        if isinstance(decision, Refusal):
            refused = RedemptionRefused(
                moment=attempt.now, reason=decision.reason, till=attempt.till, coupon=coupon.coupon
            )
            return Ruling(decision, events=(refused,))
        return _accept(rows, attempt, coupon, order, tally, decision)

    return rule


def _repeat(before: RequestRecord, coupon: CouponRecord) -> Accepted | Undone | Refusal:
    if before.serial != coupon.serial:
        return Refusal(Reason.REQUEST_REUSED)
    if coupon.redemption is not None and coupon.redemption.id == before.redemption:
        return Accepted(before.redemption, before.discount_minor, coupon)
    return Undone(before.redemption, coupon)


def _new_order(attempt: Attempt) -> OrderRecord:
    return OrderRecord(
        id=order_key(attempt.till, attempt.order).id,
        order=attempt.order,
        till=attempt.till,
        cashier=attempt.cashier,
        currency=attempt.currency,
        basket_minor=attempt.basket_minor,
        opened_ms=attempt.now.wall_ms,
    )


def _accept(
    rows: Rows,
    attempt: Attempt,
    coupon: CouponRecord,
    order: OrderRecord,
    tally: SubjectTally,
    discount_minor: int,
) -> Ruling[Accepted | Undone | Refusal]:
    now, campaign = attempt.now, coupon.campaign
    redemption = Redemption(
        id=redemption_id(coupon.serial, attempt.redemption_secret),
        order=attempt.order,
        till=attempt.till,
        cashier=attempt.cashier,
        moment=now,
        discount_minor=discount_minor,
    )
    told = HistoryLine(
        what="redeemed",
        at_ms=now.wall_ms,
        by=f"{attempt.till} / {attempt.cashier}",
        redemption=redemption.id,
    )
    redeemed = _stepped(coupon, Step.REDEEM, redemption, told)
    request = RequestRecord(
        id=request_key(attempt.till, attempt.request).id,
        redemption=redemption.id,
        serial=coupon.serial,
        discount_minor=discount_minor,
        accepted_ms=now.wall_ms,
    )
    applied = Applied(
        redemption=redemption.id,
        coupon=coupon.coupon,
        campaign=campaign,
        stacking=coupon.stacking,
        discount_minor=discount_minor,
    )
    sheet = rows.get(sheet_key(attempt.day, campaign)) or blank_line(
        attempt.day, campaign, coupon.offer.currency
    )
    recent = rows.get(recent_key(attempt.till)) or RecentRecord(id=recent_key(attempt.till).id)
    event = CouponRedeemed(
        moment=now,
        coupon=coupon.coupon,
        campaign=campaign,
        redemption=redemption.id,
        order=attempt.order,
        till=attempt.till,
        cashier=attempt.cashier,
        basket_minor=attempt.basket_minor,
        discount_minor=discount_minor,
        currency=coupon.offer.currency,
    )
    return Ruling(
        Accepted(redemption.id, discount_minor, redeemed),
        writes=(
            redeemed,
            request,
            order.model_copy(
                update={"basket_minor": attempt.basket_minor, "applied": (*order.applied, applied)}
            ),
            tally.model_copy(update={"redeemed": tally.redeemed + 1}),
            sheet.with_redemption(discount_minor),
            recent.with_redemption(redemption.id),
        ),
        events=(event,),
    )


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """``coupon``: the row as read before the decision; the rule checks that it still is the one."""

    redemption: RedemptionId
    till: TillName
    cashier: CashierName
    now: Moment
    day: LocalDay
    target: Target
    order_till: TillName
    order: OrderId


def undo_keys(undo: UndoRequest) -> tuple[Key[Any], ...]:
    return (
        coupon_key(undo.target.serial),
        order_key(undo.order_till, undo.order),
        subject_tally_key(undo.target.campaign, undo.target.subject),
        sheet_key(undo.day, undo.target.campaign),
    )


def undo_rule(undo: UndoRequest) -> Rule[Undone | Refusal]:
    """Take a redemption back within its 10 minutes; the clock's doubt is the cashier's benefit.

    An order that was reported as paid keeps its sums: the money is settled there, only the coupon comes back.
    """

    def rule(rows: Rows) -> Ruling[Undone | Refusal]:
        coupon = rows.get(coupon_key(undo.target.serial))
        if coupon is None or coupon.coupon != undo.target.coupon:
            return Ruling(Refusal(Reason.UNKNOWN_REDEMPTION))
        redemption = coupon.redemption
        if redemption is None or redemption.id != undo.redemption:
            was_undone = any(
                line.what == "undone" and line.redemption == undo.redemption for line in coupon.history
            )
            return Ruling(
                Undone(undo.redemption, coupon) if was_undone else Refusal(Reason.UNKNOWN_REDEMPTION)
            )
        if certainly_elapsed_ms(redemption.moment, undo.now) > UNDO_WINDOW_MS:
            return Ruling(Refusal(Reason.UNDO_TOO_LATE, instants_ms={"redeemed_at": redemption.redeemed_ms}))
        return _undo(rows, undo, coupon, redemption)

    return rule


def _stepped(
    coupon: CouponRecord, by: Step, redemption: Redemption | None, told: HistoryLine
) -> CouponRecord:
    """The coupon after a step; ``told``: the line of its history for it."""
    return coupon.model_copy(
        update={
            "state": step(coupon.state, by),
            "redemption": redemption,
            "history": remembered(coupon.history, told),
        }
    )


def _undo(
    rows: Rows, undo: UndoRequest, coupon: CouponRecord, redemption: Redemption
) -> Ruling[Undone | Refusal]:
    now, campaign = undo.now, coupon.campaign
    told = HistoryLine(
        what="undone", at_ms=now.wall_ms, by=f"{undo.till} / {undo.cashier}", redemption=redemption.id
    )
    active = _stepped(coupon, Step.UNDO, None, told)
    writes: list[Record] = [active]
    order = rows.get(order_key(undo.order_till, undo.order))
    if order is not None and order.closed_ms is None:
        left = tuple(applied for applied in order.applied if applied.redemption != redemption.id)
        writes.append(order.model_copy(update={"applied": left}))
    tally = rows.get(subject_tally_key(campaign, coupon.subject))
    if tally is not None:
        writes.append(tally.model_copy(update={"redeemed": max(tally.redeemed - 1, 0)}))
    sheet = rows.get(sheet_key(undo.day, campaign)) or blank_line(undo.day, campaign, coupon.offer.currency)
    writes.append(sheet.with_undo(redemption.discount_minor))
    event = RedemptionUndone(
        moment=now,
        coupon=coupon.coupon,
        campaign=campaign,
        redemption=redemption.id,
        till=undo.till,
        cashier=undo.cashier,
        discount_minor=redemption.discount_minor,
        currency=coupon.offer.currency,
    )
    return Ruling(Undone(redemption.id, active), writes=tuple(writes), events=(event,))
