"""The console's door: signing in and out."""

from aiohttp import web

from cloud_api.adapters.http.console.page import Page, read_form, see_other, session_of, sign_in_form
from cloud_api.adapters.http.doors import forget_session, keep_session
from cloud_api.adapters.http.models import PASSWORD_CHARS_MAX
from cloud_api.adapters.http.problems import REFUSALS
from cloud_api.services.refused import Refused
from cloud_api.services.signing_in import SESSION_MS


async def sign_in(page: Page) -> web.StreamResponse:
    form = await read_form(page)
    name, password = form.get("user", "")[:200], form.get("password", "")[:PASSWORD_CHARS_MAX]
    try:
        signed_in = await page.parts.signing_in.sign_in(name, password)
    except Refused as refused:
        if refused.code not in ("password_wrong", "too_many_tries"):
            raise
        said = page.wording.text(f"sign_in.{refused.code}")
        return sign_in_form(page, problem=said, name=name, status=REFUSALS[refused.code][0])
    response = see_other("/")
    keep_session(response, signed_in.token, max_age_s=SESSION_MS // 1000)
    return response


async def sign_out(page: Page) -> web.StreamResponse:
    if token := session_of(page.request):
        await page.parts.signing_in.sign_out(token)
    response = see_other("/")
    forget_session(response)
    return response
