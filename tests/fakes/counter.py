"""A store's counter for tests: the real services over the store in memory, with clocks that a test sets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import scrypt, sha256

from edge_agent.adapters.memory_store import MemoryStore, new_disk
from edge_agent.ports import Clock, Entropy
from edge_agent.radio_status import RadioStatus
from edge_agent.services.board import Board
from edge_agent.services.cashiers import Cashiers
from edge_agent.services.issuing import Issuing
from edge_agent.services.premises import Premises
from edge_agent.services.redeeming import Redeeming
from edge_agent.services.status import Counts, HealthReport, Status
from engagement.campaign.model import Campaign
from engagement.clock.moment import Moment
from engagement.coupon.coupon import CouponRecord
from engagement.estate.bundle import Bundle
from engagement.ids import CampaignId, SubjectId, TillName
from engagement.journal.event import Lane
from tests.fakes import shop

TILL = TillName("Till 1")
TILL_TOKEN = "till-one-token"
OTHER_TILL = TillName("Till 2")
OTHER_TOKEN = "till-two-token"
PIN = "2468"
OTHER_PIN = "1357"


class SetClock(Clock):
    """Both clocks stand still until a test moves them."""

    def __init__(self, wall_ms: int = shop.NOON_MS) -> None:
        self._wall_ms = wall_ms
        self._mono_s = 1000.0

    def now(self) -> Moment:
        return shop.moment(self._wall_ms)

    def mono_s(self) -> float:
        return self._mono_s

    def pass_s(self, seconds: float) -> None:
        self._wall_ms += round(seconds * 1000)
        self._mono_s += seconds


class CountedEntropy(Entropy):
    """Different bytes each time, the same in every run."""

    def __init__(self) -> None:
        self._drawn = 0

    def token(self, n_bytes: int) -> bytes:
        self._drawn += 1
        return (sha256(b"%d" % self._drawn).digest() * (n_bytes // 32 + 1))[:n_bytes]


async def pin_hash(pin: str, salt: bytes) -> bytes:
    """scrypt at once, and cheap: its strength is not what these tests are about."""
    return scrypt(pin.encode(), salt=salt, n=2, r=1, p=1, dklen=32)


class SetHealth:
    """Health as a test sets it."""

    def __init__(self) -> None:
        self.now = HealthReport(
            status=Status.OK,
            issues=(),
            backlog={Lane.MONEY: 3, Lane.ENGAGEMENT: 2, Lane.TELEMETRY: 0},
            last_sync_ms=None,
            radio="recording:test",
            radio_status=RadioStatus("recording:test", ()),
            branch="S1",
            agent="box-1",
            version="0.1.0",
            clock_error_ms=20,
            store_version="memory",
        )

    def report(self) -> HealthReport:
        return self.now

    def counts(self) -> Counts:
        return Counts(
            adverts_heard=100,
            adverts_matched=40,
            adverts_dropped=0,
            guests_open=3,
            guests_turned_away=0,
            rights_left={CampaignId("welcome"): 7},
        )

    def becomes(self, status: Status) -> None:
        self.now = replace(self.now, status=status)


def bundle(*campaigns: Campaign, languages: tuple[str, ...] = ("zh-Hans", "en")) -> Bundle:
    """One branch with two tills and two cashiers, whose PINs are hashed as ``pin_hash`` does."""
    salt = bytes(16)

    def cashier(name: str, pin: str) -> dict[str, str]:
        hashed = scrypt(pin.encode(), salt=salt, n=2, r=1, p=1, dklen=32)
        return {"name": name, "salt": salt.hex(), "pin_scrypt": hashed.hex()}

    return Bundle.model_validate(
        {
            "version": 1,
            "sequence": 1,
            "agent": "box-1",
            "agent_number": shop.AGENT_NUMBER,
            "branch": {
                "name": "Riverside",
                "code": "S1",
                "time_zone": "Asia/Shanghai",
                "languages": languages,
                "currency": "CNY",
                "zones": ["Entrance", "Tea"],
                "beacons": [
                    {
                        "name": "Anna's tag",
                        "role": "tag",
                        "ibeacon": {"uuid": "f7826da6-4fa2-4e98-8024-bc5b71e0893e", "major": 1, "minor": 1},
                    }
                ],
                "agents": [{"name": "box-1", "number": shop.AGENT_NUMBER}],
                "tills": [TILL, OTHER_TILL],
            },
            "campaigns": [campaign.model_dump(mode="json") for campaign in campaigns],
            "tills": [
                {"name": TILL, "token_sha256": sha256(TILL_TOKEN.encode()).hexdigest()},
                {"name": OTHER_TILL, "token_sha256": sha256(OTHER_TOKEN.encode()).hexdigest()},
            ],
            "cashiers": [cashier("Li", PIN), cashier("Wang", OTHER_PIN)],
        }
    )


@dataclass
class Counter:
    """Everything that the staff side is built from."""

    bundle: Bundle
    clock: SetClock
    store: MemoryStore
    premises: Premises
    issuing: Issuing
    redeeming: Redeeming
    cashiers: Cashiers
    board: Board
    health: SetHealth = field(default_factory=SetHealth)

    async def coupon(self, campaign: str = "welcome", subject: SubjectId = shop.ANNA) -> CouponRecord:
        """A coupon that was really issued."""
        wanted = next(each for each in self.bundle.campaigns if each.id == campaign)
        issued = await self.issuing.give(wanted, subject)
        assert isinstance(issued, CouponRecord), issued
        return issued


@asynccontextmanager
async def open_counter(*campaigns: Campaign, clock: SetClock | None = None) -> AsyncIterator[Counter]:
    """A counter with these campaigns, by default one that takes 20.00 off from 100.00 on."""
    laid = bundle(*(campaigns or (shop.campaign(),)))
    clock = clock or SetClock()
    entropy = CountedEntropy()
    store = MemoryStore(new_disk(entropy))
    writer = asyncio.create_task(store.run())
    mint = replace(shop.MINT, lease_number=store.lease_number)
    premises = Premises(bundle=laid, clock=clock, entropy=entropy, store=store, mint=mint)
    try:
        yield Counter(
            bundle=laid,
            clock=clock,
            store=store,
            premises=premises,
            issuing=Issuing(premises),
            redeeming=Redeeming(premises, shop.verify),
            cashiers=Cashiers(
                bundle=lambda: premises.bundle, clock=clock, entropy=entropy, pin_hash=pin_hash
            ),
            board=Board(laid.branch.beacons, clock),
        )
    finally:
        await store.close()
        await writer
