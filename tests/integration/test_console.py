"""The console as a browser without scripts meets it: a real cloud, pages, forms, cookies and the stream of events."""

import asyncio
import re
from html import unescape
from time import time

import pytest
from aiohttp import ClientResponse

from cloud_api.adapters.wording import Catalogue
from cloud_api.services.signing_in import TRIES_MAX
from engagement.coupon.short_code import make_short_code
from engagement.journal.event import Lane
from tests.eventually import PATIENCE_S
from tests.fakes.cloud_fixtures import Enrolled
from tests.fakes.cloud_process import PASSWORD, USER, CloudProcess, Desk
from tests.fakes.happenings import consented, issued, money, redeemed
from tests.fakes.hq import AGENT, HARBOUR, Journal
from tests.fakes.plain_browser import PlainBrowser
from tests.fakes.shop import moment
from tests.house.tree import ROOT

DAY = "/?from=2026-11-21&to=2026-11-21"
_HAS_NUMBER = r'data-campaign="welcome".*?data-of="{}">([^<]*)<'


@pytest.fixture(scope="module")
def enrolled() -> Enrolled:
    return ((HARBOUR, AGENT),)


def number(html: str, of: str) -> str:
    found = re.search(_HAS_NUMBER.format(of), html, re.DOTALL)
    assert found is not None
    return found[1]


def code_of(serial: int) -> str:
    return make_short_code(key=b"k", agent_number=1, lease_number=1, serial=serial, not_before_min=1)


def next_of(html: str) -> str:
    """Where signing in leads."""
    found = re.search(r'name="next" value="([^"]*)"', html)
    assert found is not None
    return unescape(found[1])


async def test_without_a_session_there_is_only_the_way_in(still_visitor: PlainBrowser) -> None:
    for path in ("/", DAY, "/coupon"):
        response, html = await still_visitor.get(path)
        assert response.status == 200
        assert 'action="/signin"' in html
        assert "welcome" not in html
    response, html = await still_visitor.post("/coupon", {"code": code_of(1)})
    assert 'action="/signin"' in html
    response, _ = await still_visitor.get("/events")
    assert response.status == 401


async def test_signing_in_and_out(visitor: PlainBrowser) -> None:
    response, html = await visitor.sign_in("wrong")
    assert (response.status, response.cookies) == (401, {})
    assert "User or password is wrong." in html
    assert f'value="{USER}"' in html
    response, _ = await visitor.sign_in()
    assert (response.status, response.headers["Location"]) == (303, "/")
    cookie = response.cookies["__Host-session"]
    assert (cookie["samesite"], cookie["secure"], cookie["httponly"], cookie["path"]) == (
        "Strict", True, True, "/",
    )  # fmt: skip
    _, html = await visitor.get("/")
    assert 'action="/signout"' in html
    token = cookie.value
    response, _ = await visitor.post("/signout", {})
    assert response.status == 303
    _, html = await visitor.get("/", Cookie=f"__Host-session={token}")
    assert 'action="/signin"' in html


async def test_signing_in_leads_to_the_page_that_was_asked_for(visitor: PlainBrowser) -> None:
    _, html = await visitor.get("/agents/harbour-1?judged=2&used=1")
    going_on = next_of(html)
    assert going_on == "/agents/harbour-1?judged=2&used=1"
    form = {"user": USER, "password": "wrong", "next": going_on}
    _, html = await visitor.post("/signin", form)
    assert next_of(html) == going_on
    response, _ = await visitor.post("/signin", form | {"password": PASSWORD})
    assert (response.status, response.headers["Location"]) == (303, going_on)


@pytest.mark.parametrize(
    "address", ["//elsewhere.test", "https://elsewhere.test", "/\\elsewhere.test", "/\r\nX: y", "", "/" * 600]
)
async def test_signing_in_leads_nowhere_else(still_visitor: PlainBrowser, address: str) -> None:
    response, _ = await still_visitor.post("/signin", {"user": USER, "password": PASSWORD, "next": address})
    assert (response.status, response.headers["Location"]) == (303, "/")


async def test_what_is_sent_after_the_session_is_said_not_to_be_done(visitor: PlainBrowser) -> None:
    await visitor.sign_in()
    await visitor.post("/signout", {})
    response, html = await visitor.post("/agents/harbour-1/judge", {})
    assert response.status == 200
    assert "what you sent was not done" in html
    await visitor.post("/signin", {"user": USER, "password": PASSWORD})
    response, _ = await visitor.get(next_of(html))
    assert (response.status, response.headers["Location"]) == (303, "/agents/harbour-1#letters")


@pytest.mark.parametrize("address", ["/signin", "/signout"])
async def test_the_address_of_the_doors_forms_opens_the_console(
    still_visitor: PlainBrowser, address: str
) -> None:
    response, _ = await still_visitor.get(f"{address}?lang=zh-Hans")
    assert (response.status, response.headers["Location"]) == (303, "/?lang=zh-Hans")


