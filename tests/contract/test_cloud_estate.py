"""One suite for every store of HQ's estate and of agents' reports: what the services rely on."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from cloud_api.ports.estate import EstateMoved, EstateStore, KeptReport, ReportStore
from engagement.estate.estate import DropBranch, Estate, PutBranch, PutMembers, Step, StopCampaign
from engagement.estate.outline import outline_of
from engagement.ids import AgentName, BranchCode, CampaignId
from engagement.journal.event import Lane
from engagement.line.answers import AgentReport
from tests.fakes import shop
from tests.fakes.cloud_storages import running_sqlite
from tests.fakes.estates import access, after, branch, member, publish, put
from tests.fakes.memory_estate import MemoryEstate, MemoryReports

A, B = BranchCode("A"), BranchCode("B")
BEACON = {"name": "tag", "role": "tag", "altbeacon": {"id": "ab" * 20}}


class Stores(NamedTuple):
    estate: EstateStore
    reports: ReportStore


Open = Callable[[], AbstractAsyncContextManager[Stores]]


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same stores each time it is called."""
    memory = Stores(MemoryEstate(), MemoryReports())

    @asynccontextmanager
    async def open_memory() -> AsyncIterator[Stores]:
        yield memory

    @asynccontextmanager
    async def open_sqlite() -> AsyncIterator[Stores]:
        async with running_sqlite(tmp_path / "hq.db") as storage:
            yield Stores(storage.estate, storage.reports)

    return open_memory if request.param == "memory" else open_sqlite


@pytest.fixture
async def store(reopen: Open) -> AsyncIterator[EstateStore]:
    async with reopen() as stores:
        yield stores.estate


async def whole(store: EstateStore) -> Estate:
    return Estate.model_validate_json(await store.text())


def outlined(estate: Estate) -> Estate:
    branches = tuple(outline_of(each) for each in estate.branches)
    return estate.model_copy(update={"branches": branches})


async def keep(store: EstateStore, before: Estate, *steps: Step, codes: Collection[BranchCode]) -> Estate:
    """As the services do: branches that are put whole, the others as outlines."""
    known = {each.branch.code: each for each in await store.branches(codes)}
    outline = await store.outline()
    branches = tuple(known.get(each.branch.code, each) for each in outline.branches)
    base = before.model_copy(update={"branches": branches})
    revised = after(base, *steps)
    await store.put(base, revised, whole=codes)
    return await whole(store)


def first_steps() -> tuple[Step, ...]:
    here = PutBranch(branch=branch("A", "a-1", beacons=[BEACON]), access=access("till 1"))
    return (
        here,
        *put(branch("B", "b-1")),
        *publish(shop.campaign(), shop.shake_campaign()),
        PutMembers(members=(member("m-1"),)),
    )


async def test_a_new_store_is_empty(store: EstateStore) -> None:
    assert await store.outline() == await whole(store) == Estate()
    assert await store.former_branches() == []
    assert (await store.numbers(), await store.editions()) == ({}, [])


async def test_an_estate_comes_back_as_it_was_put(reopen: Open) -> None:
    expected = after(Estate(), *first_steps())
    async with reopen() as stores:
        await stores.estate.put(Estate(), expected, whole=[A, B])
    async with reopen() as stores:
        assert await whole(stores.estate) == expected
        assert await stores.estate.outline() == outlined(expected)
        assert await stores.estate.numbers() == {"a-1": 1, "b-1": 2}
        assert [each.branch.code for each in await stores.estate.branches([B, A])] == [A, B]
        (one,) = await stores.estate.branches([A, BranchCode("Z")])
        assert one == expected.branches[0]


async def test_a_change_writes_what_it_changes_and_leaves_the_rest(store: EstateStore) -> None:
    first = await keep(store, Estate(), *first_steps(), codes=[A, B])
    stop = StopCampaign(campaign=CampaignId("shake"), honour_issued=True)
    second = await keep(store, first, *put(branch("B", "b-1", "b-2")), stop, codes=[B])
    assert second == after(first, *put(branch("B", "b-1", "b-2")), stop)
    assert second.branches[0].branch.beacons == first.branches[0].branch.beacons
    stricter = StopCampaign(campaign=CampaignId("shake"))
    third = await keep(store, second, stricter, PutMembers(), codes=[])
    assert third == after(second, stricter, PutMembers())


async def test_a_campaign_of_some_branches_raises_only_their_rows(store: EstateStore) -> None:
    listed = branch("B", "b-1", campaigns=[])
    first = await keep(store, Estate(), *put(branch("A", "a-1", beacons=[BEACON]), listed), codes=[A, B])
    second = await keep(store, first, *publish(shop.campaign()), codes=[])
    assert [each.changed for each in second.branches] == [2, 1]
    assert second.branches[0].branch == first.branches[0].branch


async def test_editions_are_kept_for_good(store: EstateStore) -> None:
    first = await keep(store, Estate(), *first_steps(), codes=[A, B])
    second = await keep(store, first, *publish(shop.campaign(edition=4)), codes=[])
    assert [each.edition for each in second.campaigns] == [4, 1]
    assert [(each.id, each.edition) for each in await store.editions()] == [
        ("welcome", 1),
        ("welcome", 4),
        ("shake", 1),
    ]


async def test_numbers_outlive_their_agents_and_branches_their_listing(store: EstateStore) -> None:
    first = await keep(store, Estate(), *first_steps(), codes=[A, B])
    second = await keep(store, first, DropBranch(code=A), codes=[])
    assert [each.branch.code for each in second.branches] == [B]
    assert await store.branches([A]) == []
    assert [(each.code, each.time_zone) for each in await store.former_branches()] == [(A, "Asia/Shanghai")]
    assert await store.numbers() == {"a-1": 1, "b-1": 2}
    third = await keep(store, second, *put(branch("A", "a-3")), codes=[A])
    assert [each.branch.code for each in third.branches] == [A, B]
    assert await store.former_branches() == []


async def test_of_two_changes_on_one_base_the_second_is_refused_and_leaves_nothing(
    store: EstateStore,
) -> None:
    base = await keep(store, Estate(), *first_steps(), codes=[A, B])
    kept = await keep(store, base, *publish(shop.campaign(id="more", number=9)), codes=[])
    late = after(base, *put(branch("C", "c-1")), DropBranch(code=B), PutMembers())
    with pytest.raises(EstateMoved):
        await store.put(base, late, whole=[BranchCode("C")])
    assert await whole(store) == kept
    assert await store.numbers() == {"a-1": 1, "b-1": 2}


async def test_the_revision_is_only_raised(store: EstateStore) -> None:
    await keep(store, Estate(), *first_steps(), codes=[A, B])
    await store.raise_revision(17)
    raised = await whole(store)
    assert (raised.revision, raised.changed) == (17, 17)
    await store.raise_revision(5)
    assert await whole(store) == raised


async def test_each_agents_last_report_is_kept(reopen: Open) -> None:
    def kept(agent: str, sequence: int) -> KeptReport:
        report = AgentReport(
            bundle_sequence=sequence,
            status="degraded",
            issues=("clock_unsure",),
            backlog={Lane.MONEY: 3},
            version="1",
        )
        return KeptReport(AgentName(agent), report, shop.NOON_MS + sequence)

    async with reopen() as stores:
        for each in (kept("b", 1), kept("a", 2), kept("b", 3)):
            await stores.reports.put_report(each)
    async with reopen() as stores:
        assert await stores.reports.reports() == [kept("a", 2), kept("b", 3)]
