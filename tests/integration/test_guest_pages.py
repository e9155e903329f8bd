"""The pages over real http, as a phone without JavaScript or cookies walks through them."""

import gzip
import re
from collections.abc import Mapping
from io import BytesIO

import pytest
import zxingcpp
from aiohttp import ClientSession
from PIL import Image

from edge_agent.adapters.guest_http.site import COOKIE
from engagement.coupon.coupon import CouponRecord
from engagement.coupon.short_code import grouped
from engagement.ids import MemberId, member_subject
from engagement.visitor.visitor import CONSENTS_PER_HOUR_MAX
from tests.fakes.guest_server import ANNA, BERT, guest_server, phone
from tests.fakes.shop import DAY_MS, campaign, shake_campaign
from tests.fakes.store_front import MEMBER_CODE

# What fits the first flight of a fresh TCP connection. Source: RFC 6928, ten segments.
FIRST_FLIGHT_BYTES = 14_000
ACCEPTED = {"terms": "yes"}
MEMBER_COUPONS = "Your member coupons are shown here."
BACK = campaign(id="welcome_back", number=9, trigger={"on": "welcome_back"})


async def page(
    session: ClientSession, path: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> str:
    async with session.get(path, headers=headers) as answer:
        text = await answer.text()
        assert answer.status == status, text
        return text


async def post(session: ClientSession, path: str, form: Mapping[str, str], *, status: int = 200) -> str:
    async with session.post(path, data=form) as answer:
        text = await answer.text()
        assert answer.status == status, text
        return text


async def coupons(session: ClientSession) -> list[dict[str, str]]:
    async with session.get("/api/wallet") as answer:
        held: list[dict[str, str]] = (await answer.json())["coupons"]
        return held


def hidden(html: str, name: str) -> str:
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]+)"', html)
    assert found, f"no hidden {name} in the page"
    return found[1]


async def test_a_shopper_gets_the_welcome_coupon_and_finds_it_again() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        welcome = await page(anna, "/")
        assert not re.search(r"<input[^>]* checked", welcome)
        assert "CN¥20 off" in welcome
        shown = await post(anna, "/consent", ACCEPTED)
        (coupon,) = await coupons(anna)
        assert grouped(coupon["short_code"]) in shown
        again = await page(anna, "/")
        assert without_nonce(again) == without_nonce(shown)


def without_nonce(html: str) -> str:
    return re.sub(r'name="nonce" value="\w+"', "", html)


async def test_another_phone_sees_none_of_it() -> None:
    async with guest_server() as server:
        async with phone(server.page_url, ANNA) as anna:
            await post(anna, "/consent", ACCEPTED)
            (coupon,) = await coupons(anna)
        async with phone(server.page_url, BERT) as bert:
            assert await coupons(bert) == []
            for path in (f"/coupons/{coupon['id']}", coupon["qr_url"], f"/coupons/{coupon['id']}.png"):
                await page(bert, path, status=404)
            assert 'name="terms"' in await page(bert, "/wallet")