@pytest.mark.parametrize(("address", "status"), [("/nothing", 404), ("/agents/x/y", 404), ("/events", 405)])
async def test_a_browser_is_shown_a_page_where_there_is_none(
    still_visitor: PlainBrowser, address: str, status: int
) -> None:
    post = status == 405
    shows_pages = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": "zh"}
    async with still_visitor.session.request(
        "POST" if post else "GET", still_visitor.url + address, headers=shows_pages
    ) as response:
        html = await response.text()
    is_page = not post
    assert response.status == status
    assert response.content_type == ("text/html" if is_page else "application/problem+json")
    assert ("此地址没有页面" in html) == is_page
    response, _ = await still_visitor.get(address, Accept="application/json")
    assert response.content_type != "text/html"


async def test_guessing_is_slowed_as_at_the_api(visitor: PlainBrowser, hq: Desk) -> None:
    for _ in range(TRIES_MAX):
        await visitor.sign_in("wrong")
    response, html = await visitor.sign_in()
    assert response.status == 429
    assert "Too many wrong passwords" in html
    status, _ = await hq.ask("POST", "/v1/sessions", {"user": USER, "password": PASSWORD})
    assert status == 429


@pytest.mark.parametrize("origin", ["https://elsewhere.test", "null", None])
async def test_another_site_changes_nothing(still_visitor: PlainBrowser, origin: str | None) -> None:
    response, html = await still_visitor.post("/signin", {"user": USER, "password": PASSWORD}, origin=origin)
    assert (response.status, response.cookies) == (403, {})
    assert "did not come from our own page" in html
    await still_visitor.sign_in()
    response, _ = await still_visitor.post("/signout", {}, origin=origin)
    assert response.status == 403
    _, html = await still_visitor.get("/")
    assert 'action="/signout"' in html


