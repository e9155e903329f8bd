"""Who may come in: tills by their bearer token, browsers by the cookies of a paired device and a signed-in cashier.

The API takes no cookies and the pages take no tokens, so a page that somebody else wrote can use neither.
"""

from aiohttp import web

from edge_agent.adapters.staff_http.parts import PARTS, Doorway
from edge_agent.adapters.staff_http.problems import unauthorised
from engagement.ids import TillName

# __Host- makes browsers refuse the cookie from a sibling name, without TLS or for part of the site.
TILL_COOKIE = "__Host-till"
SESSION_COOKIE = "__Host-cashier"
LANGUAGE_COOKIE = "__Host-language"
# A till stays paired until its token changes; browsers cap this at 400 days and each visit renews it.
_PAIRED_S = 400 * 24 * 3600
_TOKEN_CHARS_MAX = 512

_HINT = "Send the header 'Authorization: Bearer <till token>'; the token came with the till's pairing."


def till_of_bearer(request: web.Request) -> TillName:
    """The till that calls. Errors: Problem 401."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not token:
        raise unauthorised("token_missing", _HINT)
    if scheme.lower() != "bearer":
        raise unauthorised("token_missing", f"The scheme is {scheme[:20]!r}, must be Bearer. {_HINT}")
    till = request.app[PARTS].cashiers.till_of(token.strip()[:_TOKEN_CHARS_MAX])
    if till is None:
        raise unauthorised(
            "token_unknown", "No till of this store has this token: pair the till again, or ask HQ."
        )
    return till


def till_of_cookie(request: web.Request) -> TillName | None:
    """The till that a browser is paired as; asking does not count as use of a cashier's session."""
    token = request.cookies.get(TILL_COOKIE, "")
    return request.app[PARTS].cashiers.till_of(token[:_TOKEN_CHARS_MAX]) if token else None


def doorway(request: web.Request) -> Doorway | None:
    """The paired device that asks for a page, and who is signed in there; None when it is not paired."""
    till = till_of_cookie(request)
    if till is None:
        return None
    session = request.cookies.get(SESSION_COOKIE, "")
    cashiers = request.app[PARTS].cashiers
    return Doorway(till, cashiers.session(session, till=till) if session else None)


def is_own_origin(request: web.Request) -> bool:
    """Whether a form or script of ours sent this; every browser names the origin of what changes something."""
    origin = request.headers.get("Origin")
    return origin is not None and origin.rpartition("://")[2] == request.host


def keep_cookie(response: web.StreamResponse, name: str, value: str, *, max_age_s: int | None) -> None:
    """``max_age_s`` None: until the browser is closed."""
    response.set_cookie(
        name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="Strict"
    )


def keep_paired(response: web.StreamResponse, token: str) -> None:
    keep_cookie(response, TILL_COOKIE, token, max_age_s=_PAIRED_S)


def forget_cookie(response: web.StreamResponse, name: str) -> None:
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")
