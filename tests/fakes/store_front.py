"""One store's guest side over a memory store: real services and rules, a clock and a till that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from time import monotonic
from typing import Any

from edge_agent.adapters.guest_http.apps import GuestApps, build_guest_apps
from edge_agent.adapters.memory_store import MemoryStore, new_disk
from edge_agent.services.hosting import Hosting
from edge_agent.services.issuing import Issuing
from edge_agent.services.premises import Premises
from edge_agent.services.ticketing import Ticketing
from edge_agent.services.visit_keys import KeyRing, VisitKeys
from engagement.campaign.model import Campaign
from engagement.campaign.state import stop_key, stop_rule
from engagement.clock.moment import Moment
from engagement.coupon.coupon import CouponRecord
from engagement.estate.bundle import Bundle
from engagement.ids import OrderId, RequestId
from engagement.till.attempt import Attempt, redeem_keys, redeem_rule
from tests.fakes.shop import CASHIER, MINT, NOON_MS, TILL, campaign, day_of, moment, shake_campaign, target

MEMBER_CODE = "K7QM-2WXZ-9D"
_ZONE = "Asia/Shanghai"


@dataclass
class MovedClock:
    """Wall time stands still until a test moves it; the monotonic one runs."""

    wall_ms: int = NOON_MS

    def now(self) -> Moment:
        return moment(self.wall_ms)

    def mono_s(self) -> float:
        return monotonic()


class Dice:
    def token(self, n_bytes: int) -> bytes:
        return token_bytes(n_bytes)


class AddressIsPhone:
    """As on loopback: the address itself stands for the phone."""

    def handset(self, address: str) -> bytes:
        return address.encode()


@dataclass
class KeysInMemory:
    ring: KeyRing | None = None

    def load(self) -> KeyRing | None:
        return self.ring

    def save(self, ring: KeyRing) -> None:
        self.ring = ring


def bundle_file(*campaigns: Campaign, **branch: object) -> dict[str, Any]:
    return {
        "version": 1,
        "sequence": 1,
        "agent": "box",
        "agent_number": MINT.agent_number,
        "branch": {
            "name": "Lantern Lane",
            "code": "LL1",
            "time_zone": _ZONE,
            "languages": ["en", "zh-Hans"],
            "currency": "CNY",
            "zones": ["door", "tea"],
            "agents": [{"name": "box"}],
        }
        | branch,
        "campaigns": [each.model_dump(mode="json") for each in campaigns],
        "members": [{"id": "m1", "code_sha256": sha256(b"K7QM2WXZ9D").hexdigest()}],
    }


@dataclass
class StoreFront:
    """``keep``: what outlives a restart of the services."""

    bundle: Bundle
    store: MemoryStore
    base_url: str
    clock: MovedClock = field(default_factory=MovedClock)
    keys: KeysInMemory = field(default_factory=KeysInMemory)

    def __post_init__(self) -> None:
        dice = Dice()
        self.premises = Premises(
            bundle=self.bundle,
            clock=self.clock,
            entropy=dice,
            store=self.store,
            mint=MINT,
        )
        visit_keys = VisitKeys(self.clock, dice, self.keys)
        self.issuing = Issuing(self.premises)
        self.hosting = Hosting(self.premises, self.issuing, AddressIsPhone(), visit_keys)
        self.ticketing = Ticketing(self.premises, visit_keys)

    def apps(self) -> GuestApps:
        return build_guest_apps(
            premises=self.premises,
            hosting=self.hosting,
            issuing=self.issuing,
            ticketing=self.ticketing,
            base_url=self.base_url,
        )

    async def use(self, presented: CouponRecord, *, request: str = "q1") -> object:
        """Redeem a coupon as the till would, on a basket of 100.00."""
        now = self.clock.now()
        attempt = Attempt(
            till=TILL,
            cashier=CASHIER,
            request=RequestId(request),
            order=OrderId(f"order-{request}"),
            basket_minor=10_000,
            currency="CNY",
            now=now,
            day=day_of(now),
            redemption_secret=request,
        )
        keys = redeem_keys(attempt, target(presented))
        return await self.store.decide(keys, redeem_rule(attempt, target(presented)))

    async def stop(self, stopped: Campaign, *, honour_issued: bool) -> None:
        rule = stop_rule(stopped.id, by="Li", honour_issued=honour_issued, now=self.clock.now())
        await self.store.decide([stop_key(stopped.id)], rule)


@asynccontextmanager
async def store_front(
    *campaigns: Campaign, base_url: str = "https://127.0.0.1:8611", **branch: object
) -> AsyncIterator[StoreFront]:
    """A store with these campaigns; by default a welcome coupon and a shake that always wins."""
    chosen = campaigns or (campaign(), shake_campaign(win_bps=10_000))
    store = MemoryStore(new_disk(Dice()))
    writer = asyncio.create_task(store.run())
    try:
        yield StoreFront(Bundle.model_validate(bundle_file(*chosen, **branch)), store, base_url)
    finally:
        await store.close()
        await writer
