"""The JSON twins of the pages, as scripts use them."""

import re
from datetime import datetime
from typing import Any

import pytest
from aiohttp import ClientSession
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_agent.adapters.guest_http.site import COOKIE
from engagement.advertisement.eid import eid_at
from engagement.advertisement.frames import EddystoneEid, encode_frame
from engagement.campaign.play import DrawDay, Receipt, draw_day_key, receipt_bytes, verify_day
from engagement.coupon.token import TEXT_CHARS
from engagement.ids import MemberId, member_subject
from engagement.visitor.visitor import CONSENTS_PER_HOUR_MAX
from tests.fakes.guest_server import BERT, guest_server, phone
from tests.fakes.shop import DAY_MS, MINT, NOON_MS, campaign, shake_campaign, verify
from tests.fakes.store_front import MEMBER_CODE

NONCE = "00112233445566778899aabbccddeeff"
EID_KEY = bytes(range(16))


async def call(session: ClientSession, path: str, body: object, status: int = 200) -> dict[str, Any]:
    async with session.post(path, json=body) as answer:
        assert answer.status == status, await answer.text()
        told: dict[str, Any] = await answer.json(content_type=None)
        return told


async def test_consent_gives_the_welcome_coupon_with_every_field_of_the_contract() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        async with anna.get("/api/wallet") as answer:
            assert await answer.json() == {"visitor": None, "coupons": []}
        given = await call(anna, "/api/consent", {"terms": True})
        async with anna.get("/api/wallet") as answer:
            assert await answer.json() == given
        (coupon,) = given["coupons"]
        assert set(coupon) == {
            "id", "campaign", "title", "state", "code", "short_code", "qr_url", "terms", "expires_at"
        }  # fmt: skip
        assert len(coupon["code"]) == TEXT_CHARS
        assert re.fullmatch(r"\d{20}", coupon["short_code"])
        assert coupon["state"] == "active"
        assert datetime.fromisoformat(coupon["expires_at"]).utcoffset() is not None
        async with anna.get(coupon["qr_url"]) as answer:
            assert answer.status == 200


async def test_a_play_is_answered_and_the_same_nonce_is_the_same_play() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        await call(anna, "/api/consent", {"terms": True})
        body = {"campaign": "shake", "nonce": NONCE}
        first = await call(anna, "/api/play", body)
        assert set(first) == {"play", "won", "coupon", "receipt"}
        assert (first["play"], first["won"]) == (1, True)
        assert first["coupon"]["campaign"] == "shake"
        assert await call(anna, "/api/play", body) == first
        async with anna.get("/api/wallet") as answer:
            assert len((await answer.json())["coupons"]) == 2
        async with anna.get(f"/plays/shake/{NONCE}") as answer:
            assert "You won!" in await answer.text()


async def test_a_member_code_opens_the_members_wallet() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        assert (await call(anna, "/api/member", {"code": MEMBER_CODE}, 409))["reason"] == "no_consent"
        given = await call(anna, "/api/consent", {"terms": True})
        assert await call(anna, "/api/member", {"code": MEMBER_CODE}) == given
        assert (await call(anna, "/api/member", {"code": "nope"}, 409))["reason"] == "unknown_member_code"
        server.front.store.fill_disk()
        async with phone(server.page_url, BERT) as bert:
            assert (await call(bert, "/api/consent", {"terms": True}, 409))["reason"] == "store_full"


