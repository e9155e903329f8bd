"""What every handler of the guest side works with: the services, the words, the templates, the policy of the pages."""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib import resources

from aiohttp import web

from edge_agent.adapters.page_templates import PageTemplates
from edge_agent.adapters.wording import Catalogue, Wording
from edge_agent.services.hosting import Guest, Hosting
from edge_agent.services.issuing import Issuing
from edge_agent.services.premises import Premises
from edge_agent.services.ticketing import Ticketing

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# The prefix makes browsers insist on Secure, Path=/ and no Domain.
COOKIE = "__Host-beckon"
# The longest that browsers keep a cookie. Source: draft-ietf-httpbis-rfc6265bis, section 5.5.
COOKIE_AGE_S = 400 * 24 * 3600


@dataclass(frozen=True)
class Assets:
    """The one style sheet and the one script, inlined in the pages and allowed by their hashes alone."""

    css: str
    js: str

    @classmethod
    def load(cls) -> "Assets":
        folder = resources.files("edge_agent") / "web" / "guest"
        return cls(
            css=_without_indents((folder / "guest.css").read_text(encoding="utf-8")),
            js="\n".join(
                _without_indents((folder / name).read_text(encoding="utf-8"))
                for name in ("shake.js", "guest.js")
            ),
        )

    @cached_property
    def policy(self) -> str:
        """The pages' Content-Security-Policy."""
        return "; ".join(
            (
                "default-src 'none'",
                f"style-src '{_hash_source(self.css)}'",
                f"script-src '{_hash_source(self.js)}'",
                "connect-src 'self'",
                # The page's icon stands in the page, so that no browser asks for one.
                "img-src 'self' data:",
                "form-action 'self'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            )
        )


def _without_indents(text: str) -> str:
    """Drop indentation, empty lines and lines that are only a comment; these files keep comments on such lines."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*")))


def _hash_source(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


@dataclass(frozen=True)
class Site:
    """``base_url``: the welcome page's https address as phones see it, without a trailing slash."""

    premises: Premises
    hosting: Hosting
    issuing: Issuing
    ticketing: Ticketing
    base_url: str
    catalogue: Catalogue
    templates: PageTemplates
    assets: Assets

    @property
    def languages(self) -> tuple[str, ...]:
        return self.premises.bundle.branch.page_languages

    def guest(self, request: web.Request) -> Guest:
        """Who asks: a valid cookie outranks the source address."""
        cookie = request.cookies.get(COOKIE)
        return self.hosting.greet(request.remote or "", cookie if cookie and cookie.isascii() else None)

    def chosen_language(self, request: web.Request) -> str | None:
        """The language that the reader chose by a link of ours; it travels in links and forms, not in a cookie."""
        asked = request.query.get("lang")
        return asked if asked in self.languages else None

    def wording(self, request: web.Request) -> Wording:
        chosen = self.chosen_language(request)
        if chosen is not None:
            return self.catalogue.wording(chosen)
        return self.catalogue.choose(request.headers.get("Accept-Language"), self.languages)

    def render(
        self, template: str, wording: Wording, chosen: str | None, facts: Mapping[str, object]
    ) -> bytes:
        """A page's bytes. ``chosen``: the language to carry along in links; None where the phone's own fits."""
        shared = {
            "t": wording.text,
            "lang": wording.language,
            "languages": [(tag, _ENDONYM[tag]) for tag in self.languages if tag != wording.language],
            "chosen": chosen,
            "url": lambda path: f"{path}?lang={chosen}" if chosen else path,
            "branch": self.premises.bundle.branch.name,
            "css": self.assets.css,
            "js": self.assets.js,
        }
        return self.templates.render(template, shared | dict(facts)).encode()


# Languages are offered in their own words.
_ENDONYM = {"en": "English", "zh-Hans": "中文"}

SITE = web.AppKey("site", Site)
