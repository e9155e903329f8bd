"""Builds the two guest listeners. The composition root serves ``http`` and ``https`` on their ports."""

from typing import NamedTuple

from aiohttp import web

from edge_agent.adapters.guest_http import api, pages
from edge_agent.adapters.guest_http.front_door import FRONT_DOOR, FrontDoor
from edge_agent.adapters.guest_http.guards import guard
from edge_agent.adapters.guest_http.probes import redirect_to_page
from edge_agent.adapters.guest_http.site import SITE, Assets, Site
from edge_agent.adapters.page_templates import PageTemplates
from edge_agent.adapters.wording import Catalogue
from edge_agent.services.hosting import Hosting
from edge_agent.services.issuing import Issuing
from edge_agent.services.premises import Premises
from edge_agent.services.ticketing import Ticketing

# The largest honest body is a report of sightings, some kilobytes.
_BODY_BYTES_MAX = 64 * 1024


class GuestApps(NamedTuple):
    http: web.Application
    https: web.Application


def build_guest_apps(
    *, premises: Premises, hosting: Hosting, issuing: Issuing, ticketing: Ticketing, base_url: str
) -> GuestApps:
    """``base_url``: the welcome page's https address as phones see it, without a trailing slash."""
    site = Site(
        premises=premises,
        hosting=hosting,
        issuing=issuing,
        ticketing=ticketing,
        base_url=base_url,
        catalogue=Catalogue.load("guest"),
        templates=PageTemplates("guest"),
        assets=Assets.load(),
    )
    return GuestApps(http=_http_app(site), https=_https_app(site))


def _http_app(site: Site) -> web.Application:
    app = web.Application(middlewares=[redirect_to_page], client_max_size=_BODY_BYTES_MAX)
    app[SITE] = site
    return app


def _https_app(site: Site) -> web.Application:
    app = web.Application(middlewares=[guard], client_max_size=_BODY_BYTES_MAX)
    app[SITE] = site
    app[FRONT_DOOR] = FrontDoor(site)
    app.add_routes(
        [
            web.get("/", pages.home),
            web.post("/consent", pages.consent),
            web.post("/play", pages.play),
            web.get("/plays/{campaign}/{nonce}", pages.played),
            web.get("/wallet", pages.wallet),
            web.post("/member", pages.member),
            web.get(r"/coupons/{coupon:[0-9a-z-]+}.svg", pages.coupon_svg),
            web.get(r"/coupons/{coupon:[0-9a-z-]+}.png", pages.coupon_png),
            web.get(r"/coupons/{coupon:[0-9a-z-]+}", pages.coupon),
            *(web.get(path, pages.back_to_start) for path in ("/consent", "/play", "/member")),
            web.get("/terms", pages.terms),
            web.get("/capport", api.capport),
            web.post("/api/consent", api.consent),
            web.post("/api/play", api.play),
            web.get("/api/wallet", api.wallet),
            web.post("/api/member", api.member),
            web.post("/api/sightings", api.sightings),
            web.get("/draws/{campaign}/{day}", api.draw),
            web.get("/{anything:.*}", pages.nowhere),
        ]
    )
    return app
