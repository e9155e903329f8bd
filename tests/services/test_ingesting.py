"""Ingest: each entry once, whatever is repeated, cut or regrouped; bad ones apart; strangers and floods sent away."""

import asyncio
from contextlib import ExitStack
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_api.adapters.packing import ZstdPacking
from cloud_api.ports.storage import Intake, LaneKey, MarkMoved, StorageBusy
from cloud_api.services.ingesting import IN_HAND_MAX, READING_OF_ONE_MAX
from cloud_api.services.refused import Refused
from engagement.estate.estate import DropBranch
from engagement.ids import AgentName, LocalDay
from engagement.journal.batch import encode_batch
from engagement.journal.event import Lane
from engagement.line.answers import BatchAnswer, RefusedEntry
from engagement.line.signature import SignatureRefused, sign_request
from engagement.settlement.funnel import FunnelLine, funnel
from tests.fakes.estates import put
from tests.fakes.happenings import came, consented, issued, money, redeemed, shaken, undone
from tests.fakes.hq import AGENT, CHAIN, HARBOUR, OTHER, Hq, Journal, open_hq, private_key
from tests.fakes.memory_estate import MemoryEstate
from tests.fakes.memory_storage import MemoryStorage

TODAY = LocalDay("2026-11-21")


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
async def hq(storage: MemoryStorage) -> Hq:
    return await open_hq(storage, AGENT, OTHER)


def journal_of(count: int) -> Journal:
    journal = Journal()
    journal.add(*money(count))
    return journal


async def refusal(hq: Hq, body: bytes, sender: object = AGENT) -> Refused:
    with pytest.raises(Refused) as refused:
        await hq.ingesting.take(sender, body)  # type: ignore[arg-type]
    return refused.value


async def funnel_of(storage: MemoryStorage) -> dict[str, FunnelLine]:
    totals = await storage.totals(LocalDay("2000-01-01"), LocalDay("2100-01-01"), branch=None)
    return {line.campaign: line for line in funnel(CHAIN.campaigns, totals)}


async def test_a_batch_is_confirmed_to_its_end(hq: Hq, storage: MemoryStorage) -> None:
    journal = journal_of(6)
    assert await hq.ingesting.take(AGENT, journal.packed()) == BatchAnswer(ack=6)
    (lane,) = storage.stored.values()
    assert [line.seq for line in lane.money] == [1, 2, 3, 4, 5, 6]


async def test_a_repeat_is_confirmed_and_counts_nothing(hq: Hq, storage: MemoryStorage) -> None:
    journal = journal_of(6)
    for first, last in ((1, 4), (1, 4), (2, 3), (1, 6), (3, 6), (6, 6), (1, 6)):
        answer = await hq.ingesting.take(AGENT, journal.packed(first, last))
        assert answer.ack == (4 if last <= 4 else 6)
    line = (await funnel_of(storage))["welcome"]
    assert (line.claimed, line.redeemed, line.claimed_minor, line.redeemed_minor) == (3, 3, 6000, 6000)
    (lane,) = storage.stored.values()
    assert sorted((first, last) for first, (last, _) in lane.segments.items()) == [(1, 4), (5, 6)]


async def test_what_is_kept_of_a_partly_known_batch_is_a_batch_of_the_rest(
    hq: Hq, storage: MemoryStorage
) -> None:
    journal = journal_of(6)
    await hq.ingesting.take(AGENT, journal.packed(1, 4))
    await hq.ingesting.take(AGENT, journal.packed(3, 6))
    segment = await storage.segment(LaneKey(AGENT, Lane.MONEY, journal.epoch), 5)
    assert segment is not None
    assert ZstdPacking().unpack(segment, bytes_max=10**6) == encode_batch(journal.batch(5, 6))


