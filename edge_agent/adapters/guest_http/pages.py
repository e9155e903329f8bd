"""The pages: server-rendered, whole without JavaScript, cookies or storage; every change is a form post and a redirect.

The member code alone is answered without a redirect: a phone that keeps no cookie sees the member's wallet only there.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlsplit

from aiohttp import web

from edge_agent.adapters.guest_http.cards import card_view
from edge_agent.adapters.guest_http.faults import BadRequest, read_form
from edge_agent.adapters.guest_http.front_door import FRONT_DOOR
from edge_agent.adapters.guest_http.identity import consent_now, terms_paragraphs, with_cookie
from edge_agent.adapters.guest_http.packing import Packed, html_answer
from edge_agent.adapters.guest_http.probes import PROBE_PATHS
from edge_agent.adapters.guest_http.site import SITE, Site
from edge_agent.adapters.qr import qr_png, qr_svg
from edge_agent.adapters.wording import Wording, refusal_sentences
from edge_agent.ports import StoreFull
from edge_agent.services.hosting import Card, Game, Wallet
from engagement.campaign.play import NONCE_BYTES
from engagement.ids import CampaignId, CouponId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal

# Covers to pick from: enough to make it a choice, few enough for a thumb.
COVERS = 6
_PICK = re.compile(r"[A-Za-z0-9_-]{1,32}")
_NONCE = re.compile(r"[0-9a-fA-F]{32}")
_CAMPAIGN = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
# Large enough to print, small enough to send.
_PNG_SCALE = 10
_FORM_FIELD_CHARS_MAX = 200


async def home(request: web.Request) -> web.Response:
    """The welcome page; for a phone that consented, its coupon and the game."""
    site = request.app[SITE]
    wallet = await site.hosting.wallet(site.guest(request))
    if wallet is None or wallet.consent is None:
        return await _front_door(request)
    wording, chosen = site.wording(request), site.chosen_language(request)
    cards = [card_view(card, wording, site.premises.zone) for card in wallet.cards]
    shown = next((card for card in cards if card.is_usable), None)
    facts = {
        "card": shown,
        "qr": qr_svg(shown.code) if shown else "",
        "count": len(cards),
        "games": [_game_facts(site, game, wording) for game in (await site.hosting.games(wallet))[:1]],
        "covers": range(1, COVERS + 1),
    }
    return _personal(request, "home.html", wallet, facts, chosen)


async def _front_door(request: web.Request, *, status: int = 200, problem: str = "") -> web.Response:
    site, door = request.app[SITE], request.app[FRONT_DOOR]
    wording, chosen = site.wording(request), site.chosen_language(request)
    return html_answer(request, await door.page(wording, chosen, problem), status=status)


def _game_facts(site: Site, game: Game, wording: Wording) -> dict[str, object]:
    facts: dict[str, object] = {
        "campaign": game.campaign.id,
        "title": game.campaign.title[wording.language],
        "nonce": site.premises.entropy.token(NONCE_BYTES).hex(),
        "left": 0,
        "refusal": None,
    }
    if isinstance(game.plays_left, Refusal):
        return facts | {"refusal": refusal_sentences(game.plays_left, wording, site.premises.zone)}
    return facts | {"left": game.plays_left}


async def consent(request: web.Request) -> web.Response:
    """Keep the consent, give the welcome offer, and lead to it."""
    site, form = request.app[SITE], await read_form(request)
    wording = site.wording(request)
    if form.get("terms") != "yes":
        return await _front_door(request, status=409, problem=_say(site, Reason.NO_CONSENT, wording))
    given = consent_now(
        site, wording, analytics=form.get("analytics") == "yes", marketing=form.get("marketing") == "yes"
    )
    try:
        answer = await site.hosting.welcome(site.guest(request), given)
    except StoreFull:
        return await _front_door(request, status=409, problem=_say(site, Reason.STORE_FULL, wording))
    if isinstance(answer, Refusal):
        return await _refused_wallet(request, answer)
    return with_cookie(_see_other(request, "/wallet" if form.get("back") == "wallet" else "/"), answer)


async def play(request: web.Request) -> web.Response:
    """One play by picking a cover: the form's nonce and the pick together are the play's nonce."""
    site, form = request.app[SITE], await read_form(request)
    campaign = _field(form, "campaign", _CAMPAIGN, "a campaign's id, as in the form")
    pick = _field(form, "pick", _PICK, "1 to 32 letters, digits, - or _, as in the form")
    drawn = site.premises.entropy.token(NONCE_BYTES).hex()
    form_nonce = _field({"nonce": drawn} | form, "nonce", _NONCE, "32 hexadecimal digits")
    nonce = sha256(bytes.fromhex(form_nonce) + pick.encode()).digest()[:NONCE_BYTES]
    answer = await site.hosting.play(site.guest(request), CampaignId(campaign), nonce)
    if isinstance(answer, Refusal):
        wording = site.wording(request)
        say = refusal_sentences(answer, wording, site.premises.zone)
        title = wording.text("play.refused_title")
        return _message(request, title, say.shopper, status=409)
    return _see_other(request, f"/plays/{campaign}/{nonce.hex()}")


async def played(request: web.Request) -> web.Response:
    """What a play came to, the same however often it is opened."""
    site = request.app[SITE]
    campaign, nonce = request.match_info["campaign"], request.match_info["nonce"]
    if not _NONCE.fullmatch(nonce):
        raise web.HTTPNotFound
    guest = site.guest(request)
    answer = await site.hosting.played(guest, CampaignId(campaign), bytes.fromhex(nonce))
    wallet = await site.hosting.wallet(guest)
    if answer is None or wallet is None:
        raise web.HTTPNotFound
    wording = site.wording(request)
    card = card_view(answer.card, wording, site.premises.zone) if answer.card else None
    left = [game.plays_left for game in await site.hosting.games(wallet) if game.campaign.id == campaign]
    facts = {
        "left": next((each for each in left if isinstance(each, int)), 0),
        "won": answer.record.won,
        "card": card,
        "qr": qr_svg(card.code) if card else "",
        "receipt": answer.record.receipt,
        "pieces": range(24),
    }
    return _personal(request, "played.html", wallet, facts, site.chosen_language(request))


async def wallet(request: web.Request) -> web.Response:
    """All coupons of this visitor."""
    return await _wallet_page(request)


async def _wallet_page(
    request: web.Request, *, status: int = 200, problem: str = "", typed: str = ""
) -> web.Response:
    site = request.app[SITE]
    held = await site.hosting.wallet(site.guest(request))
    if held is None or held.consent is None:
        return _see_other(request, "/")
    return _shown_wallet(request, held, status=status, problem=problem, typed=typed)


async def _refused_wallet(request: web.Request, refusal: Refusal, *, typed: str = "") -> web.Response:
    """The wallet as it stands, with the reason why what was asked of it was not done. ``typed``: the member code to correct."""
    site = request.app[SITE]
    say = refusal_sentences(refusal, site.wording(request), site.premises.zone)
    problem = f"{say.shopper} {say.remedy}".strip()
    return await _wallet_page(request, status=409, problem=problem, typed=typed)


def _shown_wallet(
    request: web.Request, held: Wallet, *, status: int = 200, problem: str = "", typed: str = ""
) -> web.Response:
    site = request.app[SITE]
    wording = site.wording(request)
    facts = {
        "cards": [card_view(card, wording, site.premises.zone) for card in held.cards],
        "consent": held.consent,
        "is_member": held.is_member,
        "problem": problem,
        "typed": typed,
    }
    return _personal(request, "wallet.html", held, facts, site.chosen_language(request), status=status)


async def member(request: web.Request) -> web.Response:
    """Open a member's wallet on this phone by the code on their tag or card."""
    site, form = request.app[SITE], await read_form(request)
    answer: Wallet | Refusal
    try:
        answer = await site.hosting.link_member(
            site.guest(request), form.get("code", "")[:_FORM_FIELD_CHARS_MAX]
        )
    except StoreFull:
        answer = Refusal(Reason.STORE_FULL)
    if isinstance(answer, Refusal):
        return await _refused_wallet(request, answer, typed=form.get("code", "")[:_FORM_FIELD_CHARS_MAX])
    return _shown_wallet(request, answer)


