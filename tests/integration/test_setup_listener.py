"""The staff listener of a box that is not set up, as the desk and whoever else calls it finds it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from edge_agent.adapters.staff_http.setup import build_setup_app
from engagement.line.setup import SetupOffer, check_offer
from tests.services.test_setting_up import FINGERPRINT, Box

Client = TestClient[Any, Any]


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[Box, Client]]:
    box = Box()
    async with TestClient(TestServer(build_setup_app(box.setting_up))) as client:
        yield box, client


async def test_health_says_what_the_box_waits_for_and_figures_are_there() -> None:
    async with listener() as (_, client):
        answer = await client.get("/health")
        report = await answer.json()
        assert (answer.status, report["status"], report["branch"]) == (200, "degraded", "")
        assert [issue["code"] for issue in report["issues"]] == ["not_set_up"]
        assert FINGERPRINT in report["issues"][0]["means"]
        assert 'beckon_issue_since_seconds{code="not_set_up"}' in await (await client.get("/metrics")).text()


async def test_the_desk_gets_an_offer_and_the_box_its_code() -> None:
    async with listener() as (box, client):
        offer = SetupOffer.model_validate_json(await (await client.get("/v1/setup")).read())
        check_offer(offer, fingerprint=FINGERPRINT)
        answer = await client.post("/v1/claim", data=box.sealed(box.code).model_dump_json())
        assert answer.status == 202
        assert box.files.claim == box.code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_fields"),
        (b'{"agreement_key_hex": "00", "sealed_hex": "00"}', "invalid_fields"),
        (json.dumps({"agreement_key_hex": "01" * 32, "sealed_hex": "ab" * 60}).encode(), "setup_refused"),
        (json.dumps({"agreement_key_hex": "00" * 32, "sealed_hex": "ab" * 60}).encode(), "setup_refused"),
    ],
    ids=["nothing", "too short", "sealed to another box", "a key that everybody knows"],
)
async def test_what_is_no_claim_for_this_box_is_not_taken(body: bytes, code: str) -> None:
    async with listener() as (box, client):
        answer = await client.post("/v1/claim", data=body)
        assert (answer.status, (await answer.json())["code"]) == (422, code)
        assert box.files.claim is None


async def test_a_mistyped_code_is_told_to_the_desk() -> None:
    async with listener() as (box, client):
        wrong = box.code[:-1] + ("0" if box.code[-1] != "0" else "1")
        answer = await client.post("/v1/claim", data=box.sealed(wrong).model_dump_json())
        assert (answer.status, (await answer.json())["code"]) == (422, "claim_malformed")


async def test_nothing_of_a_store_is_served_and_too_much_is_not_read() -> None:
    async with listener() as (_, client):
        for method, path in (
            ("GET", "/"),
            ("GET", "/till"),
            ("POST", "/v1/redemptions"),
            ("GET", "/v1/campaigns"),
        ):
            answer = await client.request(method, path)
            assert (answer.status, (await answer.json())["code"]) == (503, "not_set_up")
        assert (await client.post("/v1/claim", data=b"x" * 20_000)).status == 413


async def test_no_connection_outlives_its_answer() -> None:
    """One that was kept would be answered by this listener when the store is long open."""
    async with listener() as (_, client):
        assert (await client.get("/health")).headers["Connection"] == "close"