async def test_a_gap_names_the_first_that_is_missing(hq: Hq) -> None:
    journal = journal_of(6)
    refused = await refusal(hq, journal.packed(3, 6))
    assert (refused.code, refused.more) == ("gap", {"expected": 1})
    await hq.ingesting.take(AGENT, journal.packed(1, 2))
    assert (await refusal(hq, journal.packed(4, 6))).more == {"expected": 3}
    assert (await hq.ingesting.take(AGENT, journal.packed(3, 6))).ack == 6


@pytest.mark.parametrize(("first", "last"), [(1, 4), (2, 3), (4, 4), (3, 6), (5, 6), (1, 6)])
async def test_another_history_is_refused_wherever_it_shows(hq: Hq, first: int, last: int) -> None:
    await hq.ingesting.take(AGENT, journal_of(4).packed())
    other = Journal()
    other.add(issued(77), *money(5, first=2))
    refused = await refusal(hq, other.packed(first, last))
    assert (refused.code, refused.more) == ("diverged", {"ack": 4})


async def test_another_ledger_file_begins_anew(hq: Hq, storage: MemoryStorage) -> None:
    await hq.ingesting.take(AGENT, journal_of(4).packed())
    fresh = Journal(epoch="00000000000000bb")
    fresh.add(*money(2))
    assert (await hq.ingesting.take(AGENT, fresh.packed())).ack == 2
    assert len(storage.stored) == 2


async def test_a_restarted_cloud_goes_on_where_it_was(hq: Hq, storage: MemoryStorage) -> None:
    journal = journal_of(6)
    await hq.ingesting.take(AGENT, journal.packed(1, 4))
    again = Hq(storage)
    await again.registry.load()
    assert (await again.ingesting.take(AGENT, journal.packed(1, 6))).ack == 6
    assert (await funnel_of(storage))["welcome"].claimed == 3


async def test_bad_entries_are_kept_apart_and_hold_nothing_up(hq: Hq, storage: MemoryStorage) -> None:
    journal = Journal()
    journal.add(issued(1))
    good = journal.entries()[0].body
    journal.add_raw(Lane.MONEY, b"\xff no json")
    journal.add_raw(Lane.MONEY, good.replace(b"coupon_issued", b"coupon_melted"))
    journal.add_raw(Lane.MONEY, good.replace(b'"liability_minor":2000', b'"liability_minor":"much"'))
    journal.add_raw(Lane.MONEY, good.replace(b'"liability_minor":2000', b'"liability_minor":%d' % 2**70))
    journal.add_raw(Lane.MONEY, good.replace(b'"CNY"', b'"C\\u0000Y"'))
    journal.add_raw(Lane.MONEY, good.replace(b'"wall_ms":1', b'"wall_ms":-1'))
    journal.add_raw(Lane.MONEY, consented().model_dump_json().encode())
    journal.add_raw(Lane.MONEY, good.replace(b"000001", b"000002"))
    answer = await hq.ingesting.take(AGENT, journal.packed())
    assert answer.ack == 9
    assert answer.refused == (
        RefusedEntry(seq=2, code="event_unreadable"),
        RefusedEntry(seq=3, code="event_unknown"),
        RefusedEntry(seq=4, code="event_unreadable"),
        RefusedEntry(seq=5, code="event_impossible"),
        RefusedEntry(seq=6, code="event_impossible"),
        RefusedEntry(seq=7, code="event_impossible"),
        RefusedEntry(seq=8, code="event_in_wrong_lane"),
    )
    (lane,) = storage.stored.values()
    assert [line.seq for line in lane.money] == [1, 9]
    assert [kept.letter.body for kept in lane.letters] == [entry.body for entry in journal.entries()[1:8]]


async def test_only_its_own_batches_are_taken_of_an_agent(hq: Hq) -> None:
    assert (await refusal(hq, journal_of(2).packed(), sender=OTHER)).code == "agent_mismatch"
    assert (await refusal(hq, journal_of(2).packed(), sender="stranger")).code == "agent_mismatch"


