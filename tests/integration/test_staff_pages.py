"""The staff pages over real HTTP: who gets in, what a foreign page cannot do, and what every answer carries."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from io import BytesIO
from string import Formatter

import pytest
from aiohttp import ClientResponse, DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from edge_agent.adapters.barcode import FRAME_SIDE_MIN
from edge_agent.adapters.staff_http.till_page import is_amount, split_scan
from edge_agent.adapters.wording import Catalogue
from engagement.till.scanner import Finding
from tests.eventually import eventually
from tests.fakes import shop
from tests.fakes.counter import OTHER_TOKEN, PIN, TILL_TOKEN, Counter, open_counter
from tests.fakes.staff_server import staff_app

PAGES = (
    "/till",
    "/till/sheet",
    "/till/sheet.csv",
    "/till/campaigns",
    "/staff/coupon",
    "/staff",
    "/till/scanner",
)


class Browser:
    """Keeps cookies as a browser does over TLS, which the test server does without."""

    def __init__(self, counter: Counter, client: TestClient) -> None:  # type: ignore[type-arg]
        self.counter = counter
        self.client = client
        self.cookies: dict[str, str] = {}
        self.set: SimpleCookie = SimpleCookie()

    async def get(self, path: str, **headers: str) -> ClientResponse:
        return self._keep(await self.client.get(path, headers=self._headers(headers), allow_redirects=False))

    async def post(self, path: str, data: object = None, **headers: str) -> ClientResponse:
        own = {"Origin": f"https://{self.client.host}:{self.client.port}"}
        return self._keep(
            await self.client.post(
                path, data=data, headers=self._headers(own | headers), allow_redirects=False
            )
        )

    async def sign_in(self) -> None:
        assert (await self.post("/pair", {"token": TILL_TOKEN})).status == 303
        assert (await self.post("/sign-in", {"cashier": "Li", "pin": PIN})).status == 303

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Accept-Language": "en"} | ({"Cookie": cookies} if cookies else {}) | more

    def _keep(self, response: ClientResponse) -> ClientResponse:
        self.set = response.cookies
        for name, morsel in response.cookies.items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        return response


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with (
        open_counter(shop.campaign(limits={"issue": 9, "issue_per_day": 9})) as counter,
        TestClient(TestServer(staff_app(counter)), cookie_jar=DummyCookieJar()) as client,
    ):
        yield Browser(counter, client)


@pytest.mark.parametrize("path", PAGES)
async def test_unpaired_device_is_asked_for_the_token_and_sees_nothing_else(
    browser: Browser, path: str
) -> None:
    text = await (await browser.get(path)).text()
    assert 'action="/pair"' in text
    assert "Welcome" not in text
    assert "Li" not in text


@pytest.mark.parametrize("path", PAGES[:5])
async def test_paired_device_without_cashier_is_asked_for_the_pin(browser: Browser, path: str) -> None:
    await browser.post("/pair", {"token": TILL_TOKEN})
    text = await (await browser.get(path)).text()
    assert 'action="/sign-in"' in text
    assert "20 off" not in text


async def test_cookies_are_kept_from_scripts_other_sites_and_plain_http(browser: Browser) -> None:
    await browser.post("/pair", {"token": TILL_TOKEN})
    paired = browser.set["__Host-till"]
    await browser.post("/sign-in", {"cashier": "Li", "pin": PIN})
    session = browser.set["__Host-cashier"]
    for cookie in (paired, session):
        assert cookie["httponly"]
        assert cookie["secure"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/"
        assert not cookie["domain"]
    assert int(paired["max-age"]) > 300 * 24 * 3600
    assert not session["max-age"]


async def test_session_of_one_till_opens_no_other(browser: Browser) -> None:
    await browser.sign_in()
    browser.cookies["__Host-till"] = OTHER_TOKEN
    assert 'action="/sign-in"' in await (await browser.get("/till")).text()


async def test_sign_out_and_unpair_close_the_door(browser: Browser) -> None:
    await browser.sign_in()
    stolen = dict(browser.cookies)
    assert (await browser.post("/sign-out")).status == 303
    browser.cookies = stolen
    assert 'action="/sign-in"' in await (await browser.get("/till")).text()
    assert (await browser.post("/unpair")).status == 303
    assert "__Host-till" not in browser.cookies


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "https://127.0.0.1"])
@pytest.mark.parametrize("path", ["/till", "/till/campaigns", "/pair", "/sign-in", "/sign-out", "/language"])
async def test_form_of_a_foreign_page_changes_nothing(browser: Browser, path: str, origin: str) -> None:
    await browser.sign_in()
    response = await browser.post(path, {"do": "new"}, Origin=origin)
    assert response.status == 403
    assert "script" not in await response.text()


async def test_bearer_token_opens_no_page(browser: Browser) -> None:
    response = await browser.get("/till", Authorization=f"Bearer {TILL_TOKEN}")
    assert 'action="/pair"' in await response.text()


@pytest.mark.parametrize("path", ["/till", "/nothing", "/health", "/v1/campaigns", "/assets/x/staff.css"])
async def test_every_answer_carries_the_guards(browser: Browser, path: str) -> None:
    headers = (await browser.get(path)).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    if not path.startswith("/assets"):
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("next_page", ["https://evil.example/", "//evil.example", "/v1/campaigns", ""])
async def test_pairing_leads_only_to_our_own_pages(browser: Browser, next_page: str) -> None:
    response = await browser.post("/pair", {"token": TILL_TOKEN, "next": next_page})
    assert response.headers["Location"] == "/till"


async def test_language_is_chosen_once_and_kept(browser: Browser) -> None:
    assert '<html lang="en">' in await (await browser.get("/till")).text()
    await browser.post("/language", {"language": "zh-Hans", "next": "/till"})
    assert '<html lang="zh-Hans">' in await (await browser.get("/till")).text()
    await browser.post("/language", {"language": "xx"})
    assert '<html lang="zh-Hans">' in await (await browser.get("/till")).text()


async def test_an_error_is_told_in_the_readers_language_without_what_only_programs_need(
    browser: Browser,
) -> None:
    await browser.sign_in()
    for path, said in (("/nothing", "地址可能有误"), ("/till/sheet?day=x", "请在日结单中选择日期")):
        html = await (await browser.get(path, **{"Accept-Language": "zh"})).text()
        assert said in html
        assert "openapi" not in html
    html = await (await browser.get("/nothing")).text()
    assert "The address may be mistyped" in html


async def test_what_people_typed_is_escaped(browser: Browser) -> None:
    await browser.sign_in()
    nasty = '"><script>alert(1)</script>'
    form = {"do": "show", "order": nasty.replace(" ", ""), "basket": nasty, "code": nasty}
    text = await (await browser.post("/till", form)).text()
    assert "<script>alert" not in text
    text = await (await browser.post("/till/scanner", {"typed": nasty})).text()
    assert "<script>alert" not in text


async def test_order_is_kept_while_the_cashier_signs_in_again(browser: Browser) -> None:
    await browser.sign_in()
    coupon = await browser.counter.coupon()
    form = {"do": "redeem", "order": "p-1", "basket": "100", "code": coupon.code}
    browser.counter.clock.pass_s(3600)
    response = await browser.post("/till", form)
    assert response.status == 401
    assert coupon.code.replace("&", "&amp;") in (await response.text()).replace("&#43;", "+")
    response = await browser.post(
        "/sign-in", {"cashier": "Li", "pin": PIN} | {k: form[k] for k in ("order", "basket", "code")}
    )
    assert response.status == 200
    assert 'value="p-1"' in await response.text()
    assert (await browser.counter.redeeming.sheet())[1][0].redeemed == 0


async def test_page_of_a_store_that_stops_offers_the_same_order_again(browser: Browser) -> None:
    await browser.sign_in()
    await browser.counter.store.close()
    response = await browser.post("/till", {"do": "redeem", "order": "p-1", "basket": "100", "code": "x"})
    text = await response.text()
    assert response.status == 503
    assert 'name="order" value="p-1"' in text
    assert 'name="do" value="redeem"' in text


async def test_repeated_press_redeems_once_and_shows_the_same(browser: Browser) -> None:
    await browser.sign_in()
    coupon = await browser.counter.coupon()
    form = {"do": "redeem", "order": "p-1", "basket": "100", "code": coupon.code}
    for _ in range(3):
        text = await (await browser.post("/till", form)).text()
        assert "CN¥80.00" in text
    assert (await browser.counter.redeeming.sheet())[1][0].redeemed == 1


async def test_views_of_a_draft_do_not_count_as_guessing(browser: Browser) -> None:
    """A short code that names no coupon counts once, however often the page is drawn after it."""
    await browser.sign_in()
    coupon = await browser.counter.coupon()
    form = {"order": "p-1", "basket": "", "do": "scan", "scan": coupon.short_code}
    text = await (await browser.post("/till", form)).text()
    assert coupon.short_code not in text
    for _ in range(20):
        await browser.post("/till", {"do": "show", "order": "p-1", "code": coupon.code})
    text = await (await browser.post("/till", form)).text()
    assert "Too many wrong codes" not in text


@pytest.mark.parametrize("path", ["/till", "/till/scanner", "/sign-in", "/pair", "/language"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded; charset=bogus", b"order=p-1"),
        ("application/x-www-form-urlencoded", b"order=\xff"),
        ("multipart/form-data; boundary=XX", b"--XX\r\nbroken"),
    ],
)
async def test_body_that_is_no_form_is_said_to_be_none(
    browser: Browser, path: str, content_type: str, body: bytes
) -> None:
    await browser.sign_in()
    response = await browser.post(path, body, **{"Content-Type": content_type})
    assert response.status == 400
    assert "form_unreadable" in await response.text()


@pytest.mark.parametrize("day", ["2026-13-01", "x", "2026-11-21T00:00", "9" * 50])
async def test_no_such_day_is_said(browser: Browser, day: str) -> None:
    await browser.sign_in()
    response = await browser.get(f"/till/sheet?day={day}")
    assert response.status == 400
    assert "Choose a day on the day sheet." in await response.text()


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2024-02-29"])
async def test_odd_days_are_shown(browser: Browser, day: str) -> None:
    await browser.sign_in()
    assert (await browser.get(f"/till/sheet?day={day}")).status == 200


@pytest.mark.parametrize(
    ("size", "pixels", "status", "says"),
    [
        ("64x64", 64 * 64, 200, '"codes": []'),
        ("", 10, 400, "X-Frame-Size"),
        ("axb", 10, 400, "X-Frame-Size"),
        ("64x64", 10, 400, "64 x 64"),
        (f"{FRAME_SIDE_MIN - 1}x64", 10, 400, "at least"),
        ("-64x-64", 64 * 64, 400, "at least"),
        ("5000x5000", 10, 400, "at most"),
    ],
)
async def test_camera_frames_are_checked(
    browser: Browser, size: str, pixels: int, status: int, says: str
) -> None:
    await browser.sign_in()
    headers = {"X-Frame-Size": size, "Content-Type": "application/octet-stream"}
    response = await browser.post("/till/frame", bytes(pixels), **headers)
    assert response.status == status
    assert says in await response.text()


async def test_frame_beyond_the_limit_is_refused(browser: Browser) -> None:
    await browser.sign_in()
    headers = {"X-Frame-Size": "1280x960", "Content-Type": "application/octet-stream"}
    response = await browser.post("/till/frame", BytesIO(bytes(2_000_000)), **headers)
    assert response.status == 413


async def test_streams_end_when_the_agent_stops(browser: Browser) -> None:
    await browser.sign_in()
    stream = await browser.get("/staff/live")
    assert (await stream.content.readline()) == b"event: near\n"
    server = browser.client.server
    assert isinstance(server, TestServer)
    await server.app.shutdown()
    ended: list[bytes] = []
    while chunk := await stream.content.readany():
        ended.append(chunk)
    await eventually(stream.content.at_eof)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("100", ("100", "")),
        ("C1:AB", ("", "C1:AB")),
        ("168.50c1:ab", ("168.50", "C1:AB")),
        ("4006381333931", ("4006381333931", "")),
    ],
)
def test_scan_in_the_amounts_field_is_taken_apart(typed: str, expected: tuple[str, str]) -> None:
    assert split_scan(typed) == expected


async def test_short_code_in_the_amounts_field_is_found_too(browser: Browser) -> None:
    coupon = await browser.counter.coupon()
    assert split_scan(f"168{coupon.short_code}") == ("168", coupon.short_code)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("128.50", True), ("99999.99", True), ("40170725", False), ("4006381333931", False), ("C1:1", False)],
)
def test_amounts_in_the_scan_field_are_told_from_barcodes(text: str, expected: bool) -> None:
    assert is_amount(text, "CNY") is expected


def test_catalogues_have_the_same_keys_and_facts() -> None:
    english, chinese = (Catalogue.load("staff").wording(tag).texts for tag in ("en", "zh-Hans"))
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert facts_of(text) == facts_of(chinese[key]), key


def facts_of(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_finding_has_its_words() -> None:
    texts = Catalogue.load("staff").wording("en").texts
    for finding in Finding:
        assert f"scanner.found.{finding}" in texts
        assert f"scanner.do.{finding}" in texts
