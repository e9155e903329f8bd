"""The tills' API: each operation reads its request, asks the service, and words the answer."""

from typing import Any, TypeVar

from edge_agent.adapters.staff_http.models import (
    CampaignAnswer,
    CampaignsAnswer,
    CouponAnswer,
    MadeRedemption,
    OfferAnswer,
    OrderAnswer,
    OrderLine,
    OrderRequest,
    QuoteAnswer,
    QuoteLine,
    QuoteRequest,
    RedemptionAnswer,
    RedemptionRequest,
    Say,
    StopAnswer,
    StopRequest,
    TimelineStep,
    UndoRequest,
)
from edge_agent.adapters.staff_http.operations import Asked, NoBody, Operations
from edge_agent.adapters.staff_http.problems import Problem
from edge_agent.adapters.wording import refusal_sentences
from edge_agent.services.redeeming import Basket, CampaignStanding, QuotedCode
from engagement.campaign.state import StopRecord
from engagement.clock.moment import from_ms
from engagement.coupon.coupon import CouponRecord
from engagement.ids import CampaignId, OrderId, RedemptionId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import Accepted, Undone

API = Operations()

# A quote without an order is for a basket of its own; no till can send this id, for it has a space.
_NO_ORDER = OrderId("no order")


@API.asks("POST", "/v1/redemptions", "Redeem one coupon", body=RedemptionRequest, answer=RedemptionAnswer)
async def redeem(asked: Asked[RedemptionRequest]) -> RedemptionAnswer:
    body = asked.body
    tried = await asked.parts.redeeming.try_code(
        body.code,
        Basket(body.order_id, body.basket_minor, body.currency),
        request=body.request_id,
        till=asked.till,
        cashier=body.cashier,
    )
    return _counted(asked, RedemptionAnswer(**_verdict(asked, tried.outcome, tried.coupon)))


@API.asks(
    "POST",
    "/v1/redemptions/{redemption_id}/undo",
    "Take a redemption back within 10 minutes",
    body=UndoRequest,
    answer=RedemptionAnswer,
)
async def undo(asked: Asked[UndoRequest]) -> RedemptionAnswer:
    redemption = RedemptionId(asked.request.match_info["redemption_id"])
    outcome = await asked.parts.redeeming.undo(redemption, till=asked.till, cashier=asked.body.cashier)
    meant = None if isinstance(outcome, Refusal) else outcome.coupon
    return RedemptionAnswer(**_verdict(asked, outcome, meant))


@API.asks("POST", "/v1/quotes", "What coupons would take off", body=QuoteRequest, answer=QuoteAnswer)
async def quote(asked: Asked[QuoteRequest]) -> QuoteAnswer:
    body = asked.body
    basket = Basket(body.order_id or _NO_ORDER, body.basket_minor, body.currency)
    lines = await asked.parts.redeeming.quote(body.codes, basket, till=asked.till)
    order = await asked.parts.redeeming.order(asked.till, basket.order)
    taken_minor = order.discount_minor if order is not None else 0
    discount_minor = taken_minor + sum(
        line.outcome for line in lines if not isinstance(line.outcome, Refusal)
    )
    return QuoteAnswer(
        basket_minor=body.basket_minor,
        discount_minor=discount_minor,
        due_minor=max(body.basket_minor - discount_minor, 0),
        currency=body.currency,
        lines=[_quote_line(asked, line) for line in lines],
    )


@API.asks(
    "POST",
    "/v1/orders",
    "Redeem an order's coupons and close it; idempotent by order_id",
    body=OrderRequest,
    answer=OrderAnswer,
)
async def take_order(asked: Asked[OrderRequest]) -> OrderAnswer:
    body = asked.body
    outcome = await asked.parts.redeeming.take_order(
        Basket(body.order_id, body.basket_minor, body.currency),
        body.codes,
        till=asked.till,
        cashier=body.cashier,
    )
    order, refusal = outcome.order, outcome.refusal
    words = refusal_sentences(refusal, asked.wording, asked.parts.zone) if refusal is not None else None
    discount_minor = order.discount_minor if order is not None else 0
    return OrderAnswer(
        decision="refused" if order is None else "accepted",
        reason=refusal.reason if refusal is not None else None,
        order_id=body.order_id,
        basket_minor=body.basket_minor,
        discount_minor=discount_minor,
        due_minor=max(body.basket_minor - discount_minor, 0),
        currency=body.currency,
        closed_at=from_ms(order.closed_ms) if order is not None and order.closed_ms is not None else None,
        lines=[
            _counted(asked, OrderLine(code=each.code, **_verdict(asked, each.outcome, each.coupon)))
            for each in outcome.codes
        ],
        say=Say(cashier=words.cashier, shopper=words.shopper) if words is not None else None,
        would_pass_if=(words.remedy or None) if words is not None else None,
    )