@given(st.binary(max_size=200))
def test_no_bytes_break_it(body: bytes) -> None:
    async def send(packed: bytes) -> str:
        return (await refusal(await open_hq(MemoryStorage()), packed)).code

    assert asyncio.run(send(body)) in ("not_packed", "malformed_batch")
    assert asyncio.run(send(ZstdPacking().pack(body))) == "malformed_batch"


async def test_a_bomb_is_not_unpacked(hq: Hq) -> None:
    assert (await refusal(hq, ZstdPacking().pack(bytes(50 * 2**20)))).code == "not_packed"


async def test_a_branch_that_hq_lost_keeps_its_batches(hq: Hq) -> None:
    lost = Hq(hq.storage, store=MemoryEstate())
    await lost.registry.load()
    assert (await refusal(lost, journal_of(2).packed())).code == "branch_unknown"
    await lost.change(*put(CHAIN.branches[0]))
    assert (await lost.ingesting.take(AGENT, journal_of(2).packed())).ack == 2


async def test_a_branch_that_was_dropped_still_brings_in_what_it_has(hq: Hq) -> None:
    await hq.change(DropBranch(code=HARBOUR))
    assert (await hq.ingesting.take(AGENT, journal_of(2).packed())).ack == 2


class StumblingStorage(MemoryStorage):
    """Fails as told, before or after it has kept."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[Exception] = []
        self.after: list[Exception] = []

    async def keep(self, intake: Intake) -> None:
        if self.before:
            raise self.before.pop()
        await super().keep(intake)
        if self.after:
            raise self.after.pop()


async def test_what_was_kept_without_an_answer_is_confirmed_by_the_repeat() -> None:
    storage = StumblingStorage()
    hq = await open_hq(storage)
    journal = journal_of(4)
    for failures in (storage.before, storage.after):
        failures.append(StorageBusy("full"))
        with pytest.raises(StorageBusy):
            await hq.ingesting.take(AGENT, journal.packed())
    assert (await hq.ingesting.take(AGENT, journal.packed())).ack == 4
    assert (await funnel_of(storage))["welcome"].claimed == 2


async def test_a_mark_that_moved_is_looked_at_again() -> None:
    storage = StumblingStorage()
    hq = await open_hq(storage)
    storage.before.append(MarkMoved("raced"))
    assert (await hq.ingesting.take(AGENT, journal_of(2).packed())).ack == 2


async def test_a_flood_is_given_one_slot_after_the_other(hq: Hq) -> None:
    with ExitStack() as places:
        for _ in range(IN_HAND_MAX):
            places.enter_context(hq.ingesting.a_place())
        slots = []
        for _ in range(100):
            with pytest.raises(Refused) as refused, hq.ingesting.a_place():
                pass
            assert refused.value.code == "overloaded"
            slots.append(refused.value.more["slot_ms"])
        assert slots == sorted(slots)
        assert slots[0] > 0
        assert slots[-1] > slots[0]
    hq.clock.pass_ms(slots[-1] + 10)
    with hq.ingesting.a_place():
        assert (await hq.ingesting.take(AGENT, journal_of(2).packed())).slot_ms == 0


def signed_as(agent: AgentName, by: AgentName | None = None) -> tuple[str, str, dict[str, str]]:
    """What reaches HQ before the body does; ``by``: whose key signs it, where that is not the agent's own."""
    sign = private_key(by or agent).sign
    headers = sign_request("POST", "https://hq.test/", b"", keyid=agent, created_s=0, nonce="n", sign=sign)
    return "POST", "https://hq.test/", headers


async def test_bodies_that_never_arrive_keep_no_agent_from_being_served(storage: MemoryStorage) -> None:
    hq = await open_hq(storage, AGENT, OTHER)
    with ExitStack() as bodies:
        for _ in range(READING_OF_ONE_MAX):
            bodies.enter_context(hq.ingesting.a_reading(*signed_as(AGENT)))
        with pytest.raises(Refused) as refused, hq.ingesting.a_reading(*signed_as(AGENT)):
            pass
        assert refused.value.more["slot_ms"] > 0
        with hq.ingesting.a_reading(*signed_as(OTHER)), hq.ingesting.a_place():
            assert (await hq.ingesting.take(AGENT, journal_of(2).packed())).ack == 2
    with hq.ingesting.a_reading(*signed_as(AGENT)):
        pass


