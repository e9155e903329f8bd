"""Serves the tills: redeems, undoes, quotes, takes orders, tells a coupon's story, stops campaigns, closes the day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.services.premises import Premises
from edge_agent.services.presenting import Presenting
from engagement.campaign.model import Campaign
from engagement.campaign.state import CampaignState, StopRecord, campaign_state, stop_key, stop_rule
from engagement.campaign.tally import subject_tally_key
from engagement.clock.moment import Moment
from engagement.coupon.coupon import (
    CouponRecord,
    EditionRecord,
    Redemption,
    Standing,
    coupon_key,
    edition_key,
    standing,
)
from engagement.coupon.presented import Verify
from engagement.ids import (
    CampaignId,
    CashierName,
    CouponId,
    LocalDay,
    OrderId,
    RedemptionId,
    RequestId,
    TillName,
)
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import (
    UNDO_WINDOW_MS,
    Accepted,
    Attempt,
    Target,
    Undone,
    UndoRequest,
    redeem_keys,
    redeem_rule,
    serial_of_redemption,
    undo_keys,
    undo_rule,
)
from engagement.till.order import OrderRecord, OrderReport, close_order_rule, order_key
from engagement.till.quote import Candidate, quote
from engagement.till.recent import recent_key
from engagement.till.sheet import SheetLine, blank_line, sheet_key

REDEMPTION_SECRET_CHARS = 10
ORDER_ID_CHARS = 12
# Coupons on one order; more is a mistake of the till, and they are refused unread.
ORDER_CODES_MAX = 20
# Lines of a sheet read at a time; a branch runs fewer campaigns than this.
_SHEET_PAGE = 100


@dataclass(frozen=True)
class Basket:
    """What a till says of the sale in hand."""

    order: OrderId
    amount_minor: int
    currency: str


@dataclass(frozen=True)
class CouponStory:
    coupon: CouponRecord
    campaign: Campaign
    standing: Standing
    stop: StopRecord | None


@dataclass(frozen=True)
class QuotedCode:
    """``outcome``: the discount in minor units, or why not; ``coupon`` is None when the code names none."""

    code: str
    coupon: CouponRecord | None
    outcome: int | Refusal


@dataclass(frozen=True)
class TriedCode:
    """What came of presenting one code; ``coupon`` is None when the code names none."""

    code: str
    coupon: CouponRecord | None
    outcome: Accepted | Undone | Refusal


@dataclass(frozen=True)
class OrderOutcome:
    """``order`` is None when the order was refused as a whole, for ``refusal``. ``codes``: in the order applied."""

    order: OrderRecord | None
    refusal: Refusal | None
    codes: tuple[TriedCode, ...]


@dataclass(frozen=True)
class CampaignStanding:
    """A campaign of the bundle as it stands now; ``stop`` when it was stopped."""

    campaign: Campaign
    state: CampaignState
    stop: StopRecord | None


@dataclass(frozen=True)
class RecentRedemption:
    """``made`` is None once it was undone, at ``undone_ms``; ``is_undoable``: not undone, and not too late yet."""

    redemption: RedemptionId
    coupon: CouponRecord
    made: Redemption | None
    undone_ms: int | None
    undo_until_ms: int
    is_undoable: bool

    @property
    def redeemed_ms(self) -> int:
        return self.undo_until_ms - UNDO_WINDOW_MS


class Redeeming:
    """Every code that a till presents passes here. ``verify`` checks seals against the agent's own keys."""

    def __init__(self, premises: Premises, verify: Verify) -> None:
        self._premises = premises
        self._presenting = Presenting(premises, verify)

    async def redeem(
        self,
        code: str,
        basket: Basket,
        *,
        request: RequestId,
        till: TillName,
        cashier: CashierName,
    ) -> Accepted | Undone | Refusal:
        """One code on one order; durable before it returns."""
        return (await self.try_code(code, basket, request=request, till=till, cashier=cashier)).outcome

    async def try_code(
        self,
        code: str,
        basket: Basket,
        *,
        request: RequestId,
        till: TillName,
        cashier: CashierName,
    ) -> TriedCode:
        """As ``redeem``, with the coupon that was meant also when it is refused."""
        now = self._premises.clock.now()
        coupon = await self._presenting.present(code, till, now)
        if isinstance(coupon, Refusal) and coupon.reason is Reason.TOO_MANY_TRIES:
            coupon = await self._presenting.accepted_before(code, till, request) or coupon
        if isinstance(coupon, Refusal):
            return TriedCode(code, None, coupon)
        attempt = Attempt(
            till=till,
            cashier=cashier,
            request=request,
            order=basket.order,
            basket_minor=basket.amount_minor,
            currency=basket.currency,
            now=now,
            day=self._premises.day_of(now),
            redemption_secret=self._premises.secret(REDEMPTION_SECRET_CHARS),
        )
        target = _target(coupon)
        outcome = await self._premises.store.decide(
            redeem_keys(attempt, target), redeem_rule(attempt, target), essential=True
        )
        return TriedCode(code, coupon, outcome)

    async def undo(
        self, redemption: RedemptionId, *, till: TillName, cashier: CashierName
    ) -> Undone | Refusal:
        """Take a redemption back within 10 minutes; asking again gets the same answer."""
        serial = serial_of_redemption(redemption)
        if serial is None:
            return Refusal(Reason.UNKNOWN_REDEMPTION)
        now, store = self._premises.clock.now(), self._premises.store
        coupon = (await store.fetch([coupon_key(serial)])).get(coupon_key(serial))
        if coupon is None:
            return Refusal(Reason.UNKNOWN_REDEMPTION)
        made = coupon.redemption
        undo = UndoRequest(
            redemption=redemption,
            till=till,
            cashier=cashier,
            now=now,
            day=self._premises.day_of(now),
            target=_target(coupon),
            order_till=made.till if made else till,
            order=made.order if made else OrderId(""),
        )
        return await store.decide(undo_keys(undo), undo_rule(undo), essential=True)

    async def quote(self, codes: Sequence[str], basket: Basket, *, till: TillName) -> list[QuotedCode]:
        """What the codes would take off together, in the order in which they would be applied; refused codes last."""
        now = self._premises.clock.now()
        named: dict[str, str] = {}
        candidates: list[Candidate] = []
        lines: list[QuotedCode] = []
        for code in codes[:ORDER_CODES_MAX]:
            coupon = await self._presenting.present(code, till, now)
            if isinstance(coupon, Refusal):
                lines.append(QuotedCode(code, None, coupon))
            elif coupon.id in named:
                lines.append(QuotedCode(code, coupon, Refusal(Reason.NOT_WITH_OTHERS)))
            else:
                named[coupon.id] = code
                candidates.append(await self._candidate(coupon))
        order = await self.order(till, basket.order)
        quoted = quote(
            candidates,
            now=now,
            basket_minor=basket.amount_minor,
            currency=basket.currency,
            already_applied=order.applied if order is not None else (),
        )
        judged = [QuotedCode(named[line.coupon.id], line.coupon, line.outcome) for line in quoted]
        too_many = [
            QuotedCode(code, None, Refusal(Reason.NOT_WITH_OTHERS)) for code in codes[ORDER_CODES_MAX:]
        ]
        return judged + lines + too_many

    async def take_order(
        self, basket: Basket, codes: Sequence[str], *, till: TillName, cashier: CashierName
    ) -> OrderOutcome:
        """Redeem an order's coupons in the best order and close it; the same order again is answered the same.

        Each code has a request id of its own made from the order's, so a crash half way is finished by asking again.
        A refused code does not stop the others; the order is closed with those that were accepted.
        """
        tried: list[TriedCode] = []
        for line in await self.quote(codes, basket, till=till):
            meant = line.coupon
            if isinstance(line.outcome, Refusal) and (meant is None or _is_among(meant, tried)):
                tried.append(TriedCode(line.code, meant, line.outcome))
            elif meant is not None:
                request = RequestId(f"order:{basket.order}:{meant.coupon}")
                tried.append(
                    await self.try_code(line.code, basket, request=request, till=till, cashier=cashier)
                )
        report = OrderReport(
            order=basket.order,
            till=till,
            cashier=cashier,
            currency=basket.currency,
            basket_minor=basket.amount_minor,
            now=self._premises.clock.now(),
        )
        closed = await self._premises.store.decide(
            [order_key(till, basket.order)], close_order_rule(report), essential=True
        )
        if isinstance(closed, Refusal):
            return OrderOutcome(None, closed, tuple(tried))
        return OrderOutcome(closed, None, tuple(tried))

    async def story(self, code: str, *, till: TillName) -> CouponStory | Refusal:
        """A coupon's state and timeline by either form of its code."""
        now = self._premises.clock.now()
        coupon = await self._presenting.present(code, till, now)
        if isinstance(coupon, Refusal):
            return coupon
        edition = edition_key(coupon.campaign, coupon.edition)
        stop = stop_key(coupon.campaign)
        rows = await self._premises.store.fetch([edition, stop])
        kept: EditionRecord | None = rows.get(edition)
        assert kept is not None, "an edition is written with its first coupon"
        return CouponStory(coupon, kept.campaign, standing(coupon, now), rows.get(stop))

    def begin_order(self) -> OrderId:
        """An id for an order that a till page begins; the page sends it with every request for that order."""
        return OrderId(f"p-{self._premises.secret(ORDER_ID_CHARS)}")

    async def order(self, till: TillName, order: OrderId) -> OrderRecord | None:
        """What is known of an order; None until a coupon was taken off it or it was closed."""
        key = order_key(till, order)
        return (await self._premises.store.fetch([key])).get(key)

    async def recent(self, till: TillName) -> list[RecentRedemption]:
        """The till's last redemptions, newest first, with those that were undone since."""
        store, now = self._premises.store, self._premises.clock.now()
        row = (await store.fetch([recent_key(till)])).get(recent_key(till))
        serials = {
            redemption: serial
            for redemption in (row.redemptions if row is not None else ())
            if (serial := serial_of_redemption(redemption)) is not None
        }
        coupons = await store.fetch([coupon_key(serial) for serial in set(serials.values())])
        found = [
            _as_recent(redemption, coupon, now)
            for redemption, serial in serials.items()
            if (coupon := coupons.get(coupon_key(serial))) is not None
        ]
        return [recent for recent in found if recent is not None]

    async def campaigns_of(self, coupons: Sequence[CouponRecord]) -> Mapping[CouponId, Campaign]:
        """For each coupon its campaign, in the edition that it was issued under."""
        keys = {coupon.coupon: edition_key(coupon.campaign, coupon.edition) for coupon in coupons}
        rows = await self._premises.store.fetch(set(keys.values()))
        kept = {coupon: rows.get(key) for coupon, key in keys.items()}
        return {coupon: edition.campaign for coupon, edition in kept.items() if edition is not None}

    async def campaigns(self) -> list[CampaignStanding]:
        """The bundle's campaigns and whether each runs now."""
        now = self._premises.clock.now()
        campaigns = self._premises.bundle.campaigns
        rows = await self._premises.store.fetch([stop_key(campaign.id) for campaign in campaigns])
        stops = [rows.get(stop_key(campaign.id)) for campaign in campaigns]
        return [
            CampaignStanding(campaign, campaign_state(campaign, stop, now), stop)
            for campaign, stop in zip(campaigns, stops, strict=True)
        ]

    async def stop(
        self, campaign: CampaignId, *, by: str, honour_issued: bool = False
    ) -> StopRecord | Refusal:
        """The kill switch. A stop outlives restarts and needs no line.

        A campaign that has left the bundle can be stopped as well: its coupons live on.
        """
        if campaign not in self._premises.campaigns and not await self._has_issued(campaign):
            return Refusal(Reason.UNKNOWN_CAMPAIGN)
        now = self._premises.clock.now()
        rule = stop_rule(campaign, by=by, honour_issued=honour_issued, now=now)
        return await self._premises.store.decide([stop_key(campaign)], rule, essential=True)

    async def _has_issued(self, campaign: CampaignId) -> bool:
        """Whether the ledger keeps an edition of the campaign: one is written with its first coupon."""
        before_first = edition_key(campaign, 0).id
        found = await self._premises.store.scan(EditionRecord, after_id=before_first, limit=1)
        return any(edition.campaign.id == campaign for edition in found)

    async def sheet(self, day: LocalDay | None = None) -> tuple[LocalDay, list[SheetLine]]:
        """One day's sheet, today's by default: a line per campaign of the bundle, then those of earlier bundles."""
        wanted = day or self._premises.day_of(self._premises.clock.now())
        kept = {line.campaign: line for line in await self._lines_of(wanted)}
        blank = {
            campaign.id: blank_line(wanted, campaign.id, campaign.offer.currency)
            for campaign in self._premises.bundle.campaigns
        }
        return wanted, list((blank | kept).values())

    async def _lines_of(self, day: LocalDay) -> list[SheetLine]:
        found: list[SheetLine] = []
        after_id = sheet_key(day, CampaignId("")).id
        while page := await self._premises.store.scan(SheetLine, after_id=after_id, limit=_SHEET_PAGE):
            found += [line for line in page if line.day == day]
            if page[-1].day != day:
                break
            after_id = page[-1].id
        return found

    async def _candidate(self, coupon: CouponRecord) -> Candidate:
        stop, tally = stop_key(coupon.campaign), subject_tally_key(coupon.campaign, coupon.subject)
        rows = await self._premises.store.fetch([stop, tally])
        counted = rows.get(tally)
        return Candidate(coupon, rows.get(stop), counted.redeemed if counted else 0)


def _as_recent(redemption: RedemptionId, coupon: CouponRecord, now: Moment) -> RecentRedemption | None:
    """None when the coupon's history no longer knows the redemption: its serial has come round again."""
    steps = {line.what: line.at_ms for line in coupon.history if line.redemption == redemption}
    if "redeemed" not in steps:
        return None
    made = coupon.redemption if coupon.redemption and coupon.redemption.id == redemption else None
    until_ms = steps["redeemed"] + UNDO_WINDOW_MS
    return RecentRedemption(
        redemption=redemption,
        coupon=coupon,
        made=made,
        undone_ms=steps.get("undone"),
        undo_until_ms=until_ms,
        is_undoable=made is not None and not now.is_certainly_after(until_ms),
    )


def _is_among(coupon: CouponRecord, tried: Sequence[TriedCode]) -> bool:
    """A coupon's QR and its short code on one order are one coupon."""
    return any(line.coupon is not None and line.coupon.coupon == coupon.coupon for line in tried)


def _target(coupon: CouponRecord) -> Target:
    return Target(coupon.serial, coupon.coupon, coupon.campaign, coupon.subject)
