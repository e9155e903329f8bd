"""The console's addresses."""

from aiohttp import web

from cloud_api.adapters.http.console.agents import agent_page, judge_again, judged, revoke, write_off
from cloud_api.adapters.http.console.campaigns import campaign_page, stop
from cloud_api.adapters.http.console.coupons import look_up
from cloud_api.adapters.http.console.entrance import door, sign_in, sign_out
from cloud_api.adapters.http.console.files import add_files
from cloud_api.adapters.http.console.live import add_live
from cloud_api.adapters.http.console.overview import overview_page
from cloud_api.adapters.http.console.page import CONSOLE, Console, open_page, signed_in_page


def add_console(app: web.Application) -> None:
    """Errors: CatalogueFault."""
    app[CONSOLE] = Console.load()
    router = app.router
    router.add_post("/signin", open_page(sign_in))
    router.add_post("/signout", open_page(sign_out))
    for address in ("/signin", "/signout"):
        router.add_get(address, open_page(door))
    router.add_get("/", signed_in_page(overview_page))
    router.add_get("/agents/{agent}", signed_in_page(agent_page))
    router.add_get("/campaigns/{campaign}", signed_in_page(campaign_page))
    router.add_get("/agents/{agent}/judge", signed_in_page(judged))
    router.add_post("/agents/{agent}/judge", signed_in_page(judge_again))
    for address, handler in (
        ("/coupon", look_up),
        ("/agents/{agent}/revoke", revoke),
        ("/agents/{agent}/write-off", write_off),
        ("/campaigns/{campaign}/stop", stop),
    ):
        router.add_get(address, signed_in_page(handler))
        router.add_post(address, signed_in_page(handler))
    add_files(app)
    add_live(app)
