"""Another bundle while phones and tills are at work: what it changes shows at once, and nothing else is disturbed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from engagement.advertisement.eid import eid_at
from engagement.advertisement.frames import EddystoneEid, encode_frame
from engagement.campaign.model import Campaign
from engagement.estate.bundle import Bundle
from tests.fakes import shop
from tests.fakes.counter import OTHER_TOKEN, TILL_TOKEN, Counter, open_counter
from tests.fakes.guest_server import guest_server, phone
from tests.fakes.staff_server import staff_app
from tests.fakes.store_front import MEMBER_CODE, StoreFront, bundle_file

DEARER = {"kind": "cash", "value_minor": 3000, "min_spend_minor": 10_000}


def renew_front(front: StoreFront, *campaigns: Campaign, **branch: object) -> None:
    front.premises.renew(Bundle.model_validate(bundle_file(*campaigns, **branch)))


def renew_counter(counter: Counter, **fields: object) -> None:
    counter.premises.renew(counter.premises.bundle.model_copy(update={"sequence": 2} | fields))


async def text_of(session: ClientSession, path: str) -> str:
    async with session.get(path, headers={"Accept-Language": "en"}) as answer:
        assert answer.status == 200
        return await answer.text()


async def wallet(session: ClientSession, body: object = None) -> Any:
    call = session.get("/api/wallet") if body is None else session.post("/api/consent", json=body)
    async with call as answer:
        assert answer.status == 200
        return await answer.json()


async def test_a_new_campaign_and_another_name_show_at_the_next_load_of_the_welcome_page() -> None:
    tea = shop.campaign(id="tea", number=11, title={"en": "Free tea", "zh-Hans": "送茶"})
    async with guest_server() as server, phone(server.page_url) as anna:
        before = await text_of(anna, "/")
        assert "Lantern Lane" in before
        renew_front(server.front, shop.campaign(), tea, name="Lantern Lane 2")
        after = await text_of(anna, "/")
        assert ("Free tea" in before, "Free tea" in after) == (False, True)
        assert "Lantern Lane 2" in after


async def test_a_visitor_is_known_and_keeps_coupon_and_price_and_the_next_one_gets_the_new_edition() -> None:
    async with (
        guest_server(shop.campaign()) as server,
        phone(server.page_url, "127.0.0.2") as anna,
        phone(server.page_url, "127.0.0.3") as bert,
    ):
        given = await wallet(anna, {"terms": True})
        dearer = shop.campaign(edition=2, offer=DEARER, title={"en": "30 off", "zh-Hans": "立减30元"})
        renew_front(server.front, dearer)
        assert await wallet(anna) == given, "the same visitor, with the same coupon"
        (card,) = (await wallet(bert, {"terms": True}))["coupons"]
        assert (given["coupons"][0]["title"], card["title"]) == ("20 off", "30 off")


async def test_a_campaign_that_left_the_bundle_is_given_no_more_and_its_coupons_stay_in_the_wallet() -> None:
    shake = shop.shake_campaign(win_bps=10_000)
    async with guest_server(shop.campaign(), shake) as server, phone(server.page_url) as anna:
        await wallet(anna, {"terms": True})
        renew_front(server.front)
        front_page = await text_of(anna, "/")
        assert 'action="/play"' not in front_page
        body = {"campaign": "shake", "nonce": "00" * 16}
        async with anna.post("/api/play", json=body) as answer:
            assert (await answer.json())["reason"] == "unknown_campaign"
        assert [card["campaign"] for card in (await wallet(anna))["coupons"]] == ["welcome"]


async def test_member_codes_are_those_of_the_bundle_that_counts() -> None:
    async with guest_server() as server, phone(server.page_url) as anna:
        await wallet(anna, {"terms": True})
        renewed = server.front.premises.bundle.model_copy(update={"members": ()})
        server.front.premises.renew(renewed)
        async with anna.post("/api/member", json={"code": MEMBER_CODE}) as answer:
            assert (await answer.json())["reason"] == "unknown_member_code"


async def test_a_beacon_that_now_hangs_elsewhere_proves_the_other_zone() -> None:
    key = bytes(range(16))

    def beacons(zone: str) -> list[dict[str, object]]:
        identity = {"identity_key": key.hex(), "rotation_exponent": 10}
        return [{"name": "lamp", "role": "zone", "zone": zone, "eid": identity}]

    heard = encode_frame(EddystoneEid(0, eid_at(key, 10, shop.NOON_MS // 1000))).hex()
    report = {"heard": [{"data": heard, "rssi": -60, "age_ms": 0}]}

    async def proved(session: ClientSession) -> list[str]:
        async with session.post("/api/sightings", json=report) as answer:
            return [ticket["zone"] for ticket in (await answer.json())["tickets"]]

    async with guest_server(beacons=beacons("door")) as server, phone(server.page_url) as anna:
        assert await proved(anna) == ["door"]
        renew_front(server.front, beacons=beacons("tea"))
        assert await proved(anna) == ["tea"]


@asynccontextmanager
async def staff(*campaigns: Campaign) -> AsyncIterator[tuple[Counter, TestClient[Any, Any]]]:
    async with (
        open_counter(*campaigns) as counter,
        TestClient(TestServer(staff_app(counter)), cookie_jar=DummyCookieJar()) as client,
    ):
        yield counter, client


async def asked(client: TestClient[Any, Any], token: str, path: str = "/v1/campaigns") -> int:
    async with client.get(path, headers={"Authorization": f"Bearer {token}"}) as answer:
        return answer.status


async def redeemed(client: TestClient[Any, Any], code: str, request: str) -> Any:
    body = {
        "request_id": request,
        "code": code,
        "order_id": f"order-{request}",
        "basket_minor": 10_000,
        "currency": "CNY",
        "cashier": "Li",
    }
    headers = {"Authorization": f"Bearer {TILL_TOKEN}"}
    async with client.post("/v1/redemptions", json=body, headers=headers) as answer:
        return await answer.json()


async def test_a_tills_connection_outlives_a_bundle_and_a_dropped_till_is_out_at_once() -> None:
    async with staff() as (counter, client):
        assert [await asked(client, token) for token in (TILL_TOKEN, OTHER_TOKEN)] == [200, 200]
        renew_counter(counter, tills=counter.bundle.tills[:1])
        assert [await asked(client, token) for token in (TILL_TOKEN, OTHER_TOKEN)] == [200, 401]


async def test_an_old_coupon_is_redeemed_by_its_own_edition_and_a_new_one_by_the_new() -> None:
    async with staff(shop.campaign(limits={"issue": 2, "issue_per_day": 2})) as (counter, client):
        old = await counter.coupon()
        (before,) = counter.premises.bundle.campaigns
        dearer = Campaign.model_validate(
            before.model_dump(mode="json")
            | {"edition": 2, "offer": before.offer.model_dump(mode="json") | {"value_minor": 3000}}
        )
        renew_counter(counter, campaigns=(dearer,))
        new = await counter.issuing.give(dearer, shop.BERT)
        assert (await redeemed(client, old.code, "r1"))["discount_minor"] == 2000
        assert (await redeemed(client, new.code, "r2"))["discount_minor"] == 3000  # type: ignore[union-attr]


async def test_the_page_of_who_is_near_ends_with_its_till() -> None:
    async with staff() as (counter, client):
        cookie = {"Cookie": f"__Host-till={OTHER_TOKEN}"}
        async with client.get("/staff/live", headers=cookie) as stream:
            assert (await stream.content.readline()).startswith(b"event: near")
            renew_counter(counter, tills=counter.bundle.tills[:1])
            async with asyncio.timeout(10):
                while await stream.content.readline():
                    pass
