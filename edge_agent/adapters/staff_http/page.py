"""What every page shares: its language, its frame, and the rules of who may see it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from importlib import resources
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDictProxy

from edge_agent.adapters.staff_http.doors import (
    LANGUAGE_COOKIE,
    TILL_COOKIE,
    doorway,
    is_own_origin,
    keep_paired,
)
from edge_agent.adapters.staff_http.parts import PARTS, Doorway, Parts
from edge_agent.adapters.staff_http.problems import Problem
from edge_agent.adapters.wording import Wording
from engagement.ids import CashierName, TillName

ENDONYMS = {"en": "English", "zh-Hans": "简体中文"}
# The pages in the order of the navigation: address, and the key of its name.
PAGES = (
    ("/till", "nav.till"),
    ("/till/sheet", "nav.sheet"),
    ("/till/campaigns", "nav.campaigns"),
    ("/staff/coupon", "nav.coupon"),
    ("/staff", "nav.near"),
    ("/till/scanner", "nav.scanner"),
)

Form = MultiDictProxy[Any]

# What aiohttp raises over a body that is no form, or is not packed as it says.
_UNREADABLE = (ValueError, LookupError, RuntimeError, HttpProcessingError, web.RequestPayloadError)


@dataclass(frozen=True)
class Page:
    """One request for a page, in the reader's language. ``door`` None: the device is not paired."""

    request: web.Request
    parts: Parts
    wording: Wording
    door: Doorway | None

    @cached_property
    def till(self) -> TillName:
        assert self.door is not None, "the guard lets only paired devices through"
        return self.door.till

    @cached_property
    def cashier(self) -> CashierName:
        assert self.door is not None, "the guard lets only paired devices through"
        assert self.door.session is not None, "the guard lets only signed-in cashiers through"
        return self.door.session.cashier

    def signed_in(self, door: Doorway) -> "Page":
        return replace(self, door=door)

    def answer(self, template: str, facts: Mapping[str, object], *, status: int = 200) -> web.Response:
        """The page, in its frame."""
        html = self.parts.templates.render(template, self._frame() | dict(facts))
        response = web.Response(text=html, content_type="text/html", charset="utf-8", status=status)
        response.headers["Content-Language"] = self.wording.language
        return response

    def part(self, template: str, facts: Mapping[str, object]) -> str:
        """A piece of a page without its frame."""
        return self.parts.templates.render(template, self._frame() | dict(facts))

    def _frame(self) -> dict[str, object]:
        branch, session = self.parts.bundle.branch, self.door.session if self.door else None
        return {
            "t": self.wording.text,
            "money": lambda minor: self.wording.money(minor, branch.currency),
            "number": self.wording.number,
            "instant": lambda ms: self.wording.instant(ms, self.parts.zone),
            "clock": lambda ms: self.wording.clock(ms, self.parts.zone),
            "language": self.wording.language,
            "languages": [(tag, ENDONYMS[tag]) for tag in branch.page_languages],
            "branch": branch.name,
            "till": self.door.till if self.door else None,
            "cashier": session.cashier if session else None,
            "here": self.request.path,
            "pages": PAGES,
            "asset": lambda name: f"/assets/{ASSET_MARK}/{name}",
        }


def _mark() -> str:
    """Changes with the assets, so that browsers keep them for ever."""
    digest = sha256()
    for file in sorted(
        resources.files("edge_agent").joinpath("web/staff").iterdir(), key=lambda each: each.name
    ):
        if file.name.endswith((".css", ".js")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


ASSET_MARK = _mark()


async def read_form(request: web.Request) -> Form:
    """Errors: Problem 400 when the body is no form."""
    try:
        return await request.post()
    except _UNREADABLE:
        raise Problem(
            400, "form_unreadable", "The form cannot be read", "Open the page again; send forms in UTF-8."
        ) from None


PageHandler = Callable[[Page], Awaitable[web.StreamResponse]]
RawHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def page_of(request: web.Request) -> Page:
    parts = request.app[PARTS]
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in parts.languages:
        wording = parts.catalogue.wording(chosen)
    else:
        wording = parts.catalogue.choose(request.headers.get("Accept-Language"), parts.languages)
    return Page(request, parts, wording, doorway(request))


def open_page(handler: PageHandler) -> RawHandler:
    """For everybody on the staff network; what changes something must come from our own pages."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.method == "POST" and not is_own_origin(request):
            raise Problem(
                403,
                "foreign_origin",
                "This did not come from our own page",
                "Open the page at this address again.",
            )
        return await handler(page_of(request))

    return handle


def paired_page(handler: PageHandler) -> RawHandler:
    """For paired devices; others are asked for the till's token."""

    async def handle(page: Page) -> web.StreamResponse:
        if page.door is None:
            return pairing(page)
        response = await handler(page)
        if not response.prepared and TILL_COOKIE not in response.cookies:
            # Browsers cap a cookie's life: each visit renews the pairing.
            keep_paired(response, page.request.cookies[TILL_COOKIE])
        return response

    return open_page(handle)


def cashier_page(handler: PageHandler) -> RawHandler:
    """For signed-in cashiers; others are asked for their PIN, and what they sent is kept meanwhile."""

    async def handle(page: Page) -> web.StreamResponse:
        assert page.door is not None
        if page.door.session is None:
            kept = await read_form(page.request) if page.request.path == "/till" else None
            return sign_in_form(page, kept=kept)
        return await handler(page)

    return paired_page(handle)


def pairing(page: Page, *, problem: str = "") -> web.Response:
    return page.answer(
        "pair.html", {"problem": problem, "next": _next_of(page)}, status=401 if problem else 200
    )


def sign_in_form(
    page: Page, *, kept: Form | None = None, problem: str = "", wait_s: int = 0, chosen: str = ""
) -> web.Response:
    """``kept``: the till form in hand, which signing in returns to."""
    facts = {
        "names": page.parts.cashiers.names,
        "chosen": chosen,
        "problem": problem,
        "wait_s": wait_s,
        "next": _next_of(page),
        "kept": draft_fields(kept) if kept is not None else [],
    }
    return page.answer("sign_in.html", facts, status=401 if problem or kept else 200)


def see_other(address: str) -> web.Response:
    """Go on there with a GET."""
    return web.Response(status=303, headers={"Location": address})


def draft_fields(form: Form) -> list[tuple[str, str]]:
    """The fields of a till form that make its draft, to be carried through another page."""
    names = ("order", "basket", "code")
    return [(name, str(value)) for name, value in form.items() if name in names][:40]


def _next_of(page: Page) -> str:
    """Where to go once the door is open: one of our pages, never an address from outside."""
    wanted = page.request.path
    return wanted if wanted in {path for path, _ in PAGES} else "/till"
