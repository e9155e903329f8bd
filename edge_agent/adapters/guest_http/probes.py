"""The http listener: every probe of every system is told "captive" by a redirect to the page.

A phone decides that it is behind a portal when its probe gets anything but the answer it knows; a redirect is the one
answer that all of them follow to a page. So no list of probe hosts is needed, and none can go stale. Nothing else is
served here: what a phone sends over http can be read by everybody in the store.
"""

from urllib.parse import urlsplit

from aiohttp import web

from edge_agent.adapters.guest_http.site import SITE, Handler

# A longer target is no page of ours; it is led to the front door instead of being repeated in a header.
_TARGET_CHARS_MAX = 256


@web.middleware
async def redirect_to_page(request: web.Request, handler: Handler) -> web.StreamResponse:
    """302 to the welcome page; an address of ours typed without https leads to the same page with it.

    A middleware and no route, because some targets that phones and scanners send match no route at all.
    """
    site = request.app[SITE]
    target = "/"
    if request.method in ("GET", "HEAD") and _is_ours(request.host, site.base_url):
        target = request.raw_path if _is_plain(request.raw_path) else "/"
    location = f"{site.base_url}{target}"
    return web.Response(
        # What was posted in clear must not be posted on.
        status=302 if request.method in ("GET", "HEAD") else 303,
        headers={"Location": location, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        body=b""
        if request.method == "HEAD"
        else f'<!doctype html><a href="{site.base_url}/">Wi-Fi</a>'.encode(),
        content_type="text/html",
        charset="utf-8",
    )


def _is_ours(host: str, base_url: str) -> bool:
    return urlsplit(f"//{host}").hostname == urlsplit(base_url).hostname if _is_host(host) else False


def _is_host(host: str) -> bool:
    try:
        return bool(urlsplit(f"//{host}").hostname)
    except ValueError:
        return False


def _is_plain(target: str) -> bool:
    """Whether a request target is a path that can stand in a header as it is."""
    return (
        target.startswith("/")
        and len(target) <= _TARGET_CHARS_MAX
        and target.isascii()
        and target.isprintable()
    )
