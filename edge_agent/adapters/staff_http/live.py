"""Who and what is near: a page that stands by itself, and a stream that keeps it fresh where scripts run."""

from dataclasses import dataclass

from aiohttp import web

from edge_agent.adapters.staff_http.doors import till_of_cookie
from edge_agent.adapters.staff_http.page import Page, paired_page
from edge_agent.services.board import Picture

# Dwell times and signals move even when nothing else does; the stream also looks this often whether to stop.
_REFRESH_S = 1.0
# A store has a few screens; each holds one stream.
_STREAMS_MAX = 32


@dataclass
class _Streams:
    open: int = 0
    stopping: bool = False


_STREAMS = web.AppKey("streams", _Streams)


def add_live(app: web.Application) -> None:
    app[_STREAMS] = _Streams()
    app.router.add_get("/staff", paired_page(_near))
    app.router.add_get("/staff/live", paired_page(_live))
    app.on_shutdown.append(_stop_streams)


async def _near(page: Page) -> web.StreamResponse:
    report = page.parts.health.report()
    facts = _facts(page.parts.board.picture())
    # Health says them in English, and so it does to readers of a language that has no sentence for one of a later version.
    issues = [(page.wording.texts.get(f"issue.{issue.code}"), issue) for issue in report.issues]
    return page.answer("near.html", facts | {"radio": report.radio, "issues": issues})


async def _live(page: Page) -> web.StreamResponse:
    """Server-sent events, each the list as HTML, until the browser goes or the agent stops."""
    streams = page.request.app[_STREAMS]
    if streams.open >= _STREAMS_MAX:
        return web.Response(status=503, headers={"Retry-After": "10"})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(page.request)
    streams.open += 1
    try:
        async for picture in page.parts.board.pictures(every_s=_REFRESH_S):
            if till_of_cookie(page.request) is None:
                break  # HQ dropped this till
            await response.write(_event(page, picture))
            if streams.stopping:
                break
    except ConnectionResetError:
        pass  # the browser went away, which is how every stream ends
    finally:
        streams.open -= 1
    return response


def _event(page: Page, picture: Picture) -> bytes:
    html = page.part("near_list.html", _facts(picture))
    data = "\n".join(f"data: {line}" for line in html.splitlines() if line.strip())
    return f"event: near\n{data}\n\n".encode()


def _facts(picture: Picture) -> dict[str, object]:
    """Tags first: people are what staff look for; beacons on the wall come after."""
    return {
        "tags": [each for each in picture.present if each.role == "tag"],
        "beacons": [each for each in picture.present if each.role != "tag"],
        "recent": picture.recent[:12],
    }


async def _stop_streams(app: web.Application) -> None:
    app[_STREAMS].stopping = True
