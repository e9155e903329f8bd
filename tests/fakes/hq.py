"""HQ for tests: a chain of two branches, agents that sign and send, and the services over any storage."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_api.adapters.packing import ZstdPacking
from cloud_api.ports.storage import KnownAgent, KnownClaim, Storage
from cloud_api.services.bundling import Bundling
from cloud_api.services.changing import Changing
from cloud_api.services.estate_view import EstateView
from cloud_api.services.ingesting import Ingesting
from cloud_api.services.news import News
from cloud_api.services.overview import Overview
from cloud_api.services.registry import Registry
from cloud_api.services.reporting import Reporting
from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.estate import Change, Estate, Step
from engagement.ids import AgentName, BranchCode
from engagement.journal.batch import Batch, encode_batch
from engagement.journal.entry import CHAIN_START, Entry, chain
from engagement.journal.event import Event, Lane
from engagement.journal.tip import EMPTY, Epoch, Tip, extend
from engagement.line.claim import ENTROPY_BYTES, make_claim
from tests.fakes import shop
from tests.fakes.estates import BY, after, publish, put
from tests.fakes.hq_authority import HandSealing, make_sealing
from tests.fakes.ledger import SeededEntropy
from tests.fakes.memory_estate import MemoryEstate, MemoryReports

HARBOUR, PARK = BranchCode("HARBOUR"), BranchCode("PARK")
AGENT, OTHER = AgentName("harbour-1"), AgentName("park-1")
NUMBERS = {AGENT: 1, OTHER: 2}
BRANCHES = {AGENT: HARBOUR, OTHER: PARK}
# Open whenever a test runs, for a real HQ goes by the machine's clock.
ALWAYS = {"opens_at": "2020-01-01T00:00:00+00:00", "ends_at": "2099-01-01T00:00:00+00:00", "use_days": 7}
WELCOME = shop.campaign(window=ALWAYS)
SHAKE = shop.shake_campaign(window=ALWAYS)
BACK = shop.campaign(id="back", number=5, trigger={"on": "welcome_back", "dwell_s": 60}, window=ALWAYS)


def branch(code: BranchCode, agent: AgentName, time_zone: str) -> Branch:
    return Branch.model_validate(
        {
            "name": code.title(),
            "code": code,
            "time_zone": time_zone,
            "languages": ["en"],
            "currency": "CNY",
            "agents": [{"name": agent, "number": NUMBERS[agent]}],
        }
    )


class Chain(NamedTuple):
    """What a chain's files say."""

    branches: tuple[Branch, ...]
    campaigns: tuple[Campaign, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All of it, for an HQ that knows nothing yet."""
        return (*put(*self.branches), *publish(*self.campaigns))


CHAIN = Chain(
    branches=(branch(HARBOUR, AGENT, "Asia/Shanghai"), branch(PARK, OTHER, "Europe/Berlin")),
    campaigns=(WELCOME, SHAKE, BACK),
)


ESTATE = after(Estate(), *CHAIN.steps)


class HandClock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.wall_ms = shop.NOON_MS
        self.passed_s = 100.0

    def pass_ms(self, passed_ms: int) -> None:
        self.wall_ms += passed_ms
        self.passed_s += passed_ms / 1000

    def now_ms(self) -> int:
        return self.wall_ms

    def mono_s(self) -> float:
        return self.passed_s


class Journal:
    """An agent's ledger file as far as the line sees it: events in lanes, and batches of any run of them."""

    def __init__(self, agent: AgentName = AGENT, epoch: str = "00000000000000aa") -> None:
        self.agent = agent
        self.epoch = Epoch(epoch)
        self._tip: Tip = EMPTY
        self._entries: dict[Lane, list[Entry]] = {lane: [] for lane in Lane}

    def add(self, *events: Event) -> None:
        self._tip, entries = extend(self._tip, events)
        for entry in entries:
            self._entries[entry.lane].append(entry)

    def add_raw(self, lane: Lane, body: bytes) -> None:
        """An entry that is chained as it must be, whatever its body."""
        before = self._entries[lane]
        seq, head = (before[-1].seq, before[-1].head) if before else (0, CHAIN_START)
        entry = Entry(lane=lane, seq=seq + 1, stamp=self._tip.stamp, body=body, head=chain(head, body))
        before.append(entry)
        self._tip = Tip(
            {**self._tip.lanes, lane: type(self._tip.lanes[lane])(entry.seq, entry.head)}, self._tip.stamp
        )

    def entries(self, lane: Lane = Lane.MONEY) -> Sequence[Entry]:
        return self._entries[lane]

    def batch(self, first: int = 1, last: int | None = None, *, lane: Lane = Lane.MONEY) -> Batch:
        entries = tuple(self._entries[lane][first - 1 : last])
        previous = self._entries[lane][first - 2].head if first > 1 else CHAIN_START
        return Batch(self.agent, self.epoch, lane, first, previous, entries)

    def packed(self, first: int = 1, last: int | None = None, *, lane: Lane = Lane.MONEY) -> bytes:
        return ZstdPacking().pack(encode_batch(self.batch(first, last, lane=lane)))


def private_key(agent: AgentName) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(agent.encode().ljust(32, b"\0")[:32])


def public_key(agent: AgentName) -> bytes:
    return private_key(agent).public_key().public_bytes_raw()


async def enrol(storage: Storage, *agents: AgentName) -> None:
    """Make them active, each with its private_key()."""
    for place, agent in enumerate(agents):
        claim = make_claim(bytes([place, *agent.encode()])[:ENTROPY_BYTES].ljust(ENTROPY_BYTES, b"\0"))
        known = KnownAgent(agent, BRANCHES[agent], NUMBERS[agent], "claimed")
        await storage.put_claim(known, KnownClaim(claim, agent, shop.NOON_MS + shop.DAY_MS))
        await storage.enrol(claim.id, public_key=public_key(agent), at_ms=shop.NOON_MS)


@dataclass
class Hq:
    """The services over a storage; a new one over the same storage and stores is the cloud after a restart."""

    storage: Storage
    clock: HandClock = field(default_factory=HandClock)
    store: MemoryEstate = field(default_factory=lambda: MemoryEstate(ESTATE))
    reports: MemoryReports = field(default_factory=MemoryReports)
    sealing: HandSealing = field(default_factory=make_sealing)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    gave_back: int = 0

    def __post_init__(self) -> None:
        self.estate = EstateView()
        self.estate.take(self.store.outlined)
        self.registry = Registry(self.storage)
        self.news = News()
        self.changing = Changing(
            store=self.store,
            estate=self.estate,
            registry=self.registry,
            clock=self.clock,
            news=self.news,
            give_back=self._give_back,
        )
        self.bundling = Bundling(store=self.store, estate=self.estate, sealer=self.sealing)
        self.reporting = Reporting(
            store=self.reports,
            estate=self.estate,
            bundling=self.bundling,
            changing=self.changing,
            registry=self.registry,
            clock=self.clock,
            news=self.news,
        )
        self.overview = Overview(
            storage=self.storage,
            registry=self.registry,
            estate=self.estate,
            reporting=self.reporting,
            clock=self.clock,
        )
        self.ingesting = Ingesting(
            storage=self.storage,
            registry=self.registry,
            estate=self.estate,
            clock=self.clock,
            packing=ZstdPacking(),
        )

    def _give_back(self) -> None:
        self.gave_back += 1

    async def change(self, *steps: Step) -> int:
        """The revision after a change of the present estate."""
        return await self.changing.apply(Change(base=self.estate.revision, steps=steps), by=BY)


async def open_hq(storage: Storage, *agents: AgentName) -> Hq:
    """With these agents enrolled; HARBOUR's alone where none is named."""
    await enrol(storage, *(agents or (AGENT,)))
    hq = Hq(storage)
    await hq.registry.load()
    return hq