async def test_a_members_coupons_need_the_cookie_that_the_code_was_answered_with() -> None:
    back = campaign(id="welcome_back", number=9, trigger={"on": "welcome_back"})
    async with guest_server(campaign(), back) as server, phone(server.page_url) as anna:

        async def look(cookie: str | None) -> tuple[list[str], str]:
            headers = {"Cookie": f"{COOKIE}={cookie}"} if cookie else None
            async with anna.get("/api/wallet", headers=headers) as answer:
                told = await answer.json()
                return sorted(card["campaign"] for card in told["coupons"]), answer.cookies[COOKIE].value

        own = await call(anna, "/api/consent", {"terms": True})
        await server.front.issuing.give(back, member_subject(MemberId("m1")))
        async with anna.post("/api/member", json={"code": MEMBER_CODE}) as answer:
            assert len((await answer.json())["coupons"]) == 2
            proof = answer.cookies[COOKIE].value
        campaigns, plain = await look(None)
        assert campaigns == ["welcome"]
        assert plain.split(".") == [own["visitor"], proof.split(".")[1]]
        assert await look(plain) == (["welcome"], plain)
        assert await look(proof) == (["welcome", "welcome_back"], proof)


async def test_a_consent_that_keeps_changing_is_too_much_and_the_same_again_is_not() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        bodies = [{"terms": True, "marketing": marketing} for marketing in (False, True)]
        for number in range(CONSENTS_PER_HOUR_MAX):
            await call(anna, "/api/consent", bodies[number % 2])
        journaled = server.front.store.backlog()
        for _ in range(3):
            assert (await call(anna, "/api/consent", bodies[0], 409))["reason"] == "too_busy"
            await call(anna, "/api/consent", bodies[1])
        assert server.front.store.backlog() == journaled


async def test_a_refusal_names_its_reason_and_says_it() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        body = {"campaign": "shake", "nonce": NONCE}
        refused = await call(anna, "/api/play?lang=zh-Hans", body, 409)
        assert refused == {"reason": "no_consent", "say": "请先同意条款。"}
        assert (await call(anna, "/api/consent", {"terms": False}, 409))["reason"] == "no_consent"
        await call(anna, "/api/consent", {"terms": True})
        unknown = await call(anna, "/api/play", body | {"campaign": "welcome"}, 409)
        assert unknown["reason"] == "unknown_campaign"


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/api/consent", "x", 400, "body"),
        ("/api/consent", [], 400, "body"),
        ("/api/consent", {}, 422, "terms"),
        ("/api/consent", {"terms": "yes"}, 422, "terms"),
        ("/api/consent", {"terms": True, "analytic": True}, 422, "analytic"),
        ("/api/play", {"campaign": "shake"}, 422, "nonce"),
        ("/api/play", {"campaign": "shake", "nonce": "0" * 31}, 422, "nonce"),
        ("/api/play", {"campaign": 7, "nonce": NONCE}, 422, "campaign"),
        ("/api/play", {"campaign": "A b", "nonce": NONCE}, 422, "campaign"),
        ("/api/member", {"code": 5}, 422, "code"),
        ("/api/sightings", {"heard": [{"data": "0", "rssi": -60, "age_ms": 1}]}, 422, "heard[0].data"),
        ("/api/sightings", {"heard": [{"data": "00", "rssi": -60, "age_ms": -1}]}, 422, "heard[0].age_ms"),
        ("/api/sightings", {"heard": {}}, 422, "heard"),
    ],
)
async def test_a_malformed_request_is_told_field_value_and_what_is_allowed(
    path: str, body: object, status: int, field: str
) -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        async with anna.post(path, json=body) as answer:
            assert answer.status == status
            assert answer.content_type == "application/problem+json"
            told = await answer.json(content_type=None)
        assert told["field"] == field
        assert told["status"] == status
        assert told["value"]
        assert told["allowed"]
        assert (told["value"] == "missing") == (told["allowed"] == "Field required")


async def test_broken_json_is_a_problem_and_no_crash() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        for body in (b"", b"{", b"\xff\xfe", b'{"terms": tru', b"[" * 5000, b'"\\ud800"'):
            async with anna.post("/api/consent", data=body) as answer:
                assert answer.status == 400, body
                assert (await answer.json(content_type=None))["field"] == "body"


