"""What every page of the console shares: its language, its frame, and who may see it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode

from aiohttp import web

from cloud_api.adapters.http.console.files import ASSET_MARK
from cloud_api.adapters.http.console.glance import Glance
from cloud_api.adapters.http.doors import SESSION_COOKIE, is_own_origin
from cloud_api.adapters.http.operations import BODY_BYTES_MAX, limited_body
from cloud_api.adapters.http.parts import PARTS, Parts
from cloud_api.adapters.http.problems import Problem, as_problem
from cloud_api.adapters.page_templates import PageTemplates
from cloud_api.adapters.wording import Catalogue, Wording
from cloud_api.ports.storage import StorageBusy, StorageFailed
from engagement.ids import AgentName

ENDONYMS = {"en": "English", "zh-Hans": "简体中文"}
# The pages in the order of the navigation: address, and the key of its name.
PAGES = (("/", "nav.overview"), ("/coupon", "nav.coupon"))
_LANGUAGE_COOKIE = "__Host-language"
_LANGUAGE_S = 365 * 24 * 3600
_TOKEN_CHARS_MAX = 128
# Where to go on after signing in: a page of ours, with its days and branch.
_NEXT_CHARS_MAX = 500
_FIELDS_MAX = 20
# HQ's issue that the pages tell themselves, with the agents that are waited for.
_FENCED = "fenced"
# An agent reports every two seconds: nothing that is counted up to that is worth reading.
_NOW_MS = 5_000
# Nothing comes from elsewhere and nothing is written into the page; pages that frame ours get nothing.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Console:
    """What the pages are made with, read once; ``glance``: what all of them see of the agents."""

    templates: PageTemplates
    catalogue: Catalogue
    glance: Glance = field(default_factory=Glance)

    @classmethod
    def load(cls) -> "Console":
        """Errors: CatalogueFault."""
        return cls(PageTemplates(), Catalogue.load())


CONSOLE = web.AppKey("console", Console)


@dataclass(frozen=True)
class Page:
    """One request for a page, in the reader's language. ``user``: empty while nobody is signed in; ``awaited``: agents
    that a restored HQ must hear before it lends anything."""

    request: web.Request
    parts: Parts
    wording: Wording
    user: str
    awaited: Sequence[AgentName] = ()

    def answer(self, template: str, facts: Mapping[str, object], *, status: int = 200) -> web.Response:
        html = self.request.app[CONSOLE].templates.render(template, self._frame() | dict(facts))
        response = web.Response(text=html, content_type="text/html", charset="utf-8", status=status)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Content-Language"] = self.wording.language
        response.headers["Vary"] = "Accept-Language, Cookie"
        if self.request.query.get("lang") in ENDONYMS:
            response.set_cookie(
                _LANGUAGE_COOKIE,
                self.wording.language,
                max_age=_LANGUAGE_S,
                path="/",
                secure=True,
                httponly=True,
                samesite="Strict",
            )
        return response

    def ago(self, instant_ms: int) -> str:
        """How long ago it was, as ``3 minutes ago``."""
        since_ms = self.parts.overview.since_ms(instant_ms)
        if since_ms < _NOW_MS:
            return self.wording.text("agent.now")
        return self.wording.text("agent.ago", span=self.wording.span(since_ms))

    def _frame(self) -> dict[str, object]:
        query = [(name, value) for name, value in self.request.query.items() if name != "lang"]
        return {
            "t": self.wording.text,
            "money": self.wording.money,
            "number": self.wording.number,
            "share": self.wording.share,
            "language": self.wording.language,
            "languages": [
                (tag, name, "?" + urlencode([*query, ("lang", tag)])) for tag, name in ENDONYMS.items()
            ],
            "user": self.user,
            "here": self.request.path,
            "pages": PAGES,
            "issues": self._issues(),
            "awaited": self.awaited,
            "agent_at": agent_address,
            "campaign_at": campaign_address,
            "asset": lambda name: f"/assets/{ASSET_MARK}/{name}",
        }

    def _issues(self) -> list[tuple[str, str]]:
        """What ails HQ itself: meaning and remedy, in the reader's language where it has words for it."""
        if not self.user:
            return []
        known = self.wording.known
        return [
            (known(f"hq.{issue.code}", issue.means), known(f"hq_do.{issue.code}", issue.do))
            for issue in self.parts.tending.issues
            if issue.code != _FENCED
        ]


# What is said where a page cannot be shown; of all else that it cannot be read.
_SAID_OF_CODE = {"foreign_origin": "error.foreign"}
_SAID_OF_STATUS = {
    403: "error.busy",
    404: "error.no_page",
    405: "error.no_page",
    500: "error.ours",
    503: "error.busy",
}

