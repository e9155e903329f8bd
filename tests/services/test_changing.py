"""Changes at HQ: one after the other, each on its base; whatever is refused leaves nothing behind."""

import asyncio

import pytest

from cloud_api.ports.storage import StorageBusy
from cloud_api.services.changing import ChangeRefused
from cloud_api.services.refused import Refused
from engagement.estate.estate import Change, DropBranch, Estate, PutBranch, PutMembers
from engagement.estate.outline import outline_of
from engagement.ids import AgentName, BranchCode, CampaignId
from tests.fakes import shop
from tests.fakes.estates import access, branch, changed_of, member, publish, put
from tests.fakes.hq import AGENT, CHAIN, HARBOUR, PARK, Hq, open_hq
from tests.fakes.memory_estate import MemoryEstate
from tests.fakes.memory_storage import MemoryStorage

MORE = shop.campaign(id="more", number=9)
BEACON = {"name": "tag", "role": "tag", "altbeacon": {"id": "ab" * 20}}
LAKE = branch("LAKE", "lake-1", beacons=[BEACON])


@pytest.fixture
async def hq() -> Hq:
    return await open_hq(MemoryStorage())


def is_at_hand(hq: Hq) -> bool:
    """Whether the view is what a restart would make of what is stored."""
    return hq.estate.estate == hq.store.outlined


async def test_a_change_is_stored_at_hand_and_told(hq: Hq) -> None:
    told = hq.news.count
    assert await hq.change(*put(LAKE), *publish(MORE)) == 2
    assert hq.store.whole.branches[1].branch.beacons == LAKE.beacons
    assert [each.code for each in hq.estate.branches] == [HARBOUR, "LAKE", PARK]
    assert hq.estate.agent(BranchCode("LAKE"), AgentName("lake-1")) is not None
    assert hq.estate.agent(PARK, AgentName("lake-1")) is None
    assert is_at_hand(hq)
    assert hq.news.count > told


async def test_a_change_that_changes_nothing_is_not_told(hq: Hq) -> None:
    told = hq.news.count
    assert await hq.change(*put(*CHAIN.branches), *publish(*CHAIN.campaigns)) == 1
    assert hq.news.count == told


async def test_of_two_changes_on_one_base_the_second_is_refused(hq: Hq) -> None:
    async def apply(*codes: str) -> int:
        steps = tuple(PutBranch(branch=branch(code, f"{code}-1")) for code in codes)
        return await hq.changing.apply(Change(base=1, steps=steps), by="hq")

    first, second = await asyncio.gather(apply("X"), apply("Y", "Z"), return_exceptions=True)
    assert first == 2
    assert isinstance(second, Refused)
    assert (second.code, second.more) == ("estate_moved", {"revision": 2})
    assert [each.code for each in hq.estate.branches] == [HARBOUR, PARK, "X"]


async def test_a_refused_change_says_everything_and_leaves_nothing(hq: Hq) -> None:
    before = hq.store.whole
    with pytest.raises(ChangeRefused) as refused:
        await hq.change(*put(LAKE), DropBranch(code=BranchCode("NONE")), *publish(shop.campaign(number=8)))
    assert len(refused.value.complaints) == 2
    assert hq.store.whole is before
    assert is_at_hand(hq)


class FullEstate(MemoryEstate):
    """Its disk is full."""

    async def put(self, before: Estate, after: Estate, *, whole: object) -> None:
        raise StorageBusy("the disk is full")


async def test_a_full_disk_leaves_the_estate_and_the_next_change_as_they_were() -> None:
    hq = Hq(MemoryStorage(), store=FullEstate())
    for _ in range(2):
        with pytest.raises(StorageBusy):
            await hq.changing.apply(Change(base=0, steps=put(LAKE)), by="hq")
    assert hq.estate.branches == ()


