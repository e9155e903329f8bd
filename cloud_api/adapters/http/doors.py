"""Who may come in: people by a bearer token or the session's cookie.

A cookie alone never changes anything for another site: it is SameSite=Strict, and what is not a plain GET must name our
own origin besides.
"""

from aiohttp import web

from cloud_api.adapters.http.parts import PARTS
from cloud_api.adapters.http.problems import Problem, unauthorised

# __Host- makes browsers refuse the cookie from a sibling name, without TLS or for part of the site.
SESSION_COOKIE = "__Host-session"
_TOKEN_CHARS_MAX = 128
_HINT = "Sign in with POST /v1/sessions and send the header 'Authorization: Bearer <token>'."


def token_of(request: web.Request) -> str:
    """The session's token. Errors: Problem 401, 403."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if token:
        if scheme.lower() != "bearer":
            raise unauthorised("token_missing", f"The scheme is {scheme[:20]!r}, must be Bearer. {_HINT}")
        return token.strip()[:_TOKEN_CHARS_MAX]
    cookie = request.cookies.get(SESSION_COOKIE, "")
    if not cookie:
        raise unauthorised("token_missing", _HINT)
    if request.method not in ("GET", "HEAD") and not is_own_origin(request):
        raise Problem(
            403, "foreign_origin", "Sent from another site", "Send the token in the Authorization header."
        )
    return cookie[:_TOKEN_CHARS_MAX]


async def user_of(request: web.Request) -> str:
    """Who is signed in. Errors: Problem 401, 403."""
    user = await request.app[PARTS].signing_in.user_of(token_of(request))
    if user is None:
        raise unauthorised("token_unknown", f"Nobody has this token any more. {_HINT}")
    return user


def keep_session(response: web.StreamResponse, token: str, *, max_age_s: int) -> None:
    response.set_cookie(
        SESSION_COOKIE, token, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="Strict"
    )


def forget_session(response: web.StreamResponse) -> None:
    response.del_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="Strict")


def is_own_origin(request: web.Request) -> bool:
    """Every browser names the origin of what changes something."""
    origin = request.headers.get("Origin")
    return origin is not None and origin.rpartition("://")[2] == request.host