async def test_forms_that_are_none(still_visitor: PlainBrowser) -> None:
    headers = {"Origin": still_visitor.url}
    for data, content_type, status in (
        (b"{}", "application/json", 415),
        (b"user=" + b"a" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"user=\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join([b"a=b"] * 50), "application/x-www-form-urlencoded", 400),
    ):
        async with still_visitor.session.post(
            still_visitor.url + "/signin", data=data, headers=headers | {"Content-Type": content_type}
        ) as response:
            assert response.status == status
            assert response.content_type == "text/html"


async def test_nothing_may_run_or_be_framed(still_visitor: PlainBrowser) -> None:
    response, html = await still_visitor.get("/")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert " style=" not in html
    assert "<script>" not in html
    asset = re.search(r'href="(/assets/[^"]+\.css)"', html)
    assert asset is not None
    response, style = await still_visitor.get(asset[1])
    assert (response.status, response.content_type) == (200, "text/css")
    assert "immutable" in response.headers["Cache-Control"]
    assert "prefers-color-scheme" in style
    response, _ = await still_visitor.get("/assets/x/base.html")
    assert response.status == 404


async def test_the_numbers_of_a_day_and_the_agents(visitor: PlainBrowser, hq: Desk) -> None:
    await visitor.sign_in()
    journal = Journal()
    journal.add(consented(), *money(3))
    journal.add_raw(Lane.MONEY, b"{}")
    for lane in (Lane.MONEY, Lane.ENGAGEMENT):
        assert (await hq.send(AGENT, journal.packed(lane=lane)))[0] == 200
    response, html = await visitor.get(DAY)
    assert response.status == 200
    assert [number(html, of) for of in ("detected", "shown", "claimed", "redeemed", "value")] == [
        "1", "1", "2", "1", "CN¥20.00",
    ]  # fmt: skip
    assert "In contact" in html
    assert "Not enrolled yet" in html
    assert re.search(r'data-agent="harbour-1".*?data-of="letters"[^>]*>1<', html, re.DOTALL)
    _, html = await visitor.get("/?from=2026-11-22&to=2026-11-22")
    assert number(html, "claimed") == "0"
    _, html = await visitor.get(DAY + "&branch=park")
    assert number(html, "claimed") == "0"
    assert "harbour-1" not in html


async def test_days_and_branches_that_are_none(visitor: PlainBrowser, hq: Desk) -> None:
    await visitor.sign_in()
    for query, said in (
        ("from=2026-02-30", "These days cannot be used"),
        ("from=2026-11-21&to=2026-11-20", "These days cannot be used"),
        ("from=%3Cscript%3E", "These days cannot be used"),
        ("branch=%3Cb%3E", "There is no branch &lt;b&gt;."),
    ):
        response, html = await visitor.get(f"/?{query}")
        assert response.status == 422
        assert said in html


async def test_one_coupons_life(visitor: PlainBrowser, hq: Desk) -> None:
    await visitor.sign_in()
    journal = Journal()
    journal.add(issued(1), redeemed(1))
    await hq.send(AGENT, journal.packed())
    code = code_of(1)
    response, html = await visitor.post("/coupon", {"code": f" {code[:5]} {code[5:]} "})
    assert response.status == 200
    steps = re.findall(r'<li class="(coupon_\w+)">', html)
    assert steps == ["coupon_issued", "coupon_redeemed"]
    assert "CN¥20.00" in html
    assert "till-1 · Li" in html
    for code, said in (
        (code_of(2), "No coupon has this code"),
        ("C1:<b>", "no code of ours"),
        ("", "no code of"),
    ):
        response, html = await visitor.post("/coupon", {"code": code})
        assert response.status == 404
        assert said in html
        assert "<b>" not in html.replace("<b>Beckon", "").replace(f"<b>{USER}", "")


@pytest.mark.parametrize(("honour", "says"), [(True, "Can be redeemed"), (False, "Refused at the tills")])
async def test_a_coupon_of_a_stopped_campaign_says_what_tills_do(
    visitor: PlainBrowser, hq: Desk, honour: bool, says: str
) -> None:
    await visitor.sign_in()
    journal = Journal()
    journal.add(issued(1, now=moment(int(time() * 1000))))
    await hq.send(AGENT, journal.packed())
    stop = {"honour_issued": honour}
    await hq.ask("POST", "/v1/campaigns/welcome/stop", stop, route="/v1/campaigns/{id}/stop")
    _, html = await visitor.post("/coupon", {"code": code_of(1)})
    standing = html.partition('data-of="standing"')[2].partition("</p>")[0]
    assert says in standing
    assert "Stopped everywhere" in html
    assert 'href="/agents/harbour-1"' in html
    assert 'href="/campaigns/welcome"' in html


async def test_chinese_by_the_browser_or_by_choice(still_visitor: PlainBrowser) -> None:
    _, html = await still_visitor.get("/", **{"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert '<html lang="zh-Hans">' in html
    assert "登录" in html
    _, html = await still_visitor.get("/?lang=zh-Hans")
    assert '<html lang="zh-Hans">' in html
    await still_visitor.sign_in()
    response, html = await still_visitor.get(DAY)
    assert "已核销" in html
    assert response.headers["Content-Language"] == "zh-Hans"
    assert 'href="?from=2026-11-21&amp;to=2026-11-21&amp;lang=en"' in html
    _, html = await still_visitor.get("/?lang=xx")
    assert '<html lang="en">' in html


async def test_the_stream_says_when_something_came(visitor: PlainBrowser, hq: Desk) -> None:
    await visitor.sign_in()
    journal = Journal()
    journal.add(*money(2))
    async with visitor.session.get(visitor.url + "/events") as stream, asyncio.timeout(PATIENCE_S):
        assert stream.content_type == "text/event-stream"
        assert await _next_event(stream) == "changed"
        await hq.send(AGENT, journal.packed())
        assert await _next_event(stream) == "changed"
    _, html = await visitor.get(DAY)
    assert number(html, "redeemed") == "1"


async def test_open_streams_do_not_hold_the_cloud_up(visitor: PlainBrowser, running: CloudProcess) -> None:
    await visitor.sign_in()
    async with visitor.session.get(visitor.url + "/events") as stream:
        assert await _next_event(stream) == "changed"
        began_s = asyncio.get_running_loop().time()
        assert await asyncio.to_thread(running.stop) == 0
        assert asyncio.get_running_loop().time() - began_s < 10


async def _next_event(stream: ClientResponse) -> str:
    async for line in stream.content:
        if line.startswith(b"event: "):
            return line.removeprefix(b"event: ").decode().strip()
    raise AssertionError("the stream ended")


def test_each_key_has_a_text_in_both_languages_and_is_used() -> None:
    english, chinese = Catalogue.load().wordings
    assert english.texts.keys() == chinese.texts.keys()
    folders = ("cloud_api/web/console", "cloud_api/adapters/http/console")
    sources = "".join(
        path.read_text()
        for folder in folders
        for path in (ROOT / folder).glob("*")
        if path.suffix in (".html", ".py")
    )
    used = set(re.findall(r"""["']([a-z_]+\.[a-z0-9_]+)["']""", sources))
    assert set(re.findall(r"\bt\('([a-z_]+\.[a-z0-9_]+)'[,)]", sources)) <= english.texts.keys()
    families = tuple(re.findall(r"""["']([a-z_]+\.)["'{]""", sources))
    for key, text in english.texts.items():
        assert key in used or key.startswith(families), f"nobody says {key}"
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", chinese.texts[key])), key