async def test_nothing_is_read_from_whom_nobody_knows(hq: Hq) -> None:
    for head in (signed_as(AgentName("nobody")), ("POST", "https://hq.test/", {})):
        with pytest.raises(SignatureRefused), hq.ingesting.a_reading(*head):
            pass


async def test_nobody_holds_an_agents_room_by_its_name_alone(hq: Hq) -> None:
    with ExitStack() as bodies:
        for _ in range(2 * READING_OF_ONE_MAX):
            with pytest.raises(SignatureRefused):
                bodies.enter_context(hq.ingesting.a_reading(*signed_as(AGENT, by=OTHER)))
        assert bodies.enter_context(hq.ingesting.a_reading(*signed_as(AGENT))) == AGENT


async def test_the_funnel_counts_what_happened(hq: Hq, storage: MemoryStorage) -> None:
    journal = Journal()
    journal.add(consented(), consented(), shaken(1), shaken(2, won=True), shaken(3))
    journal.add(came("lin"), came("lin"), came("chen"), came("lin", stays=True))
    journal.add(
        issued(1), issued(2, of="shake"), issued(3, of="back"), redeemed(1), undone(1), redeemed(3, of="back")
    )
    for lane in (Lane.ENGAGEMENT, Lane.MONEY):
        await hq.ingesting.take(AGENT, journal.packed(lane=lane))
    lines = await funnel_of(storage)

    def counts(campaign: str) -> tuple[int, int, int, int]:
        line = lines[campaign]
        return line.detected, line.shown, line.claimed, line.redeemed

    assert counts("welcome") == (2, 2, 1, 0)
    assert counts("shake") == (2, 3, 1, 0)
    assert counts("back") == (2, 1, 1, 1)
    assert (lines["shake"].won, lines["back"].redeemed_minor) == (1, 2000)


@pytest.mark.parametrize("seed", range(20))
async def test_any_order_of_cuts_and_repeats_ends_in_the_same(seed: int) -> None:
    random = Random(seed)
    journal = Journal()
    journal.add(*money(40), *[consented(), came(), shaken()] * 5)
    ends = {Lane.MONEY: 40, Lane.ENGAGEMENT: 15}
    storage = MemoryStorage()
    hq = await open_hq(storage)
    marks = dict.fromkeys(ends, 0)
    while marks != ends:
        lane = random.choice([*ends])
        first = random.randint(1, min(marks[lane] + 2, ends[lane]))
        last = random.randint(first, min(first + 9, ends[lane]))
        if random.random() < 0.1:  # the cloud was killed and started again
            hq = Hq(storage)
            await hq.registry.load()
        packed = journal.packed(first, last, lane=lane)
        if first > marks[lane] + 1:
            assert (await refusal(hq, packed)).more == {"expected": marks[lane] + 1}
        else:
            marks[lane] = (await hq.ingesting.take(AGENT, packed)).ack
    at_once = MemoryStorage()
    whole = await open_hq(at_once)
    for lane in ends:
        await whole.ingesting.take(AGENT, journal.packed(lane=lane))
    assert storage.counts == at_once.counts
    assert [lane.money for lane in storage.stored.values() if lane.money] == [
        lane.money for lane in at_once.stored.values() if lane.money
    ]


async def test_many_at_once_are_ruled_on_one_by_one(hq: Hq, storage: MemoryStorage) -> None:
    journal = journal_of(10)
    answers = await asyncio.gather(
        *(hq.ingesting.take(AGENT, journal.packed(1, last)) for last in range(1, 11))
    )
    assert [answer.ack for answer in answers] == list(range(1, 11))
    assert (await funnel_of(storage))["welcome"].claimed == 5
