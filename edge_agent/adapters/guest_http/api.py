"""The JSON twins of the pages, and what phones' systems and auditors ask for."""

import re
from typing import Annotated

from aiohttp import web
from pydantic import ConfigDict, Field, StringConstraints

from edge_agent.adapters.guest_http.cards import card_json, rfc3339
from edge_agent.adapters.guest_http.faults import problem, read_body
from edge_agent.adapters.guest_http.identity import consent_now, with_cookie
from edge_agent.adapters.guest_http.site import SITE, Site
from edge_agent.adapters.wording import Wording, refusal_sentences
from edge_agent.ports import StoreFull
from edge_agent.services.hosting import Wallet
from edge_agent.services.ticketing import Heard
from engagement.ids import CampaignId, LocalDay, Slug
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.values import Value

# Current Android opens the portal in the shopper's own browser when it sees this. Source: AOSP, custom tabs portal.
_ANDROID_CUSTOM_TABS = 361335020
# A phone in a busy store hears some dozens of beacons; more than this is no phone.
_HEARD_MAX = 200
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class _Body(Value):
    model_config = ConfigDict(strict=True)


class ConsentBody(_Body):
    terms: bool
    analytics: bool = False
    marketing: bool = False


class PlayBody(_Body):
    campaign: Slug
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")]


class MemberBody(_Body):
    code: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class HeardBody(_Body):
    data: Annotated[str, StringConstraints(pattern=r"^([0-9a-fA-F]{2}){0,255}$")]
    rssi: Annotated[int, Field(ge=-128, le=127)]
    age_ms: Annotated[int, Field(ge=0)]


class SightingsBody(_Body):
    heard: Annotated[list[HeardBody], Field(max_length=_HEARD_MAX)]


async def consent(request: web.Request) -> web.Response:
    """Keep a consent and answer with the wallet, the welcome offer first."""
    site, wording = _site(request)
    body = await read_body(request, ConsentBody)
    if not body.terms:
        return _refused(site, Refusal(Reason.NO_CONSENT), wording)
    given = consent_now(site, wording, analytics=body.analytics, marketing=body.marketing)
    try:
        answer = await site.hosting.welcome(site.guest(request), given)
    except StoreFull:
        return _refused(site, Refusal(Reason.STORE_FULL), wording)
    return _wallet_or_refused(site, answer, wording)


async def play(request: web.Request) -> web.Response:
    """One shake; the same nonce is the same play."""
    site, wording = _site(request)
    body = await read_body(request, PlayBody)
    answer = await site.hosting.play(
        site.guest(request), CampaignId(body.campaign), bytes.fromhex(body.nonce)
    )
    if isinstance(answer, Refusal):
        return _refused(site, answer, wording)
    receipt = answer.record.receipt
    card = answer.card
    return web.json_response(
        {
            "play": receipt.play,
            "won": answer.record.won,
            "coupon": None if card is None else card_json(card, wording, site.premises.zone),
            "receipt": receipt.model_dump(mode="json"),
        }
    )


async def wallet(request: web.Request) -> web.Response:
    """The visitor's coupons; no visitor and none for a phone that has not consented."""
    site, wording = _site(request)
    held = await site.hosting.wallet(site.guest(request))
    if held is None:
        return web.json_response({"visitor": None, "coupons": []})
    return with_cookie(web.json_response(_wallet_json(site, held, wording)), held)


async def member(request: web.Request) -> web.Response:
    """Open a member's wallet on this phone; the answer's cookie is what keeps it open."""
    site, wording = _site(request)
    body = await read_body(request, MemberBody)
    try:
        answer = await site.hosting.link_member(site.guest(request), body.code)
    except StoreFull:
        return _refused(site, Refusal(Reason.STORE_FULL), wording)
    return _wallet_or_refused(site, answer, wording)


async def sightings(request: web.Request) -> web.Response:
    """Tickets for the zones whose rotating identities the phone has just heard."""
    site = request.app[SITE]
    body = await read_body(request, SightingsBody)
    heard = [Heard(bytes.fromhex(each.data), each.age_ms) for each in body.heard]
    zone = site.premises.zone
    return web.json_response(
        {
            "tickets": [
                {"zone": each.zone, "ticket": each.text, "expires_at": rfc3339(each.expires_ms, zone)}
                for each in site.ticketing.tickets(heard)
            ]
        }
    )


async def capport(request: web.Request) -> web.Response:
    """The captive portal API. Source: RFC 8908.

    Always captive: this agent opens no way to the internet, and a phone must not be told that it has one.
    """
    base_url = request.app[SITE].base_url
    return web.json_response(
        {
            "captive": True,
            "user-portal-url": f"{base_url}/",
            "venue-info-url": f"{base_url}/",
            "can-extend-session": False,
            "x-android-use-custom-tabs": _ANDROID_CUSTOM_TABS,
        },
        content_type="application/captive+json",
    )


async def draw(request: web.Request) -> web.Response:
    """The seed of a past day's draw, by which anybody recomputes the receipts that carry its commitment."""
    site = request.app[SITE]
    campaign, day = request.match_info["campaign"], request.match_info["day"]
    revealed = None
    if _DAY.fullmatch(day):
        commitment = request.query.get("commitment")
        revealed = await site.issuing.revealed_draw(
            CampaignId(campaign), LocalDay(day), commitment=commitment
        )
    if revealed is None:
        detail = "No such draw, or its day is not over: a seed is shown on the day after."
        return problem(404, "not_revealed", detail)
    return web.json_response(
        {
            "campaign": campaign,
            "edition": revealed.edition,
            "day": day,
            "seed": revealed.seed_hex,
            "commitment": revealed.commitment_hex,
            "plays": revealed.plays,
            "head": revealed.head_hex,
            "agent_key": site.premises.mint.public_key.hex(),
        }
    )


def _site(request: web.Request) -> tuple[Site, Wording]:
    site = request.app[SITE]
    return site, site.wording(request)


def _wallet_or_refused(site: Site, answer: Wallet | Refusal, wording: Wording) -> web.Response:
    if isinstance(answer, Refusal):
        return _refused(site, answer, wording)
    return with_cookie(web.json_response(_wallet_json(site, answer, wording)), answer)


def _wallet_json(site: Site, held: Wallet, wording: Wording) -> dict[str, object]:
    zone = site.premises.zone
    return {"visitor": held.visitor, "coupons": [card_json(card, wording, zone) for card in held.cards]}


def _refused(site: Site, refusal: Refusal, wording: Wording) -> web.Response:
    say = refusal_sentences(refusal, wording, site.premises.zone)
    return web.json_response({"reason": refusal.reason.value, "say": say.shopper}, status=409)
