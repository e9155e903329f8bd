"""Coming in and going out: pairing a device, signing in and out, choosing the language."""

from math import ceil

from aiohttp import web

from edge_agent.adapters.staff_http.doors import (
    LANGUAGE_COOKIE,
    SESSION_COOKIE,
    TILL_COOKIE,
    forget_cookie,
    keep_cookie,
    keep_paired,
)
from edge_agent.adapters.staff_http.page import (
    PAGES,
    Page,
    open_page,
    paired_page,
    pairing,
    read_form,
    see_other,
    sign_in_form,
)
from edge_agent.adapters.staff_http.parts import Doorway
from edge_agent.adapters.staff_http.till_page import show_kept
from edge_agent.services.cashiers import MustPause, WrongPin

_YEAR_S = 365 * 24 * 3600
_TOKEN_CHARS_MAX = 512


def add_entrance(app: web.Application) -> None:
    app.router.add_get("/", open_page(_front))
    app.router.add_post("/pair", open_page(_pair))
    app.router.add_post("/unpair", paired_page(_unpair))
    app.router.add_post("/sign-in", paired_page(_sign_in))
    app.router.add_post("/sign-out", paired_page(_sign_out))
    app.router.add_post("/language", open_page(_language))


async def _front(page: Page) -> web.StreamResponse:
    return see_other("/till")


async def _pair(page: Page) -> web.StreamResponse:
    form = await read_form(page.request)
    token = str(form.get("token", "")).strip()[:_TOKEN_CHARS_MAX]
    till = page.parts.cashiers.till_of(token)
    if till is None:
        return pairing(page, problem=page.wording.text("pair.wrong"))
    response = see_other(_own_page(str(form.get("next", ""))))
    keep_paired(response, token)
    return response


async def _unpair(page: Page) -> web.StreamResponse:
    page.parts.cashiers.sign_out(page.request.cookies.get(SESSION_COOKIE, ""))
    response = see_other("/till")
    forget_cookie(response, TILL_COOKIE)
    forget_cookie(response, SESSION_COOKIE)
    return response


async def _sign_in(page: Page) -> web.StreamResponse:
    form = await read_form(page.request)
    name, pin = str(form.get("cashier", "")), str(form.get("pin", ""))
    kept = form if "order" in form else None
    answer = await page.parts.cashiers.sign_in(page.till, name, pin)
    if isinstance(answer, WrongPin):
        problem = page.wording.text("sign_in.wrong", left=answer.left)
        return sign_in_form(page, kept=kept, problem=problem, chosen=name)
    if isinstance(answer, MustPause):
        wait_s = ceil(answer.wait_s)
        problem = page.wording.text("sign_in.pause", seconds=wait_s)
        return sign_in_form(page, kept=kept, problem=problem, wait_s=wait_s, chosen=name)
    if kept is not None:
        response = await show_kept(page.signed_in(Doorway(page.till, answer.session)), kept)
    else:
        response = see_other(_own_page(str(form.get("next", ""))))
    # Ends with the browser, or sooner: the service ends it when it is idle.
    keep_cookie(response, SESSION_COOKIE, answer.token, max_age_s=None)
    return response


async def _sign_out(page: Page) -> web.StreamResponse:
    page.parts.cashiers.sign_out(page.request.cookies.get(SESSION_COOKIE, ""))
    response = see_other("/till")
    forget_cookie(response, SESSION_COOKIE)
    return response


async def _language(page: Page) -> web.StreamResponse:
    form = await read_form(page.request)
    response = see_other(_own_page(str(form.get("next", ""))))
    chosen = str(form.get("language", ""))
    if chosen in page.parts.languages:
        keep_cookie(response, LANGUAGE_COOKIE, chosen, max_age_s=_YEAR_S)
    return response


def _own_page(wanted: str) -> str:
    return wanted if wanted in {path for path, _ in PAGES} else "/till"
