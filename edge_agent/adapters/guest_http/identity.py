"""How a phone is known again, and what it agreed to."""

from hashlib import sha256
from typing import TypeVar

from aiohttp import web

from edge_agent.adapters.guest_http.site import COOKIE, COOKIE_AGE_S, Site
from edge_agent.adapters.wording import Wording
from edge_agent.services.hosting import Wallet
from engagement.visitor.visitor import Consent

_DAY_S = 24 * 3600

A = TypeVar("A", bound=web.StreamResponse)


def with_cookie(answer: A, wallet: Wallet) -> A:
    """The answer, with the cookie by which this phone is known at its next visit."""
    answer.set_cookie(
        COOKIE, wallet.cookie, max_age=COOKIE_AGE_S, path="/", secure=True, httponly=True, samesite="Lax"
    )
    return answer


def terms_paragraphs(wording: Wording) -> list[tuple[str, str]]:
    """The terms in force, as headings and texts; a consent names exactly this text by its hash."""
    say = wording.text
    return [
        (say("terms.offers_title"), say("terms.offers")),
        (say("terms.draw_title"), say("terms.draw")),
        (say("terms.kept_title"), say("terms.kept", cookie=COOKIE, days=COOKIE_AGE_S // _DAY_S)),
        (say("terms.choice_title"), say("terms.choice")),
        (say("terms.end_title"), say("terms.end")),
    ]


def consent_now(site: Site, wording: Wording, *, analytics: bool, marketing: bool) -> Consent:
    text = "\n".join(f"{title}\n{text}" for title, text in terms_paragraphs(wording))
    return Consent(
        given_ms=site.premises.clock.now().wall_ms,
        analytics=analytics,
        marketing=marketing,
        language=wording.language,
        text_sha256=sha256(text.encode()).hexdigest(),
    )