async def test_the_portal_api_is_complete_and_stays_captive() -> None:
    async with guest_server() as server, phone(server.page_url) as anna, anna.get("/capport") as answer:
        assert answer.content_type == "application/captive+json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.json(content_type=None) == {
            "captive": True,
            "user-portal-url": f"{server.page_url}/",
            "venue-info-url": f"{server.page_url}/",
            "can-extend-session": False,
            "x-android-use-custom-tabs": 361335020,
        }


async def test_a_day_of_plays_can_be_recomputed_when_it_is_over() -> None:
    fair = shake_campaign(win_bps=5000)
    async with guest_server(campaign(), fair) as server, phone(server.page_url) as anna:
        await call(anna, "/api/consent", {"terms": True})
        told = [
            (await call(anna, "/api/play", {"campaign": "shake", "nonce": f"{number:032x}"}))["receipt"]
            for number in range(12)
        ]
        receipts = [Receipt.model_validate(each) for each in told]
        for receipt in receipts:
            assert verify(MINT.key_index, receipt_bytes(receipt), bytes.fromhex(receipt.signature_hex))
        path = f"/draws/shake/{receipts[0].day}"
        async with anna.get(path) as answer:
            assert answer.status == 404
            assert (await answer.json(content_type=None))["code"] == "not_revealed"
        server.front.clock.wall_ms += DAY_MS
        async with anna.get(path) as answer:
            draw = await answer.json()
        revealed = DrawDay(
            id=draw_day_key(fair, receipts[0].day).id,
            seed_hex=draw["seed"],
            plays=draw["plays"],
            head_hex=draw["head"],
        )
        assert draw["edition"] == fair.edition
        agent_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(draw["agent_key"]))
        for receipt in receipts:
            agent_key.verify(bytes.fromhex(receipt.signature_hex), receipt_bytes(receipt))
        assert revealed.commitment_hex == draw["commitment"]
        assert verify_day(revealed, fair.draw.win_bps, receipts) is None
        assert verify_day(revealed, fair.draw.win_bps, receipts[1:]) is not None
        async with anna.get("/draws/shake/yesterday") as answer:
            assert answer.status == 404


async def test_a_rotating_identity_heard_now_proves_its_zone_and_nothing_else_does() -> None:
    beacons = [
        {"name": "tea", "role": "zone", "zone": "tea",
         "eid": {"identity_key": EID_KEY.hex(), "rotation_exponent": 9}},
        {"name": "door", "role": "zone", "zone": "door",
         "eddystone_uid": {"namespace": "00" * 10, "instance": "00" * 6}},
    ]  # fmt: skip
    now_s = NOON_MS // 1000

    def heard(clock_s: int, age_ms: int = 1000) -> dict[str, object]:
        data = encode_frame(EddystoneEid(-20, eid_at(EID_KEY, 9, clock_s)))
        return {"data": data.hex(), "rssi": -60, "age_ms": age_ms}

    static = {"data": "0201060303aafe1716aafe00ec" + "00" * 18, "rssi": -50, "age_ms": 0}
    async with guest_server(beacons=beacons) as server, phone(server.page_url) as anna:
        for nothing in ([], [static], [heard(now_s, 31_000)], [heard(now_s - 4000)], [heard(now_s + 4000)]):
            assert await call(anna, "/api/sightings", {"heard": nothing}) == {"tickets": []}
        told = await call(anna, "/api/sightings", {"heard": [static, heard(now_s), heard(now_s)]})
        (ticket,) = told["tickets"]
        assert ticket["zone"] == "tea"
        lasts = datetime.fromisoformat(ticket["expires_at"]).timestamp() - now_s
        assert lasts == 30 * 60
        ticketing = server.front.ticketing
        assert ticketing.zone_of(ticket["ticket"]) == "tea"
        for other in (ticket["ticket"][:-1], ticket["ticket"].replace("z1.", "z2."), "", "ü", "a.b.c.d"):
            assert ticketing.zone_of(other) is None
        server.front.clock.wall_ms += 31 * 60_000
        assert ticketing.zone_of(ticket["ticket"]) is None
