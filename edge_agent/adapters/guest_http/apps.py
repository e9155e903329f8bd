"""Builds the two guest listeners. The composition root serves ``http`` and ``https`` on their ports."""

from typing import NamedTuple

from aiohttp import web

from edge_agent.services.hosting import Hosting
from edge_agent.services.issuing import Issuing
from edge_agent.services.premises import Premises
from edge_agent.services.ticketing import Ticketing


class GuestApps(NamedTuple):
    http: web.Application
    https: web.Application


def build_guest_apps(
    *, premises: Premises, hosting: Hosting, issuing: Issuing, ticketing: Ticketing, base_url: str
) -> GuestApps:
    """``base_url``: the welcome page's https address as phones see it, without a trailing slash."""
    raise NotImplementedError