@API.asks(
    "GET",
    "/v1/coupons/{code:.+}",
    "A coupon's state and timeline",
    body=NoBody,
    answer=CouponAnswer,
    problems={404: "the code names no coupon of this agent", 429: "too many wrong codes"},
)
async def coupon(asked: Asked[NoBody]) -> CouponAnswer:
    story = await asked.parts.redeeming.story(asked.request.match_info["code"], till=asked.till)
    if isinstance(story, Refusal):
        raise _not_found(asked, story)
    record, campaign = story.coupon, story.campaign
    language, made = asked.wording.language, record.redemption
    return CouponAnswer(
        id=record.coupon,
        campaign=record.campaign,
        title=campaign.title[language],
        terms=campaign.terms[language],
        state=story.standing,
        campaign_stopped=story.stop is not None,
        short_code=record.short_code,
        offer=OfferAnswer(**record.offer.model_dump()),
        issued_at=from_ms(record.issued_ms),
        valid_from=from_ms(record.not_before_ms),
        expires_at=from_ms(record.not_after_ms),
        redemption=MadeRedemption(
            redemption_id=made.id,
            order_id=made.order,
            till=made.till,
            cashier=made.cashier,
            redeemed_at=from_ms(made.redeemed_ms),
            discount_minor=made.discount_minor,
        )
        if made is not None
        else None,
        timeline=[
            TimelineStep(
                what=line.what, at=from_ms(line.at_ms), by=line.by, redemption_id=line.redemption or None
            )
            for line in record.history
        ],
    )


@API.asks(
    "GET", "/v1/campaigns", "The branch's campaigns and their states", body=NoBody, answer=CampaignsAnswer
)
async def campaigns(asked: Asked[NoBody]) -> CampaignsAnswer:
    known = await asked.parts.redeeming.campaigns()
    return CampaignsAnswer(campaigns=[_campaign(asked, each) for each in known])


@API.asks(
    "POST",
    "/v1/campaigns/{id}/stop",
    "Stop a campaign in this branch, at once and for good; works offline",
    body=StopRequest,
    answer=StopAnswer,
    problems={404: "no such campaign in this branch"},
)
async def stop(asked: Asked[StopRequest]) -> StopAnswer:
    campaign = CampaignId(asked.request.match_info["id"])
    by = f"{asked.till} / {asked.body.cashier}" if asked.body.cashier else asked.till
    outcome = await asked.parts.redeeming.stop(campaign, by=by, honour_issued=asked.body.honour_issued)
    if isinstance(outcome, Refusal):
        raise _not_found(asked, outcome)
    return _stop(outcome)


A = TypeVar("A", bound=RedemptionAnswer)


def _counted(asked: Asked[Any], answer: A) -> A:
    asked.parts.metrics.attempt(answer.decision, answer.reason)
    return answer


def _verdict(
    asked: Asked[Any], outcome: Accepted | Undone | Refusal, coupon: CouponRecord | None
) -> dict[str, Any]:
    """The fields that every answer about one code has."""
    wording = asked.wording
    if isinstance(outcome, Refusal):
        words = refusal_sentences(outcome, wording, asked.parts.zone)
        return {
            "decision": "refused",
            "reason": outcome.reason,
            "redemption_id": None,
            "discount_minor": 0,
            "coupon": coupon.coupon if coupon is not None else None,
            "say": Say(cashier=words.cashier, shopper=words.shopper),
            "would_pass_if": words.remedy or None,
        }
    kind = "accepted" if isinstance(outcome, Accepted) else "undone"
    discount_minor = outcome.discount_minor if isinstance(outcome, Accepted) else 0
    discount = wording.money(discount_minor, outcome.coupon.offer.currency)
    return {
        "decision": kind,
        "reason": None,
        "redemption_id": outcome.redemption,
        "discount_minor": discount_minor,
        "coupon": outcome.coupon.coupon,
        "say": Say(
            cashier=wording.text(f"say.{kind}.cashier", discount=discount),
            shopper=wording.text(f"say.{kind}.shopper", discount=discount),
        ),
        "would_pass_if": None,
    }


def _quote_line(asked: Asked[Any], line: QuotedCode) -> QuoteLine:
    """What one code would come to; a coupon is worded as if it had been accepted."""
    wording, coupon = asked.wording, line.coupon
    if isinstance(line.outcome, Refusal):
        fields = _verdict(asked, line.outcome, coupon)
        del fields["redemption_id"]
        return QuoteLine(code=line.code, **fields)
    assert coupon is not None, "only a coupon is worth something"
    discount = wording.money(line.outcome, coupon.offer.currency)
    return QuoteLine(
        code=line.code,
        decision="accepted",
        reason=None,
        discount_minor=line.outcome,
        coupon=coupon.coupon,
        say=Say(
            cashier=wording.text("say.quoted.cashier", discount=discount),
            shopper=wording.text("say.quoted.shopper", discount=discount),
        ),
        would_pass_if=None,
    )


def _campaign(asked: Asked[Any], known: CampaignStanding) -> CampaignAnswer:
    campaign = known.campaign
    return CampaignAnswer(
        id=campaign.id,
        name=campaign.name,
        title=campaign.title[asked.wording.language],
        trigger=campaign.trigger.on,
        state=known.state,
        edition=campaign.edition,
        opens_at=campaign.window.opens_at,
        ends_at=campaign.window.ends_at,
        stop=_stop(known.stop) if known.stop is not None else None,
    )


def _stop(stop: StopRecord) -> StopAnswer:
    return StopAnswer(
        id=stop.id,
        state="stopped",
        stopped_at=from_ms(stop.stopped_ms),
        by=stop.by,
        honour_issued=stop.honour_issued,
    )


def _not_found(asked: Asked[Any], refusal: Refusal) -> Problem:
    """A refusal where there is no decision to carry it: the reason is the problem's code."""
    words = refusal_sentences(refusal, asked.wording, asked.parts.zone)
    too_many = refusal.reason is Reason.TOO_MANY_TRIES
    return Problem(
        429 if too_many else 404,
        refusal.reason,
        words.cashier,
        words.remedy or words.shopper,
        headers={"Retry-After": "60"} if too_many else {},
    )