async def test_the_cookie_outranks_the_address() -> None:
    async with guest_server() as server:
        async with phone(server.page_url, ANNA) as anna:
            async with anna.post("/consent", data=ACCEPTED, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/")
                cookie = answer.cookies[COOKIE]
            assert cookie["httponly"]
            assert cookie["secure"]
            assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
            (coupon,) = await coupons(anna)
        async with phone(server.page_url, BERT) as bert:
            held = await page(bert, "/wallet", headers={"Cookie": f"{COOKIE}={cookie.value}"})
            assert coupon["id"] in held
            forged = cookie.value[:-1] + ("0" if cookie.value[-1] != "0" else "1")
            for bad in (forged, "x", "ü.ü", "." * 3000):
                assert coupon["id"] not in await page(bert, "/wallet", headers={"Cookie": f"{COOKIE}={bad}"})


async def test_without_the_terms_nothing_is_given_and_the_page_says_why() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        refused = await post(anna, "/consent", {"analytics": "yes"}, status=409)
        assert 'role="alert">Please accept the terms first.' in refused
        assert await coupons(anna) == []


async def test_choices_are_kept_shown_and_changed_in_the_wallet() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        await post(anna, "/consent", {"terms": "yes", "marketing": "yes"})
        held = await page(anna, "/wallet")
        assert 'name="marketing" value="yes" checked' in held
        assert 'name="analytics" value="yes" checked' not in held
        changed = await post(anna, "/consent", {"terms": "yes", "analytics": "yes", "back": "wallet"})
        assert 'name="marketing" value="yes" checked' not in changed
        assert 'name="analytics" value="yes" checked' in changed


async def test_picking_a_cover_wins_and_the_same_post_is_the_same_play() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        home = await post(anna, "/consent", ACCEPTED)
        form = {"campaign": hidden(home, "campaign"), "nonce": hidden(home, "nonce"), "pick": "3"}
        won = await post(anna, "/play", form)
        assert "You won!" in won
        assert await post(anna, "/play", form) == won
        assert len(await coupons(anna)) == 2
        await post(anna, "/play", form | {"pick": "4"})
        assert len(await coupons(anna)) == 3


async def test_losing_is_kind_and_too_many_plays_are_refused_with_a_reason() -> None:
    limits = {"issue": 9, "issue_per_day": 9, "plays_per_day": 2}
    game = shake_campaign(win_bps=1, limits=limits)
    async with guest_server(campaign(), game) as server, phone(server.page_url) as anna:
        assert "Tries left today: 2" in await post(anna, "/consent", ACCEPTED)
        lost = await post(anna, "/play", {"campaign": "shake", "pick": "1"})
        assert "Not this time" in lost
        assert ("Tries left today: 1" in lost, "Play again" in lost) == (True, True)
        lost = await post(anna, "/play", {"campaign": "shake", "pick": "1"})
        assert "Not this time" in lost
        assert ("last try for today" in lost, "Play again" in lost) == (True, False)
        assert "last try for today" in await post(
            anna, "/play", {"campaign": "shake", "pick": "1"}, status=409
        )
        assert "last try for today" in await page(anna, "/")


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"pick": "1"}, "campaign is"),
        ({"campaign": "shake"}, "pick is"),
        ({"campaign": "shake", "pick": "<b>"}, "pick is &lt;b&gt;; allowed"),
        ({"campaign": "shake", "pick": "1", "nonce": "zz"}, "nonce is zz; allowed: 32 hexadecimal digits"),
    ],
)
async def test_a_malformed_play_is_told_which_field(form: dict[str, str], says: str) -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        await post(anna, "/consent", ACCEPTED)
        assert says in await post(anna, "/play", form, status=422)


async def test_a_play_before_consent_is_refused() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        assert "accept the terms first" in await post(
            anna, "/play", {"campaign": "shake", "pick": "1"}, status=409
        )


async def test_the_wallet_says_how_each_coupon_stands() -> None:
    early = campaign(
        id="early",
        number=8,
        window={
            "opens_at": "2026-11-20T00:00:00Z",
            "ends_at": "2026-11-30T00:00:00Z",
            "use_after_minutes": 60,
            "use_days": 60,
        },
    )
    stopped = campaign(id="stopped", number=9)
    async with guest_server(campaign(), early, stopped) as server, phone(server.page_url) as anna:
        await post(anna, "/consent", ACCEPTED)
        await server.front.stop(stopped, honour_issued=False)
        held = await page(anna, "/wallet")
        for text in ("Ready to use", "Not yet", "Stopped"):
            assert text in held
        wallet = await server.front.hosting.wallet(server.front.hosting.greet(ANNA, None))
        assert wallet is not None
        used = next(card.coupon for card in wallet.cards if card.coupon.campaign == "welcome")
        await server.front.use(used)
        assert "Used on" in await page(anna, f"/coupons/{used.coupon}")
        states = {coupon["campaign"]: coupon["state"] for coupon in await coupons(anna)}
        assert states == {"welcome": "redeemed", "early": "not_yet_valid", "stopped": "stopped"}
        server.front.clock.wall_ms += 30 * DAY_MS
        # The phone is a stranger again by then, unless it kept its cookie.
        again = await page(anna, "/wallet", headers={"Cookie": f"{COOKIE}={wallet.cookie}"})
        assert "Expired" in again


async def test_a_member_code_opens_the_wallet_and_a_wrong_one_does_not() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        await post(anna, "/consent", ACCEPTED)
        wrong = await post(anna, "/member", {"code": "nope"}, status=409)
        assert 'role="alert"' in wrong
        assert 'value="nope"' in wrong, "what was typed is there to be corrected"
        async with anna.post("/member", data={"code": MEMBER_CODE.lower()}) as answer:
            assert answer.status == 200
            assert MEMBER_COUPONS in await answer.text()
            proof = answer.cookies[COOKIE]
        assert (proof["httponly"], proof["secure"], proof["samesite"]) == (True, True, "Lax")
        assert MEMBER_COUPONS in await page(anna, "/wallet", headers={"Cookie": f"{COOKIE}={proof.value}"})
        assert MEMBER_COUPONS not in await page(anna, "/wallet")


