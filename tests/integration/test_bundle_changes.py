"""HQ changes the store while somebody is being served: at whatever step of the serving, all hangs together afterwards.

The change comes before or after any one of the store's answers, which is wherever the services can be interrupted.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from edge_agent.adapters.guest_http.apps import build_guest_apps
from edge_agent.services.hosting import Hosting
from edge_agent.services.ticketing import Ticketing
from edge_agent.services.visit_keys import VisitKeys
from engagement.campaign.model import Campaign
from engagement.campaign.state import stop_key, stop_rule
from engagement.campaign.tally import CampaignTally
from engagement.coupon.coupon import CouponRecord, EditionRecord
from engagement.coupon.lifecycle import CouponState
from engagement.estate.bundle import Bundle
from engagement.ledger.record import Ruling
from engagement.till.sheet import SheetLine
from tests.fakes import shop
from tests.fakes.counter import PIN, TILL_TOKEN, CountedEntropy, Counter, open_counter
from tests.fakes.staff_server import staff_app
from tests.fakes.store_front import KeysInMemory

WELCOME, SHAKE = shop.campaign(), shop.shake_campaign(win_bps=10_000)
DEARER = {"kind": "cash", "value_minor": 3000, "currency": "CNY", "min_spend_minor": 10_000}
ROWS_MAX = 2000


def raised(campaign: Campaign) -> Campaign:
    return Campaign.model_validate(
        campaign.model_dump(mode="json") | {"edition": campaign.edition + 1, "offer": DEARER}
    )


def branch(bundle: Bundle, **changes: object) -> Bundle:
    laid = bundle.branch.model_dump(mode="json") | changes
    return Bundle.model_validate(bundle.model_dump(mode="json") | {"branch": laid})


CHANGES: dict[str, Callable[[Bundle], Bundle]] = {
    "editions": lambda b: b.model_copy(update={"campaigns": tuple(map(raised, b.campaigns))}),
    "campaigns": lambda b: b.model_copy(update={"campaigns": ()}),
    "tills": lambda b: b.model_copy(update={"tills": ()}),
    "cashiers": lambda b: b.model_copy(update={"cashiers": ()}),
    "pins": lambda b: b.model_copy(
        update={"cashiers": tuple(each.model_copy(update={"salt": "ab" * 16}) for each in b.cashiers)}
    ),
    "leased": lambda b: b.model_copy(update={"is_leased": True}),
    "time zone": lambda b: branch(b, time_zone="America/Los_Angeles"),
    "languages": lambda b: branch(b, languages=["en"]),
    "name": lambda b: branch(b, name="Elsewhere", zones=["Roof"], beacons=[]),
    "currency": lambda b: branch(b.model_copy(update={"campaigns": ()}), currency="JPY"),
}  # fmt: skip
STOPS = {"stop": False, "stop with honour": True}
SAMPLED = (*CHANGES, *STOPS)
# A whole serving takes so many steps. Every one of them (EVERY = 1) takes minutes; so each change begins at another one.
STEPS_MAX, EVERY = 200, 23


@dataclass
class ChangingStore:
    """The store, before and after each of whose answers ``change`` may come: at step ``at``, counted from 0."""

    inner: Any
    change: Callable[[], Awaitable[None]]
    at: int = -1
    steps: int = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in ("decide", "fetch", "scan"):
            return found

        async def stepping(*args: Any, **options: Any) -> Any:
            await self._step()
            try:
                return await found(*args, **options)
            finally:
                await self._step()

        return stepping

    async def _step(self) -> None:
        step, self.steps = self.steps, self.steps + 1
        if step == self.at:
            await self.change()


@dataclass
class NextPhone:
    """Behind the one address stands another phone for each serving."""

    number: int = 0

    def handset(self, address: str) -> bytes:
        return b"phone %d" % self.number


@dataclass
class Serving:
    counter: Counter
    phones: NextPhone
    guest: Any
    staff: Any
    answers: list[tuple[str, int]] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)

    async def once(self) -> None:
        """A shopper comes, wins, and pays at a till that speaks to the API and at one with the page."""
        self.phones.number += 1
        self.answers.clear()
        self.cookies.clear()
        codes = await self.shopper()
        await self.till(codes)
        await self.cashier(codes)

    async def ask(self, at: Any, method: str, path: str, **sent: Any) -> Any:
        headers = {"Accept-Language": "en", "Origin": f"https://{at.host}:{at.port}"} | sent.pop(
            "headers", {}
        )
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await at.request(method, path, headers=headers, allow_redirects=False, **sent)
        self.cookies |= {name: morsel.value for name, morsel in answer.cookies.items()}
        await answer.read()
        self.answers.append((f"{method} {path}", answer.status))
        return answer

    async def shopper(self) -> list[str]:
        terms, nonce = {"terms": True, "analytics": False, "marketing": False}, "ab" * 16
        await self.ask(self.guest, "GET", "/")
        await self.ask(self.guest, "POST", "/api/consent", json=terms)
        await self.ask(self.guest, "POST", "/api/play", json={"campaign": "shake", "nonce": nonce})
        for path in ("/", f"/plays/shake/{nonce}", "/wallet"):
            await self.ask(self.guest, "GET", path)
        wallet = await self.ask(self.guest, "GET", "/api/wallet")
        held = (await wallet.json())["coupons"]
        for card in held:
            await self.ask(self.guest, "GET", f"/coupons/{card['id']}")
        return [card["code"] for card in held]

    async def cashier(self, codes: list[str]) -> None:
        await self.ask(self.staff, "POST", "/pair", data={"token": TILL_TOKEN})
        await self.ask(self.staff, "POST", "/sign-in", data={"cashier": "Li", "pin": PIN})
        await self.ask(self.staff, "GET", "/till")
        sale = {"order": f"p-{self.phones.number}", "basket": "200.00", "code": codes, "do": "redeem"}
        await self.ask(self.staff, "POST", "/till", data=sale)
        for path in ("/till/sheet", "/till/sheet.csv", "/till/campaigns", "/staff"):
            await self.ask(self.staff, "GET", path)

    async def till(self, codes: list[str]) -> None:
        bearer = {"Authorization": f"Bearer {TILL_TOKEN}"}
        sale = {
            "order_id": f"o-{self.phones.number}",
            "basket_minor": 20_000,
            "currency": "CNY",
            "codes": codes,
        }
        await self.ask(self.staff, "POST", "/v1/quotes", json=sale, headers=bearer)
        order = await self.ask(
            self.staff, "POST", "/v1/orders", json=sale | {"cashier": "Li"}, headers=bearer
        )
        for line in (await order.json()).get("lines", []):
            if line.get("redemption_id"):
                path = f"/v1/redemptions/{line['redemption_id']}/undo"
                undo = {"cashier": "Li", "request_id": f"u-{self.phones.number}"}
                await self.ask(self.staff, "POST", path, json=undo, headers=bearer)


@asynccontextmanager
async def serving() -> AsyncIterator[Serving]:
    async with open_counter(WELCOME, SHAKE) as counter:
        keys, phones = VisitKeys(counter.clock, CountedEntropy(), KeysInMemory()), NextPhone()
        guest = build_guest_apps(
            premises=counter.premises,
            hosting=Hosting(counter.premises, counter.issuing, phones, keys),
            issuing=counter.issuing,
            ticketing=Ticketing(counter.premises, keys),
            base_url="https://store.test",
        )
        async with (
            TestClient(TestServer(guest.https), cookie_jar=DummyCookieJar()) as at_page,
            TestClient(TestServer(staff_app(counter)), cookie_jar=DummyCookieJar()) as at_till,
        ):
            yield Serving(counter, phones, at_page, at_till)


async def change_now(counter: Counter, change: str) -> None:
    if change in CHANGES:
        counter.premises.renew(CHANGES[change](counter.premises.bundle))
        return
    for campaign in (WELCOME.id, SHAKE.id):
        rule = stop_rule(campaign, by="HQ", honour_issued=STOPS[change], now=counter.clock.now())
        await counter.store.decide([stop_key(campaign)], rule)


async def as_before(counter: Counter) -> None:
    counter.premises.renew(counter.bundle)
    stops = (stop_key(WELCOME.id), stop_key(SHAKE.id))
    await counter.store.decide([], lambda rows: Ruling(None, deletes=stops))


async def hangs_together(counter: Counter, when: str) -> None:
    """Every coupon has the terms of its edition, and is counted once: in the tally, and on one day's sheet."""
    store = counter.store
    coupons = await store.scan(CouponRecord, after_id="", limit=ROWS_MAX)
    editions = [each.campaign for each in await store.scan(EditionRecord, after_id="", limit=ROWS_MAX)]
    terms = {(each.id, each.edition): each for each in editions}
    tallies = {each.id: each for each in await store.scan(CampaignTally, after_id="", limit=ROWS_MAX)}
    lines = await store.scan(SheetLine, after_id="", limit=ROWS_MAX)
    for coupon in coupons:
        assert coupon.offer == terms[coupon.campaign, coupon.edition].offer, when
    for campaign in (WELCOME, SHAKE):
        issued = [each for each in coupons if each.campaign == campaign.id]
        redeemed = [each for each in issued if each.state is CouponState.REDEEMED]
        sheets = [each for each in lines if each.campaign == campaign.id]
        assert sum(each.issued for each in sheets) == len(issued), when
        assert sum(each.redeemed - each.undone for each in sheets) == len(redeemed), when
        if issued:
            tally = tallies[campaign.id]
            cost_minor = sum(each.offer.liability_minor for each in issued)
            assert (tally.units, tally.spend_minor) == (len(issued), cost_minor), when


async def test_without_a_change_everything_is_served() -> None:
    async with serving() as served:
        for _ in range(3):
            await served.once()
            assert [each for each in served.answers if each[1] not in (200, 303)] == []
            assert len(served.answers) >= 20


@pytest.mark.parametrize("change", SAMPLED)
async def test_a_change_at_any_step_leaves_everything_whole(change: str) -> None:
    async with serving() as served:
        counter = served.counter
        changing = ChangingStore(counter.store, lambda: change_now(counter, change))
        counter.premises.store = changing
        for changing.at in range(SAMPLED.index(change), STEPS_MAX, EVERY):
            changing.steps = 0
            await as_before(counter)
            await served.once()
            when = f"{change} at step {changing.at}"
            assert [each for each in served.answers if each[1] >= 500] == [], when
        await hangs_together(counter, change)
