"""What the till's page shows, worded: lines of coupons, sums, the last redemptions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edge_agent.adapters.staff_http.page import Page
from edge_agent.adapters.wording import refusal_sentences
from edge_agent.services.redeeming import OrderOutcome, QuotedCode, RecentRedemption, TriedCode
from engagement.campaign.model import Campaign
from engagement.coupon.coupon import CouponRecord
from engagement.ids import CouponId, RedemptionId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import Accepted
from engagement.till.order import OrderRecord

# waiting: needs the basket's amount to be judged.
LineState = Literal["accepted", "refused", "undone", "waiting"]
_NEEDS_AMOUNT = (Reason.BELOW_MIN_SPEND,)


@dataclass(frozen=True)
class Notice:
    """Something to say at once, above all else."""

    kind: Literal["refused", "info"]
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Line:
    """One coupon. ``index``: its place among the draft's codes, by which it is removed."""

    index: int
    title: str
    offer: str
    state: LineState
    amount: str
    text: str
    remedy: str


@dataclass(frozen=True)
class View:
    """``usable``: how many coupons would come off, or came off. ``is_known``: whether the amount was given."""

    lines: tuple[Line, ...]
    usable: int
    is_known: bool
    basket: str
    discount: str
    due: str


@dataclass(frozen=True)
class RecentLine:
    redemption: RedemptionId
    title: str
    amount: str
    cashier: str
    made_at: str
    undone_at: str
    undo_until: str

    @property
    def can_undo(self) -> bool:
        return not self.undone_at and bool(self.undo_until)


def draft_view(
    page: Page,
    codes: Sequence[str],
    quoted: Sequence[QuotedCode],
    campaigns: Mapping[CouponId, Campaign],
    order: OrderRecord | None,
    basket_minor: int | None,
) -> View:
    """An order in hand. Coupons that an interrupted order took already count as taken."""
    places = {code: index for index, code in enumerate(codes)}
    lines = [
        _quoted_line(page, places[each.code], each, campaigns, order, is_known=basket_minor is not None)
        for each in quoted
    ]
    taken_minor = order.discount_minor if order is not None else 0
    off_minor = taken_minor + sum(each.outcome for each in quoted if not isinstance(each.outcome, Refusal))
    money = _money(page)
    return View(
        lines=tuple(sorted(lines, key=lambda line: line.index)),
        usable=sum(line.state == "accepted" for line in lines),
        is_known=basket_minor is not None,
        basket=money(basket_minor or 0),
        discount=money(off_minor),
        due=money(max((basket_minor or 0) - off_minor, 0)),
    )


def order_view(
    page: Page,
    codes: Sequence[str],
    outcome: OrderOutcome,
    campaigns: Mapping[CouponId, Campaign],
    basket_minor: int,
) -> View:
    """An order that was closed. The sum is what the coupons that still count took off, undone ones left out.

    A code that came too late for it, as every refused one does when the page is shown again, is no part of it.
    """
    places = {code: index for index, code in enumerate(codes)}
    lines = [
        _tried_line(page, places[each.code], each, campaigns)
        for each in outcome.codes
        if not (isinstance(each.outcome, Refusal) and each.outcome.reason is Reason.ORDER_CLOSED)
    ]
    off_minor = sum(
        each.outcome.discount_minor for each in outcome.codes if isinstance(each.outcome, Accepted)
    )
    money = _money(page)
    return View(
        lines=tuple(sorted(lines, key=lambda line: line.index)),
        usable=sum(line.state == "accepted" for line in lines),
        is_known=True,
        basket=money(basket_minor),
        discount=money(off_minor),
        due=money(max(basket_minor - off_minor, 0)),
    )