async def test_a_members_coupon_is_opened_with_the_proof_and_not_from_the_same_address() -> None:
    async with guest_server(campaign(), BACK) as server, phone(server.page_url) as anna:
        await post(anna, "/consent", ACCEPTED)
        given = await server.front.issuing.give(BACK, member_subject(MemberId("m1")))
        assert isinstance(given, CouponRecord)
        async with anna.post("/member", data={"code": MEMBER_CODE}) as answer:
            assert given.coupon in await answer.text()
            proof = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}
        async with anna.get("/wallet") as answer:
            assert given.coupon not in await answer.text()
            plain = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE].value}"}
        for path in (
            f"/coupons/{given.coupon}",
            f"/coupons/{given.coupon}.svg",
            f"/coupons/{given.coupon}.png",
        ):
            async with anna.get(path, headers=proof) as answer:
                assert answer.status == 200
            for stranger in (None, plain):
                await page(anna, path, status=404, headers=stranger)


async def test_a_consent_that_keeps_changing_is_refused_on_a_friendly_page() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        forms = [ACCEPTED, ACCEPTED | {"marketing": "yes"}]
        for number in range(CONSENTS_PER_HOUR_MAX):
            await post(anna, "/consent", forms[number % 2])
        refused = await post(anna, "/consent", forms[0], status=409)
        assert 'role="alert">That was a lot at once.' in refused
        assert 'name="marketing" value="yes" checked' in refused


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
async def test_the_privacy_notice_names_the_cookie_and_how_long_it_lasts(language: str) -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        notice = await page(anna, f"/terms?lang={language}")
        assert COOKIE in notice
        assert "400" in notice
        async with anna.post("/consent", data=ACCEPTED, allow_redirects=False) as answer:
            assert answer.cookies[COOKIE]["max-age"] == str(400 * 24 * 3600)


async def test_the_images_read_back_as_the_coupon() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        await post(anna, "/consent", ACCEPTED)
        (coupon,) = await coupons(anna)
        async with anna.get(f"/coupons/{coupon['id']}.png") as answer:
            assert answer.content_type == "image/png"
            with Image.open(BytesIO(await answer.read())) as image:
                assert [code.text for code in zxingcpp.read_barcodes(image.convert("L"))] == [coupon["code"]]
        async with anna.get(coupon["qr_url"]) as answer:
            assert answer.content_type == "image/svg+xml"
            assert (await answer.text()).startswith("<svg")


@pytest.mark.parametrize(
    ("accept", "query", "tag", "title"),
    [
        ("zh-CN,zh;q=0.9", "", "zh-Hans", "欢迎光临"),
        ("de", "", "en", "Welcome to"),
        ("en", "?lang=zh-Hans", "zh-Hans", "欢迎光临"),
        ("en", "?lang=xx", "en", "Welcome to"),
    ],
)
async def test_the_page_speaks_the_phones_language_or_the_chosen_one(
    accept: str, query: str, tag: str, title: str
) -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        html = await page(anna, f"/{query}", headers={"Accept-Language": accept})
        assert f'<html lang="{tag}">' in html
        assert title in html


async def test_a_chosen_language_goes_along_without_a_cookie() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        assert 'action="/consent?lang=zh-Hans"' in await page(anna, "/?lang=zh-Hans")
        home = await post(anna, "/consent?lang=zh-Hans", ACCEPTED)
        assert "立减 ¥20" in home
        assert 'action="/play?lang=zh-Hans"' in home
        assert "恭喜中奖" in await post(anna, "/play?lang=zh-Hans", {"campaign": "shake", "pick": "1"})


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
async def test_every_page_fits_the_first_flight(language: str) -> None:
    async with guest_server() as server, phone(server.page_url, unpacks=False) as raw:
        sizes = {path: await gzipped(raw, f"{path}?lang={language}") for path in ("/", "/terms")}
        async with phone(server.page_url) as anna:
            await post(anna, "/consent", ACCEPTED)
            first = (await coupons(anna))[0]["id"]
        for path in ("/", "/wallet", f"/coupons/{first}"):
            sizes[f"consented {path}"] = await gzipped(raw, f"{path}?lang={language}")
        assert {path: size for path, size in sizes.items() if size > FIRST_FLIGHT_BYTES} == {}


async def gzipped(raw: ClientSession, path: str) -> int:
    async with raw.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
        body = await answer.read()
        assert answer.headers["Content-Encoding"] == "gzip"
        assert b"</html>" in gzip.decompress(body)
        return len(body)


@pytest.mark.parametrize(("accepts", "sent"), [("deflate", "deflate"), ("gzip;q=0", None), ("br", None)])
async def test_a_phone_gets_only_encodings_that_it_reads(accepts: str, sent: str | None) -> None:
    async with (
        guest_server() as server,
        phone(server.page_url) as anna,
        anna.get("/", headers={"Accept-Encoding": accepts}) as answer,
    ):
        assert answer.headers.get("Content-Encoding") == sent
        assert "</html>" in await answer.text()
