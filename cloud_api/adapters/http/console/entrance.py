"""The console's door: signing in and out."""

from aiohttp import web

from cloud_api.adapters.http.console.page import (
    Page,
    own_page,
    read_form,
    see_other,
    session_of,
    sign_in_form,
)
from cloud_api.adapters.http.doors import forget_session, keep_session
from cloud_api.adapters.http.models import PASSWORD_CHARS_MAX
from cloud_api.adapters.http.problems import REFUSALS
from cloud_api.services.refused import Refused
from cloud_api.services.signing_in import SESSION_MS


async def sign_in(page: Page) -> web.StreamResponse:
    form = await read_form(page)
    going_on = own_page(form.get("next", "/"))
    name, password = form.get("user", "")[:200], form.get("password", "")[:PASSWORD_CHARS_MAX]
    try:
        signed_in = await page.parts.signing_in.sign_in(name, password)
    except Refused as refused:
        if refused.code not in ("password_wrong", "too_many_tries"):
            raise
        said = page.wording.text(f"sign_in.{refused.code}")
        status = REFUSALS[refused.code][0]
        return sign_in_form(page, problem=said, name=name, going_on=going_on, status=status)
    response = see_other(going_on)
    keep_session(response, signed_in.token, max_age_s=SESSION_MS // 1000)
    return response


async def door(page: Page) -> web.StreamResponse:
    """The address of a form, opened as a page: somebody reloaded, went back or chose the other language there."""
    return see_other("/?" + page.request.query_string if page.request.query_string else "/")


async def sign_out(page: Page) -> web.StreamResponse:
    if token := session_of(page.request):
        await page.parts.signing_in.sign_out(token)
    response = see_other("/")
    forget_session(response)
    return response
