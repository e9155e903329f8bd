"""The http listener: every probe of every system is told "captive" by a redirect to the page.

A phone decides that it is behind a portal when its probe gets anything but the answer it knows; a redirect is the one
answer that all of them follow to a page. So no list of probe hosts is needed, and none can go stale. Nothing else is
served here: what a phone sends over http can be read by everybody in the store.
"""

from urllib.parse import urlsplit

from aiohttp import web

from edge_agent.adapters.guest_http.site import SITE, Handler

# What is ours and may be typed, kept or scripted without https; every other path is a probe's or a mistake.
_OUR_PAGES = ("/wallet", "/coupons/", "/plays/", "/terms", "/capport", "/api/", "/draws/")
# A longer target is no page of ours; it is led to the front door instead of being repeated in a header.
_TARGET_CHARS_MAX = 256
# Where systems look for the internet, whatever the host; asked over https of our own name they get the page as well.
PROBE_PATHS = frozenset(
    {
        "/generate_204",
        "/gen_204",
        "/hotspot-detect.html",
        "/library/test/success.html",
        "/connecttest.txt",
        "/ncsi.txt",
        "/redirect",
        "/captiveportal/generate_204",
        "/canonical.html",
        "/success.txt",
        "/kindle-wifi/wifistub.html",
        "/check_network_status.txt",
        "/nm",
        "/ok",
    }
)


@web.middleware
async def redirect_to_page(request: web.Request, handler: Handler) -> web.StreamResponse:
    """302 to the welcome page; a page of ours asked for without https leads to the same page with it.

    A middleware and no route, because some targets that phones and scanners send match no route at all.
    """
    base_url = request.app[SITE].base_url
    is_read = request.method in ("GET", "HEAD")
    keeps_path = is_read and _is_ours(request.host, base_url) and _is_our_page(request.raw_path)
    return web.Response(
        # What was posted in clear must not be posted on.
        status=302 if is_read else 303,
        headers={
            "Location": f"{base_url}{request.raw_path if keeps_path else '/'}",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
        body=b"" if request.method == "HEAD" else f'<!doctype html><a href="{base_url}/">Wi-Fi</a>'.encode(),
        content_type="text/html",
        charset="utf-8",
    )


def _is_ours(host: str, base_url: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname == urlsplit(base_url).hostname
    except ValueError:
        return False


def _is_our_page(target: str) -> bool:
    """Whether a request target is a page of ours and can stand in a header as it is."""
    is_plain = len(target) <= _TARGET_CHARS_MAX and target.isascii() and target.isprintable()
    return is_plain and target.startswith((*_OUR_PAGES, "/?"))