async def test_other_branches_keep_their_beacons_and_access_through_a_change(hq: Hq) -> None:
    await hq.change(PutBranch(branch=LAKE, access=access("till 1")))
    await hq.change(*publish(MORE), PutMembers(members=(member("m-1"),)))
    (lake,) = await hq.store.branches([BranchCode("LAKE")])
    assert (lake.branch.beacons, lake.access) == (LAKE.beacons, access("till 1"))
    assert is_at_hand(hq)


async def test_numbers_of_all_agents_that_hq_ever_knew_are_taken(hq: Hq) -> None:
    await hq.change(*put(LAKE))
    await hq.change(DropBranch(code=BranchCode("LAKE")))
    await hq.change(*put(branch("HILL", "hill-1")))
    listed = hq.estate.agent(BranchCode("HILL"), AgentName("hill-1"))
    assert listed is not None
    assert listed.number == 4


async def test_a_large_change_is_judged_the_same(hq: Hq) -> None:
    """It is done in a thread."""
    many = [branch(f"B{number:04}", f"b-{number}") for number in range(600)]
    assert await hq.change(*put(*many)) == 2
    assert len(hq.estate.branches) == 602
    assert is_at_hand(hq)
    assert await hq.change(*put(LAKE)) == 3
    assert changed_of(hq.estate.estate, "B0001") == 2


async def test_memory_is_given_back_once_after_what_took_much(hq: Hq) -> None:
    await hq.change(*put(LAKE))
    await hq.changing.text()
    await hq.changing.tidy()
    assert hq.gave_back == 0
    many = [branch(f"B{number:04}", f"b-{number}") for number in range(600)]
    await hq.change(*put(*many))
    before = hq.gave_back
    await hq.changing.tidy()
    await hq.changing.tidy()
    assert hq.gave_back == before + 1
    await hq.changing.text()
    await hq.changing.tidy()
    assert hq.gave_back == before + 2
    with pytest.raises(Refused):
        await hq.changing.apply(Change(base=1, steps=put(*many)), by="hq")
    await hq.changing.tidy()
    assert hq.gave_back == before + 3


async def test_a_campaign_is_stopped_whatever_the_revision(hq: Hq) -> None:
    stop = CampaignId("welcome")
    assert await hq.changing.stop(stop, honour_issued=True, by="Li") == 2
    assert await hq.changing.stop(stop, honour_issued=True, by="Wu") == 2
    assert await hq.changing.stop(stop, honour_issued=False, by="Wu") == 3
    stopped = hq.estate.stop_of(stop)
    assert stopped is not None
    assert (stopped.by, stopped.honour_issued, stopped.at_ms) == ("Wu", False, shop.NOON_MS)
    assert {each.id: state for each, state in hq.overview.campaigns()}[stop] == "stopped"
    with pytest.raises(Refused, match="none") as refused:
        await hq.changing.stop(CampaignId("none"), honour_issued=True, by="Li")
    assert refused.value.code == "campaign_unknown"


async def test_a_restart_finds_the_estate_as_it_was(hq: Hq) -> None:
    await hq.change(*put(LAKE), DropBranch(code=PARK))
    again = Hq(hq.storage, store=hq.store)
    await again.estate.load(hq.store)
    assert again.estate.estate == hq.estate.estate
    assert [each.code for each in again.estate.branches] == [HARBOUR, "LAKE"]
    for code, zone in ((PARK, "Europe/Berlin"), (HARBOUR, "Asia/Shanghai")):
        known = again.estate.zone(code)
        assert known is not None
        assert known.key == zone
        assert hq.estate.zone(code) is known
    assert again.estate.zone(BranchCode("NONE")) is None


async def test_the_view_holds_outlines(hq: Hq) -> None:
    await hq.change(PutBranch(branch=LAKE, access=access("till 1")))
    place = hq.estate.place(AgentName("lake-1"))
    assert place is not None
    assert place.branch == outline_of(place.branch)
    assert hq.estate.place(AGENT) is not None
    assert hq.estate.place(AgentName("nobody")) is None
