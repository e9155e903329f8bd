"""A coupon as the pages and the JSON twins show it."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from edge_agent.adapters.wording import Wording
from edge_agent.services.hosting import Card
from engagement.campaign.model import Campaign, Offer
from engagement.clock.moment import from_ms
from engagement.coupon.coupon import Standing
from engagement.coupon.short_code import grouped

STOPPED = "stopped"


@dataclass(frozen=True)
class OfferView:
    """``worth``: the headline, as "CN¥20 off"; ``condition``: from what amount on."""

    worth: str
    condition: str


@dataclass(frozen=True)
class CardView:
    """``state``: the JSON's word, also a style's name; ``state_text``: what people read; ``dates``: until when, or
    since when not."""

    id: str
    href: str
    title: str
    offer: OfferView
    state: str
    state_text: str
    dates: str
    is_usable: bool
    code: str
    short_code: str
    terms: str


def state_of(card: Card) -> str:
    """The contract's state: the coupon's standing, or ``stopped`` when its campaign was and no longer honours it."""
    stopped = card.stop is not None and not card.stop.honour_issued
    return STOPPED if stopped and card.standing is Standing.ACTIVE else card.standing.value


def card_json(card: Card, wording: Wording, zone: ZoneInfo) -> dict[str, object]:
    coupon = card.coupon
    return {
        "id": coupon.coupon,
        "campaign": coupon.campaign,
        "title": card.campaign.title[wording.language],
        "state": state_of(card),
        "code": coupon.code,
        "short_code": coupon.short_code,
        "qr_url": f"/coupons/{coupon.coupon}.svg",
        "terms": card.campaign.terms[wording.language],
        "expires_at": rfc3339(coupon.not_after_ms, zone),
    }


def rfc3339(instant_ms: int, zone: ZoneInfo) -> str:
    """In the branch's own offset, to the second."""
    return from_ms(instant_ms).astimezone(zone).isoformat(timespec="seconds")


def card_view(card: Card, wording: Wording, zone: ZoneInfo) -> CardView:
    coupon, state = card.coupon, state_of(card)
    return CardView(
        id=coupon.coupon,
        href=f"/coupons/{coupon.coupon}",
        title=card.campaign.title[wording.language],
        offer=offer_view(coupon.offer, wording),
        state=state,
        state_text=_state_text(state, wording),
        dates=_dates(card, state, wording, zone),
        is_usable=card.is_usable,
        code=coupon.code,
        short_code=grouped(coupon.short_code),
        terms=card.campaign.terms[wording.language],
    )


def offer_view(offer: Offer, wording: Wording) -> OfferView:
    if offer.kind == "cash":
        worth = wording.text("offer.cash", amount=wording.money_brief(offer.value_minor, offer.currency))
    else:
        worth = wording.text("offer.percent", percent=wording.percent(offer.off_bps))
    conditions = [_minimum(offer, wording)]
    if offer.kind == "percent":
        cap = wording.money_brief(offer.cap_minor, offer.currency)
        conditions.append(wording.text("offer.capped", amount=cap))
    return OfferView(worth, " · ".join(conditions))


def _minimum(offer: Offer, wording: Wording) -> str:
    if offer.min_spend_minor == 0:
        return wording.text("offer.any")
    return wording.text("offer.from", amount=wording.money_brief(offer.min_spend_minor, offer.currency))


def campaign_offer(campaign: Campaign, wording: Wording) -> tuple[str, OfferView]:
    """A campaign's title and offer, for announcing it."""
    return campaign.title[wording.language], offer_view(campaign.offer, wording)


def _state_text(state: str, wording: Wording) -> str:
    return {
        Standing.ACTIVE.value: wording.text("state.usable"),
        Standing.NOT_YET_VALID.value: wording.text("state.not_yet"),
        Standing.EXPIRED.value: wording.text("state.expired"),
        Standing.REDEEMED.value: wording.text("state.used"),
        Standing.VOIDED.value: wording.text("state.withdrawn"),
        STOPPED: wording.text("state.stopped"),
    }[state]


def _dates(card: Card, state: str, wording: Wording, zone: ZoneInfo) -> str:
    coupon = card.coupon
    if coupon.redemption is not None:
        return wording.text("dates.used", instant=wording.instant(coupon.redemption.redeemed_ms, zone))
    if state == Standing.EXPIRED.value:
        return wording.text("dates.expired", instant=wording.instant(coupon.not_after_ms, zone))
    if state == Standing.NOT_YET_VALID.value:
        return wording.text(
            "dates.between",
            since=wording.instant(coupon.not_before_ms, zone),
            instant=wording.instant(coupon.not_after_ms, zone),
        )
    return wording.text("dates.until", instant=wording.instant(coupon.not_after_ms, zone))