async def coupon(request: web.Request) -> web.Response:
    """One coupon, with all that a till needs."""
    site, card = request.app[SITE], await _own_card(request)
    held = await site.hosting.wallet(site.guest(request))
    assert held is not None, "whoever has a card has a wallet"
    shown = card_view(card, site.wording(request), site.premises.zone)
    facts = {"card": shown, "qr": qr_svg(shown.code)}
    return _personal(request, "coupon.html", held, facts, site.chosen_language(request))


async def coupon_svg(request: web.Request) -> web.Response:
    card = await _own_card(request)
    return web.Response(text=qr_svg(card.coupon.code), content_type="image/svg+xml")


async def coupon_png(request: web.Request) -> web.Response:
    card = await _own_card(request)
    return web.Response(body=qr_png(card.coupon.code, _PNG_SCALE), content_type="image/png")


async def _own_card(request: web.Request) -> Card:
    site = request.app[SITE]
    card = await site.hosting.card(site.guest(request), CouponId(request.match_info["coupon"]))
    if card is None:
        raise web.HTTPNotFound
    return card


async def terms(request: web.Request) -> web.Response:
    """The terms and the privacy promise, as the consent names them."""
    site = request.app[SITE]
    wording = site.wording(request)
    page = site.render(
        "terms.html", wording, site.chosen_language(request), {"paragraphs": terms_paragraphs(wording)}
    )
    return html_answer(request, Packed(page))


async def back_to_start(request: web.Request) -> web.Response:
    """The address of a form, opened as a page: somebody reloaded or went back."""
    return _see_other(request, "/")


async def nowhere(request: web.Request) -> web.Response:
    """Another host's address and a probe's lead to the front door; an unknown one of ours is said to be unknown."""
    site = request.app[SITE]
    if request.host != urlsplit(site.base_url).netloc or request.path in PROBE_PATHS:
        raise web.HTTPFound(f"{site.base_url}/")
    raise web.HTTPNotFound


def _personal(
    request: web.Request,
    template: str,
    wallet: Wallet,
    facts: Mapping[str, object],
    chosen: str | None,
    *,
    status: int = 200,
) -> web.Response:
    site = request.app[SITE]
    page = site.render(template, site.wording(request), chosen, facts)
    return with_cookie(html_answer(request, Packed(page), status=status), wallet)


def _message(request: web.Request, title: str, text: str, *, status: int) -> web.Response:
    site = request.app[SITE]
    facts = {"title": title, "text": text, "detail": ""}
    page = site.render("message.html", site.wording(request), site.chosen_language(request), facts)
    return html_answer(request, Packed(page), status=status)


def _see_other(request: web.Request, path: str) -> web.Response:
    chosen = request.app[SITE].chosen_language(request)
    return web.Response(status=303, headers={"Location": f"{path}?lang={chosen}" if chosen else path})


def _say(site: Site, reason: Reason, wording: Wording) -> str:
    said = refusal_sentences(Refusal(reason), wording, site.premises.zone)
    return said.shopper


def _field(form: dict[str, str], name: str, allowed: re.Pattern[str], words: str) -> str:
    value = form.get(name, "")
    if not allowed.fullmatch(value):
        raise BadRequest(field=name, value=value, allowed=words)
    return value
