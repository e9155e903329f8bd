"""What each system's captive-portal probe gets from the http listener, and what nobody gets from it."""

import asyncio

import pytest

from tests.fakes.guest_server import GuestServer, guest_server, phone

# Host and path of each probe, and what its system takes for "online"; anything else means a portal.
# Sources: vendors' pages and inverse-inc/packetfence, conf/pf.conf.defaults.
PROBES = [
    ("captive.apple.com", "/hotspot-detect.html", "Success"),
    ("www.apple.com", "/library/test/success.html", "Success"),
    ("www.appleiphonecell.com", "/", "Success"),
    ("www.airport.us", "/", "Success"),
    ("www.ibook.info", "/", "Success"),
    ("www.itools.info", "/", "Success"),
    ("www.thinkdifferent.us", "/", "Success"),
    ("apple.com", "/", "Success"),
    ("connectivitycheck.gstatic.com", "/generate_204", 204),
    ("www.google.com", "/generate_204", 204),
    ("www.google.com", "/gen_204", 204),
    ("play.googleapis.com", "/generate_204", 204),
    ("clients3.google.com", "/generate_204", 204),
    ("www.gstatic.com", "/generate_204", 204),
    ("connectivitycheck.android.com", "/generate_204", 204),
    ("connect.rom.miui.com", "/generate_204", 204),
    ("connectivitycheck.platform.hicloud.com", "/generate_204", 204),
    ("connectivitycheck.cbg-app.huawei.com", "/generate_204", 204),
    ("wifi.vivo.com.cn", "/generate_204", 204),
    ("connectivitycheck.oppomobile.com", "/generate_204", 204),
    ("www.google.cn", "/generate_204", 204),
    ("g.cn", "/generate_204", 204),
    ("www.msftconnecttest.com", "/connecttest.txt", "Microsoft Connect Test"),
    ("www.msftconnecttest.com", "/redirect", "Microsoft"),
    ("www.msftncsi.com", "/ncsi.txt", "Microsoft NCSI"),
    ("ipv6.msftconnecttest.com", "/connecttest.txt", "Microsoft Connect Test"),
    ("edge.microsoft.com", "/captiveportal/generate_204", 204),
    ("detectportal.firefox.com", "/canonical.html", "support.mozilla.org"),
    ("detectportal.firefox.com", "/success.txt?ipv4", "success"),
    ("spectrum.s3.amazonaws.com", "/kindle-wifi/wifistub.html", "81ce4465-7167-4dcb-835b-dcc9e44c112a"),
    ("fireoscaptiveportal.com", "/generate_204", 204),
    ("nmcheck.gnome.org", "/check_network_status.txt", "NetworkManager is online"),
    ("connectivity-check.ubuntu.com", "/", 204),
    ("captive.roku.com", "/ok", "ok"),
]


@pytest.mark.parametrize(("host", "path", "online"), PROBES)
async def test_a_probe_is_led_to_the_page_and_never_told_online(
    host: str, path: str, online: int | str
) -> None:
    async with guest_server() as server, phone(server.probe_url) as probe:
        async with probe.get(path, headers={"Host": host}, allow_redirects=False) as answer:
            body = await answer.text()
            assert answer.status == 302
            assert answer.headers["Location"] == f"{server.page_url}/"
            assert answer.headers["Cache-Control"] == "no-store"
            assert len(body) < 300
            assert str(online) not in body.replace(server.page_url, "")
        async with probe.head(path, headers={"Host": host}, allow_redirects=False) as answer:
            assert answer.status == 302
            assert await answer.read() == b""


@pytest.mark.parametrize("path", sorted({path for _, path, _ in PROBES}))
async def test_a_probe_that_names_our_own_address_ends_at_the_welcome_page(path: str) -> None:
    async with guest_server() as server:
        for url in (server.probe_url, server.page_url):
            async with phone(url) as probe, probe.get(path) as answer:
                assert answer.status == 200
                assert str(answer.url) == f"{server.page_url}/"
                assert "Welcome to" in await answer.text()


async def test_our_own_address_without_https_keeps_its_path() -> None:
    async with guest_server() as server, phone(server.probe_url) as probe:
        for path in ("/wallet?lang=en", "/api/wallet", "/capport", "/draws/shake/2026-11-20"):
            async with probe.get(path, allow_redirects=False) as answer:
                assert answer.headers["Location"] == f"{server.page_url}{path}"
        async with probe.get(f"/{'x' * 2000}", allow_redirects=False) as answer:
            assert answer.headers["Location"] == f"{server.page_url}/"


async def test_nothing_is_taken_or_served_in_clear() -> None:
    async with guest_server() as server, phone(server.probe_url) as probe:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
            async with probe.request(
                method, "/consent", data={"terms": "yes"}, allow_redirects=False
            ) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, f"{server.page_url}/"), method
        for path in ("/v1/redemptions", "/health", "/metrics", "/capport", "/api/wallet"):
            async with probe.get(path, allow_redirects=False) as answer:
                assert answer.status == 302, path


RAW = [
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: a.example\r\n\r\n",
    b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a.example\r\n\r\n",
    b"GET //evil.example/%0d%0aSet-Cookie:x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://captive.apple.com/hotspot-detect.html HTTP/1.1\r\nHost: captive.apple.com\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a:b:c\r\n\r\n",
    b"BREW /pot HTTP/1.1\r\nHost: a.example\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", RAW)
async def test_an_odd_request_is_led_to_the_page_too(request_bytes: bytes) -> None:
    async with guest_server() as server:
        answer = (await exchange(server, request_bytes)).decode()
        status = answer.split(" ")[1]
        assert status in ("302", "303", "400"), answer
        if status != "400":
            location = next(line for line in answer.splitlines() if line.startswith("Location: "))
            assert location.startswith(f"Location: {server.page_url}/")
        assert "Set-Cookie" not in [line.partition(":")[0] for line in answer.splitlines()]


async def test_a_line_that_is_too_long_is_refused_and_the_next_phone_served() -> None:
    async with guest_server() as server:
        long = b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a.example\r\n\r\n"
        assert b" 400 " in (await exchange(server, long)).splitlines()[0]
        assert b" 302 " in (await exchange(server, RAW[0])).splitlines()[0]


async def exchange(server: GuestServer, request: bytes) -> bytes:
    """What the http listener answers to raw bytes, up to the end of the headers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.probe_url.rpartition(":")[2]))
    async with asyncio.timeout(5):
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    return answer