def recent_lines(
    page: Page, recent: Sequence[RecentRedemption], titles: Mapping[str, str]
) -> list[RecentLine]:
    """The till's last redemptions; those whose ten minutes are over can no longer be undone."""
    clock, money = page.wording.clock, _money(page)
    zone = page.parts.zone
    return [
        RecentLine(
            redemption=each.redemption,
            title=titles.get(each.coupon.campaign, each.coupon.campaign),
            amount=money(each.made.discount_minor) if each.made is not None else "",
            cashier=each.made.cashier if each.made is not None else "",
            made_at=clock(each.redeemed_ms, zone),
            undone_at=clock(each.undone_ms, zone) if each.undone_ms is not None else "",
            undo_until=clock(each.undo_until_ms, zone) if each.is_undoable else "",
        )
        for each in recent
    ]


def _quoted_line(
    page: Page,
    index: int,
    quoted: QuotedCode,
    campaigns: Mapping[CouponId, Campaign],
    order: OrderRecord | None,
    *,
    is_known: bool,
) -> Line:
    coupon, outcome = quoted.coupon, quoted.outcome
    title, offer = _titles(page, coupon, campaigns)
    if isinstance(outcome, Refusal):
        taken_minor = _taken_on(order, coupon)
        if taken_minor is not None:
            text = page.wording.text("till.taken_already")
            return Line(index, title, offer, "accepted", _money(page)(taken_minor), text, "")
        if not is_known and outcome.reason in _NEEDS_AMOUNT:
            return Line(index, title, offer, "waiting", "", page.wording.text("till.needs_amount"), "")
        words = refusal_sentences(outcome, page.wording, page.parts.zone)
        return Line(index, title, offer, "refused", "", words.cashier, words.remedy)
    if not is_known:
        return Line(index, title, offer, "waiting", "", page.wording.text("till.needs_amount"), "")
    return Line(index, title, offer, "accepted", _money(page)(outcome), "", "")


def _tried_line(page: Page, index: int, tried: TriedCode, campaigns: Mapping[CouponId, Campaign]) -> Line:
    title, offer = _titles(page, tried.coupon, campaigns)
    outcome = tried.outcome
    if isinstance(outcome, Refusal):
        words = refusal_sentences(outcome, page.wording, page.parts.zone)
        return Line(index, title, offer, "refused", "", words.cashier, words.remedy)
    if isinstance(outcome, Accepted):
        return Line(index, title, offer, "accepted", _money(page)(outcome.discount_minor), "", "")
    return Line(index, title, offer, "undone", "", page.wording.text("till.line_undone"), "")


def _titles(
    page: Page, coupon: CouponRecord | None, campaigns: Mapping[CouponId, Campaign]
) -> tuple[str, str]:
    campaign = campaigns.get(coupon.coupon) if coupon is not None else None
    if coupon is None or campaign is None:
        return page.wording.text("till.unknown_coupon"), ""
    return campaign.title[page.wording.language], offer_text(page, coupon)


def offer_text(page: Page, coupon: CouponRecord) -> str:
    """What the coupon is worth, in one phrase."""
    offer, wording = coupon.offer, page.wording
    from_minor = wording.money_brief(offer.min_spend_minor, offer.currency)
    if offer.kind == "cash":
        worth = wording.text("offer.cash", value=wording.money_brief(offer.value_minor, offer.currency))
    else:
        worth = wording.text(
            "offer.percent",
            percent=wording.percent(offer.off_bps),
            cap=wording.money_brief(offer.cap_minor, offer.currency),
        )
    return wording.text("offer.from", worth=worth, spend=from_minor) if offer.min_spend_minor else worth


def _taken_on(order: OrderRecord | None, coupon: CouponRecord | None) -> int | None:
    """What the coupon took off this very order, when an answer got lost after that."""
    if order is None or coupon is None:
        return None
    return next((each.discount_minor for each in order.applied if each.coupon == coupon.coupon), None)


def _money(page: Page) -> Callable[[int], str]:
    currency = page.parts.bundle.branch.currency
    return lambda minor: page.wording.money(minor, currency)
