"""Who may post, what every answer wears, and what becomes of requests that make no sense."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from tests.fakes.guest_server import guest_server, phone

ACCEPTED = {"terms": "yes"}


async def test_every_answer_wears_the_headers() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        for path in ("/", "/terms", "/wallet", "/nowhere", "/capport", "/api/wallet", "/api/nowhere"):
            async with anna.get(path, allow_redirects=False) as answer:
                headers = answer.headers
                assert headers["X-Content-Type-Options"] == "nosniff", path
                assert headers["Referrer-Policy"] == "same-origin", path
                assert headers["Cache-Control"] == "no-store", path
                policy = headers["Content-Security-Policy"]
                for rule in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"):
                    assert rule in policy, path
                assert "unsafe" not in policy


async def test_the_policy_allows_exactly_the_inline_style_and_script() -> None:
    async with (
        guest_server() as server,
        phone(server.page_url) as anna,
        anna.post("/consent", data=ACCEPTED) as answer,
    ):
        html, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (inline,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = b64encode(sha256(inline.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html), "no request leaves this store"
    assert " style=" not in html


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "{own}"}, 303),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Origin": "{own}", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_other_sites_cannot_post(headers: dict[str, str], status: int) -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        sent = {name: value.format(own=server.page_url) for name, value in headers.items()}
        async with anna.post("/consent", data=ACCEPTED, headers=sent, allow_redirects=False) as answer:
            assert answer.status == status


async def test_a_body_beyond_64_kb_is_refused() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        async with anna.post("/consent", data={"terms": "yes", "x": "y" * 70_000}) as answer:
            assert answer.status == 413
        async with anna.post("/api/play", data=b"[" * 70_000) as answer:
            assert answer.status == 413
            assert (await answer.json(content_type="application/problem+json"))["code"] == "too_large"


BAD_PART = "--XX\r\nContent-Disposition: form-data{}\r\n\r\nyes\r\n--XX--\r\n"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded; charset=bogus", b"terms=yes"),
        ("application/x-www-form-urlencoded", b"terms=\xff"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=XX", b""),
        ("multipart/form-data; boundary=XX", b"--XX\r\nbroken"),
        ("multipart/form-data; boundary=XX", BAD_PART.format("").encode()),
        (
            "multipart/form-data; boundary=XX",
            BAD_PART.format('; name="terms"\r\nContent-Transfer-Encoding: bogus').encode(),
        ),
    ],
)
async def test_a_body_that_is_no_form_is_the_senders_mistake(content_type: str, body: bytes) -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        headers = {"Content-Type": content_type}
        async with anna.post("/consent", data=body, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 400
            assert "body is unreadable; allowed: a form" in await answer.text()


async def test_a_body_that_is_not_packed_as_it_says_is_the_senders_mistake() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        headers = {"Content-Encoding": "gzip"}
        async with anna.post("/api/consent", data=b"no gzip", headers=headers) as answer:
            assert answer.status == 400
            assert (await answer.json(content_type=None))["field"] == "body"


async def test_an_unknown_page_is_said_in_the_same_style_and_another_host_led_home() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        async with anna.get("/nowhere/../x<b>") as answer:
            assert answer.status == 404
            text = await answer.text()
            assert "There is nothing here" in text
            assert "<b>" not in text.partition("<main>")[2]
        async with anna.get(
            "/generate_204", headers={"Host": "www.google.com"}, allow_redirects=False
        ) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, f"{server.page_url}/")
        async with anna.get("/play", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_nothing_of_the_staff_side_is_here() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        for path in ("/health", "/metrics", "/openapi.json", "/v1/campaigns", "/till"):
            async with anna.get(path) as answer:
                assert answer.status == 404, path
        async with anna.post("/v1/redemptions", json={}) as answer:
            assert answer.status in (404, 405)


async def test_a_wrong_method_says_which_is_right() -> None:
    async with guest_server() as server, phone(server.page_url) as anna, anna.delete("/wallet") as answer:
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]


async def test_head_answers_as_get_without_a_body() -> None:
    async with guest_server() as server, phone(server.page_url) as anna, anna.head("/") as answer:
        assert answer.status == 200
        assert await answer.read() == b""


async def test_a_store_that_is_shutting_down_asks_to_come_back() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        await server.front.store.close()
        async with anna.post("/consent", data=ACCEPTED) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"]
            assert "Your coupons are safe" in await answer.text()
        async with anna.post("/api/consent", json={"terms": True}) as answer:
            assert answer.status == 503
            assert (await answer.json(content_type=None))["code"] == "store_closed"


async def test_a_full_disk_is_said_and_old_coupons_still_show() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        async with anna.post("/consent", data=ACCEPTED) as answer:
            shown = await answer.text()
        server.front.store.fill_disk()
        async with anna.get("/") as answer:
            assert "Show this at the till" in await answer.text()
        async with anna.post("/play", data={"campaign": "shake", "pick": "1"}) as answer:
            assert answer.status == 409
            assert "Coupons you have still work" in await answer.text()
        assert "Show this at the till" in shown
