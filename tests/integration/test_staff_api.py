"""The tills' API over real HTTP: the contract's fields, refusals, malformed requests, and its own description."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from edge_agent.services.status import Status
from engagement.coupon.base45 import ALPHABET
from tests.fakes import shop
from tests.fakes.counter import OTHER_TOKEN, TILL_TOKEN, Counter, open_counter
from tests.fakes.json_schema import faults
from tests.fakes.staff_server import staff_app


class Api:
    """A till on the wire; every answer is checked against /openapi.json."""

    def __init__(self, counter: Counter, client: TestClient[Any, Any], document: dict[str, Any]) -> None:
        self.counter = counter
        self.client = client
        self.document = document

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        route: str = "",
        token: str | None = TILL_TOKEN,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {token}"} if token is not None else {}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        target = URL(str(self.client.make_url("/"))[:-1] + path, encoded=True)
        async with self.client.session.request(
            method, target, data=data, headers={"Accept-Language": "en"} | sent | (headers or {})
        ) as response:
            answer = await response.json(content_type=None)
            described = self.document["paths"][route or path][method.lower()]["responses"]
            media = described[str(response.status)]["content"][response.content_type]
            assert faults(answer, media["schema"], self.document) == []
            return response.status, answer

    async def redeem(self, code: str, /, **changes: object) -> Any:
        status, answer = await self.ask("POST", "/v1/redemptions", redemption(code, **changes))
        assert status == 200
        return answer

    async def undo(self, redemption_id: str) -> Any:
        path = f"/v1/redemptions/{redemption_id}/undo"
        body = {"request_id": "u1", "cashier": "Li"}
        status, answer = await self.ask("POST", path, body, route="/v1/redemptions/{redemption_id}/undo")
        assert status == 200
        return answer


def redemption(code: str, /, **changes: object) -> dict[str, object]:
    return {
        "request_id": "r1",
        "code": code,
        "order_id": "o1",
        "basket_minor": 10_000,
        "currency": "CNY",
        "cashier": "Li",
    } | changes


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with (
        open_counter(
            shop.campaign(stacking={"max_in_group": 3}, limits={"issue": 9, "issue_per_day": 9}),
            shop.campaign(id="second", number=9, stacking={"max_in_group": 3}),
        ) as counter,
        TestClient(TestServer(staff_app(counter))) as client,
    ):
        document = await (await client.get("/openapi.json")).json()
        yield Api(counter, client, document)


async def test_accepted_redemption_has_exactly_the_contracts_fields(api: Api) -> None:
    coupon = await api.counter.coupon()
    answer = await api.redeem(coupon.code)
    assert answer == {
        "decision": "accepted",
        "reason": None,
        "redemption_id": answer["redemption_id"],
        "discount_minor": 2000,
        "coupon": coupon.coupon,
        "say": {"cashier": "Accepted: CN¥20.00 off.", "shopper": "You save CN¥20.00."},
        "would_pass_if": None,
    }
    assert await api.redeem(coupon.code) == answer


async def test_refusal_is_an_answer_with_reason_sentences_and_remedy(api: Api) -> None:
    coupon = await api.counter.coupon()
    answer = await api.redeem(coupon.code, basket_minor=9_000)
    assert answer["decision"] == "refused"
    assert answer["reason"] == "below_min_spend"
    assert answer["redemption_id"] is None
    assert answer["discount_minor"] == 0
    assert answer["coupon"] == coupon.coupon
    assert answer["would_pass_if"] == "Add CN¥10.00 or more to the basket."
    assert "CN¥10.00" in answer["say"]["cashier"]
    # The same request is judged again.
    assert (await api.redeem(coupon.code, basket_minor=10_000))["decision"] == "accepted"


async def test_repeat_after_undo_says_undone(api: Api) -> None:
    coupon = await api.counter.coupon()
    made = await api.redeem(coupon.code)
    undone = await api.undo(made["redemption_id"])
    assert undone["decision"] == "undone"
    assert undone["reason"] is None
    assert await api.undo(made["redemption_id"]) == undone
    again = await api.redeem(coupon.code)
    assert (again["decision"], again["redemption_id"]) == ("undone", made["redemption_id"])
    assert (await api.redeem(coupon.code, request_id="r2", order_id="o2"))["decision"] == "accepted"


async def test_undo_of_nothing_is_refused(api: Api) -> None:
    answer = await api.undo("r000001-nothing")
    assert (answer["decision"], answer["reason"]) == ("refused", "unknown_redemption")


@pytest.mark.parametrize(
    ("language", "start"),
    [("zh-CN,en;q=0.5", "已核销"), ("en-GB", "Accepted"), ("de", "已核销"), ("", "已核销")],
)
async def test_sentences_are_in_the_tills_language_else_the_branchs_first(
    api: Api, language: str, start: str
) -> None:
    coupon = await api.counter.coupon()
    _, answer = await api.ask(
        "POST", "/v1/redemptions", redemption(coupon.code), headers={"Accept-Language": language}
    )
    assert answer["say"]["cashier"].startswith(start)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "not_ours"),
        ("4006381333931", "not_ours"),
        ("https://example.org/", "not_ours"),
        ("x" * 4000, "not_ours"),
        ("C1:ABC", "damaged"),
        ("1234 5678 9012 3456 7890", "damaged"),
        ("券", "not_ours"),
    ],
)
async def test_anything_that_a_scanner_sends_gets_a_decision(api: Api, code: str, reason: str) -> None:
    answer = await api.redeem(code)
    assert (answer["decision"], answer["reason"], answer["coupon"]) == ("refused", reason, None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"basket_minor": "100"}, "basket_minor"),
        ({"basket_minor": 100.5}, "basket_minor"),
        ({"basket_minor": True}, "basket_minor"),
        ({"basket_minor": -1}, "basket_minor"),
        ({"basket_minor": 10**11}, "basket_minor"),
        ({"currency": "cny"}, "currency"),
        ({"currency": None}, "currency"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": "has space"}, "request_id"),
        ({"order_id": "x" * 65}, "order_id"),
        ({"cashier": "  "}, "cashier"),
        ({"code": 12345}, "code"),
        ({"code": "x" * 5000}, "code"),
    ],
)
async def test_wrong_field_is_named_with_its_value_and_what_is_allowed(
    api: Api, changes: dict[str, object], field: str
) -> None:
    status, problem = await api.ask("POST", "/v1/redemptions", redemption("x", **changes))
    assert status == 422
    assert [each["field"] for each in problem["errors"]] == [field]
    assert problem["errors"][0]["value"].startswith(json.dumps(changes[field], ensure_ascii=False)[:50])
    assert problem["errors"][0]["allowed"]


async def test_all_missing_fields_are_named_at_once(api: Api) -> None:
    status, problem = await api.ask("POST", "/v1/redemptions", {})
    assert status == 422
    assert {each["field"] for each in problem["errors"]} == set(redemption("x"))


async def test_fields_that_we_do_not_know_are_overlooked(api: Api) -> None:
    coupon = await api.counter.coupon()
    assert (await api.redeem(coupon.code, lane=4))["decision"] == "accepted"
    stop = "/v1/campaigns/{id}/stop"
    status, _ = await api.ask("POST", "/v1/campaigns/welcome/stop", {"reason": "misprint"}, route=stop)
    assert status == 200


async def test_honouring_is_understood_in_either_spelling(api: Api) -> None:
    coupon = await api.counter.coupon()
    stop = "/v1/campaigns/{id}/stop"
    await api.ask("POST", "/v1/campaigns/welcome/stop", {"honor_issued": True}, route=stop)
    assert (await api.redeem(coupon.code))["decision"] == "accepted"


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b'{"code": "\\ud800"}', b"[" * 10_000])
async def test_body_that_is_no_json(api: Api, raw: bytes) -> None:
    status, problem = await api.ask("POST", "/v1/redemptions", raw=raw)
    assert (status, problem["code"]) == (400, "not_json")


@pytest.mark.parametrize("raw", [b"[]", b"null", b"7", b'"text"'])
async def test_body_that_is_no_object(api: Api, raw: bytes) -> None:
    status, problem = await api.ask("POST", "/v1/redemptions", raw=raw)
    assert (status, problem["errors"][0]["field"]) == (422, "body")


async def test_body_beyond_the_limit(api: Api) -> None:
    status, problem = await api.ask("POST", "/v1/redemptions", raw=b" " * 70_000)
    assert (status, problem["code"]) == (413, "too_large")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic dTpw", "Bearer " + "x" * 9000])
async def test_without_a_tills_token_nothing_is_told_but_how_to_send_one(
    api: Api, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    if header and len(header) > 8000:
        headers = {"Authorization": header[:8000]}
    status, problem = await api.ask("GET", "/v1/campaigns", token=None, headers=headers)
    assert (status, problem["status"]) == (401, 401)
    assert "pair" in problem["detail"]


async def test_cookie_of_a_paired_page_opens_no_api(api: Api) -> None:
    headers = {"Cookie": f"__Host-till={TILL_TOKEN}"}
    status, _ = await api.ask("GET", "/v1/campaigns", token=None, headers=headers)
    assert status == 401


async def test_same_request_id_at_another_till_is_another_request(api: Api) -> None:
    first, second = await api.counter.coupon(), await api.counter.coupon()
    await api.redeem(first.code)
    _, answer = await api.ask("POST", "/v1/redemptions", redemption(second.code), token=OTHER_TOKEN)
    assert answer["decision"] == "accepted"
    assert (await api.redeem(second.code, order_id="o3"))["reason"] == "request_reused"


async def test_quote_then_order_then_the_same_order_again(api: Api) -> None:
    codes = [(await api.counter.coupon()).code, (await api.counter.coupon("second")).short_code, "nonsense"]
    basket = {"basket_minor": 10_000, "currency": "CNY", "codes": codes}
    _, quoted = await api.ask("POST", "/v1/quotes", basket)
    assert (quoted["discount_minor"], quoted["due_minor"]) == (4000, 6000)
    assert [line["decision"] for line in quoted["lines"]] == ["accepted", "accepted", "refused"]
    order = basket | {"order_id": "o7", "cashier": "Li"}
    _, taken = await api.ask("POST", "/v1/orders", order)
    assert (taken["decision"], taken["discount_minor"], taken["due_minor"]) == ("accepted", 4000, 6000)
    assert {line["code"]: line["decision"] for line in taken["lines"]} == {
        codes[0]: "accepted",
        codes[1]: "accepted",
        "nonsense": "refused",
    }
    _, again = await api.ask("POST", "/v1/orders", order)
    assert again["discount_minor"] == taken["discount_minor"]
    assert {line["redemption_id"] for line in again["lines"]} == {
        line["redemption_id"] for line in taken["lines"]
    }
    _, other = await api.ask("POST", "/v1/orders", order | {"basket_minor": 5})
    assert (other["decision"], other["reason"]) == ("refused", "order_closed")


async def test_order_without_coupons_is_recorded(api: Api) -> None:
    body = {"order_id": "o1", "basket_minor": 5, "currency": "CNY", "cashier": "Li"}
    _, answer = await api.ask("POST", "/v1/orders", body)
    assert (answer["decision"], answer["due_minor"], answer["lines"]) == ("accepted", 5, [])


async def test_coupon_by_both_forms_of_its_code(api: Api) -> None:
    coupon = await api.counter.coupon()
    made = await api.redeem(coupon.code)
    for code in (coupon.code, coupon.short_code):
        path = f"/v1/coupons/{quote(code, safe='')}"
        status, answer = await api.ask("GET", path, route="/v1/coupons/{code}")
        assert (status, answer["id"], answer["state"]) == (200, coupon.coupon, "redeemed")
        assert answer["redemption"]["redemption_id"] == made["redemption_id"]
        assert [step["what"] for step in answer["timeline"]] == ["issued", "redeemed"]


async def test_every_character_of_our_codes_survives_the_address(api: Api) -> None:
    """Codes with each special character, also at their end, are found; many are tried, for which they hold is chance."""
    seen: set[str] = set()
    for number in range(60):
        coupon = await api.counter.coupon(subject=type(shop.ANNA)(f"v:{number}"))
        seen |= set(coupon.code)
        path = f"/v1/coupons/{quote(coupon.code, safe='')}"
        status, answer = await api.ask("GET", path, route="/v1/coupons/{code}")
        assert (status, answer["id"]) == (200, coupon.coupon)
    assert seen == set(ALPHABET)


async def test_unknown_coupon_is_a_problem_with_the_reason_as_its_code(api: Api) -> None:
    status, problem = await api.ask("GET", "/v1/coupons/4006381333931", route="/v1/coupons/{code}")
    assert (status, problem["code"]) == (404, "not_ours")


async def test_kill_switch_names_who_and_refuses_issued_coupons(api: Api) -> None:
    coupon = await api.counter.coupon()
    route = "/v1/campaigns/{id}/stop"
    status, stop = await api.ask(
        "POST", "/v1/campaigns/welcome/stop", {"request_id": "stop-1", "cashier": "Li"}, route=route
    )
    assert (status, stop["state"], stop["by"], stop["honour_issued"]) == (
        200,
        "stopped",
        "Till 1 / Li",
        False,
    )
    _, listed = await api.ask("GET", "/v1/campaigns")
    states = {each["id"]: (each["trigger"], each["state"]) for each in listed["campaigns"]}
    assert states == {"welcome": ("welcome", "stopped"), "second": ("welcome", "running")}
    assert (await api.redeem(coupon.code))["reason"] == "campaign_stopped"


async def test_kill_switch_needs_no_body_and_knows_its_campaigns(api: Api) -> None:
    route = "/v1/campaigns/{id}/stop"
    assert (await api.ask("POST", "/v1/campaigns/welcome/stop", route=route))[0] == 200
    status, problem = await api.ask("POST", "/v1/campaigns/nothing/stop", route=route)
    assert (status, problem["code"]) == (404, "unknown_campaign")


async def test_health_is_200_unless_failing(api: Api) -> None:
    for status, code in ((Status.OK, 200), (Status.DEGRADED, 200), (Status.FAILING, 503)):
        api.counter.health.becomes(status)
        answered, health = await api.ask("GET", "/health", token=None)
        assert (answered, health["status"]) == (code, status)
        assert health["backlog"] == {"money": 3, "engagement": 2, "telemetry": 0}


async def test_metrics_count_decisions_and_carry_the_report(api: Api) -> None:
    await api.redeem((await api.counter.coupon()).code)
    await api.redeem("nonsense", request_id="r2")
    text = await (await api.client.get("/metrics")).text()
    assert 'beckon_redemption_attempts_total{decision="accepted",reason=""} 1.0' in text
    assert 'beckon_redemption_attempts_total{decision="refused",reason="not_ours"} 1.0' in text
    assert 'beckon_backlog_entries{lane="money"} 3.0' in text
    assert 'beckon_health{status="ok"} 1.0' in text
    assert "beckon_adverts_heard_total 100.0" in text
    assert 'beckon_rights_left{campaign="welcome"} 7.0' in text


async def test_wrong_method_and_unknown_address_are_problems(api: Api) -> None:
    response = await api.client.get("/v1/redemptions")
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert (await response.json(content_type=None))["code"] == "method_not_allowed"
    response = await api.client.get("/v1/nothing")
    assert (response.status, (await response.json(content_type=None))["code"]) == (404, "no_such_address")


async def test_every_route_is_described_and_every_description_is_a_route(api: Api) -> None:
    server = api.client.server
    assert isinstance(server, TestServer)
    routes = {
        (route.method.lower(), route.resource.canonical)
        for route in server.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    described = {(method, path) for path, methods in api.document["paths"].items() for method in methods} | {
        ("get", "/openapi.json")
    }
    tills = {each for each in routes if each[1].startswith(("/v1/", "/health", "/metrics", "/openapi"))}
    assert {(method, path.replace(":.+", "")) for method, path in tills} == described


async def test_store_that_stops_is_said_to_be_temporary(api: Api) -> None:
    coupon = await api.counter.coupon()
    await api.counter.store.close()
    status, problem = await api.ask("POST", "/v1/redemptions", redemption(coupon.code))
    assert (status, problem["code"]) == (503, "store_closed")