PageHandler = Callable[[Page], Awaitable[web.StreamResponse]]
RawHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def page_of(request: web.Request) -> Page:
    """Errors: StorageBusy, StorageFailed."""
    parts = request.app[PARTS]
    token = session_of(request)
    user = await parts.signing_in.user_of(token) if token else None
    awaited = (await parts.lending.fence()).waiting_for if user else ()
    return Page(request, parts, _wording_of(request), user or "", awaited)


def _wording_of(request: web.Request) -> Wording:
    chosen = request.query.get("lang") or request.cookies.get(_LANGUAGE_COOKIE)
    return request.app[CONSOLE].catalogue.choose(chosen, request.headers.get("Accept-Language"))


def session_of(request: web.Request) -> str:
    """The token of the session's cookie; empty where there is none."""
    return request.cookies.get(SESSION_COOKIE, "")[:_TOKEN_CHARS_MAX]


def open_page(handler: PageHandler) -> RawHandler:
    """For everybody; what changes something must come from our own pages. A failure is told as a page too."""

    async def handle(request: web.Request) -> web.StreamResponse:
        page = await page_of(request)
        try:
            if request.method == "POST" and not is_own_origin(request):
                raise Problem(403, "foreign_origin", "Sent from another site", "Open the console again.")
            return await handler(page)
        except Exception as error:  # what is known becomes a page; the rest is recorded at the request's top
            problem = as_problem(error)
            if problem is None:
                raise
            return refused_page(page, problem)

    return handle


def signed_in_page(handler: PageHandler) -> RawHandler:
    """Others are asked to sign in, and come back to the page that they asked for; what they sent is not done."""

    async def handle(page: Page) -> web.StreamResponse:
        if page.user:
            return await handler(page)
        request = page.request
        has_sent = request.method == "POST"
        said = "sign_in.not_done" if has_sent else "sign_in.ended" if session_of(request) else ""
        going_on = request.path if has_sent else request.path_qs
        return sign_in_form(page, problem=page.wording.text(said) if said else "", going_on=going_on)

    return open_page(handle)


def sign_in_form(
    page: Page, *, problem: str = "", name: str = "", going_on: str = "/", status: int = 200
) -> web.Response:
    """``going_on``: the page that signing in leads to."""
    facts = {"problem": problem, "name": name, "going_on": own_page(going_on)}
    return page.answer("sign_in.html", facts, status=status)


def own_page(address: str) -> str:
    """The address where it is one of ours as a browser reads it, else the overview's."""
    is_own = address.startswith("/") and not address.startswith("//") and "\\" not in address
    fits = address.isprintable() and len(address) <= _NEXT_CHARS_MAX
    return address if is_own and fits else "/"


async def page_for_error(request: web.Request, problem: Problem) -> web.Response:
    """What a browser shows where there is no page, or none could be made; a storage that fails hides who is signed in."""
    try:
        page = await page_of(request)
    except (StorageBusy, StorageFailed):
        page = Page(request, request.app[PARTS], _wording_of(request), user="")
    return refused_page(page, problem)


def refused_page(page: Page, problem: Problem) -> web.Response:
    text = page.wording.text(
        _SAID_OF_CODE.get(problem.code, _SAID_OF_STATUS.get(problem.status, "error.form"))
    )
    response = page.answer("error.html", {"problem": text, "code": problem.code}, status=problem.status)
    response.headers.update(problem.headers)
    return response


def missing_page(page: Page) -> web.Response:
    """For an agent or a campaign that HQ does not know."""
    return page.answer(
        "error.html", {"problem": page.wording.text("error.missing"), "code": "no_such_page"}, status=404
    )


def confirm_page(
    page: Page,
    what: str,
    *,
    name: str,
    back: str,
    choices: Sequence[tuple[str, str]] = (),
    is_dangerous: bool = False,
) -> web.Response:
    """Ask before something that cannot be taken back; ``choices``: name and value of radio buttons, of
    which the person must choose one; ``is_dangerous``: at present more so than ever."""
    facts = {"what": what, "name": name, "back": back, "choices": choices, "is_dangerous": is_dangerous}
    return page.answer("confirm.html", facts)


def agent_address(agent: str) -> str:
    return f"/agents/{quote(agent, safe='')}"


def campaign_address(campaign: str) -> str:
    return f"/campaigns/{quote(campaign, safe='')}"


async def read_form(page: Page) -> Mapping[str, str]:
    """The fields of a urlencoded form. Errors: Problem 400, 413, 415."""
    request = page.request
    if request.content_type != "application/x-www-form-urlencoded":
        raise Problem(415, "wrong_type", "Another type of body", "Send a form.")
    data = await limited_body(request, BODY_BYTES_MAX)
    try:
        return dict(parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX))
    except ValueError:
        raise Problem(400, "form_unreadable", "The form cannot be read", "Open the page again.") from None


def see_other(address: str) -> web.Response:
    """Go on there with a GET."""
    return web.Response(status=303, headers={"Location": address})
