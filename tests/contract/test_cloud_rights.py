"""One suite for every store of HQ's books of leases."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cloud_api.ports.rights import AgentBooks, Lease, LeaseKey, RightsStore
from cloud_api.ports.storage import Storage, money_lines
from engagement.ids import AgentName, CampaignId
from engagement.journal.tip import Epoch
from engagement.rights.account import Account, Books, LeaseDesk
from engagement.rights.amount import AMOUNT_MAX, NOTHING, Amount
from tests.fakes import shop
from tests.fakes.cloud_storages import intake, journal_of, running_sqlite
from tests.fakes.happenings import issued
from tests.fakes.hq import AGENT, OTHER, Journal, enrol
from tests.fakes.memory_rights import MemoryRights, issues_in
from tests.fakes.memory_storage import MemoryStorage

OPENING = Callable[[], AbstractAsyncContextManager["Opened"]]
WELCOME, SHAKE = shop.campaign().id, shop.shake_campaign().id
FILE = LeaseKey(AGENT, Epoch("00000000000000aa"))
OTHER_FILE = LeaseKey(OTHER, Epoch("00000000000000bb"))


@dataclass(frozen=True)
class Opened:
    storage: Storage
    rights: RightsStore


@dataclass(frozen=True)
class Left:
    """A ruling that is nothing but what it leaves."""

    books: Books


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> OPENING:
    """Opens the same store each time it is called."""
    memory = MemoryStorage()
    rights = MemoryRights("a" * 32, lambda: issues_in(memory))

    @asynccontextmanager
    async def opened() -> AsyncIterator[Opened]:
        if request.param == "memory":
            yield Opened(memory, rights)
            return
        async with running_sqlite(tmp_path / "hq.db") as storage:
            yield Opened(storage, storage.rights)

    return opened


@pytest.fixture
async def rights(reopen: OPENING) -> AsyncIterator[RightsStore]:
    async with reopen() as opened:
        yield opened.rights


def nobody() -> set[AgentName]:
    return set()


def both() -> set[AgentName]:
    return {AGENT, OTHER}


async def leave(rights: RightsStore, key: LeaseKey, change: Callable[[Books], Books]) -> Books:
    moved = await rights.move(key, {WELCOME, SHAKE}, lambda books: Left(change(books)), expected=both)
    return moved.books


async def look(rights: RightsStore, key: LeaseKey) -> Books:
    return await leave(rights, key, lambda books: books)


def units(number: int) -> Amount:
    return Amount(units=number, minor=100 * number)


def with_lease(books: Books) -> Books:
    return replace(
        books,
        desk=LeaseDesk(7, b"digest", is_written_off=False),
        accounts={WELCOME: Account(units(9), units(2), units(3))},
        outstanding={**books.outstanding, WELCOME: units(7)},
        is_heard=True,
    )


async def test_a_new_store_knows_nothing_and_is_not_fenced(rights: RightsStore) -> None:
    books = await look(rights, FILE)
    assert books == Books(books.incarnation)
    assert len(bytes.fromhex(books.incarnation)) == 16
    assert await rights.fence(expected=both) == await rights.fence(expected=nobody)
    assert await rights.leasing_agents() <= {AGENT}


async def test_what_a_ruling_leaves_is_there_at_the_next_and_after_a_restart(reopen: OPENING) -> None:
    async with reopen() as opened:
        left = await leave(opened.rights, FILE, with_lease)
        assert await look(opened.rights, FILE) == left
    async with reopen() as opened:
        assert await look(opened.rights, FILE) == left
        assert await opened.rights.leasing_agents() == {AGENT}


async def test_files_have_books_of_their_own_and_share_what_is_outstanding(rights: RightsStore) -> None:
    await leave(rights, FILE, with_lease)
    other = await look(rights, OTHER_FILE)
    assert (other.desk, other.accounts) == (LeaseDesk(), {})
    assert other.outstanding == {WELCOME: units(7)}
    assert not other.is_heard


async def test_sums_are_read_for_the_campaigns_that_are_named(rights: RightsStore) -> None:
    await leave(rights, FILE, with_lease)
    moved = await rights.move(OTHER_FILE, {SHAKE}, Left, expected=both)
    assert moved.books.outstanding == {}


async def test_a_ruling_that_fails_leaves_nothing(rights: RightsStore) -> None:
    before = await leave(rights, FILE, with_lease)

    def fail(books: Books) -> Left:
        raise ValueError("the rule's own")

    with pytest.raises(ValueError, match="the rule's own"):
        await rights.move(FILE, {WELCOME}, fail, expected=both)
    assert await look(rights, FILE) == before


async def test_a_fence_waits_for_every_expected_agent_and_lifts_for_good(reopen: OPENING) -> None:
    new = "b" * 32
    async with reopen() as opened:
        await leave(opened.rights, FILE, with_lease)
        fenced = await leave(
            opened.rights,
            FILE,
            lambda books: replace(books, incarnation=new, awaited=frozenset({AGENT}), is_heard=False),
        )
        assert fenced.awaited == {AGENT}
    async with reopen() as opened:
        rights = opened.rights
        fence = await rights.fence(expected=both)
        assert (fence.incarnation, fence.awaited) == (new, {AGENT, OTHER})
        books = await look(rights, FILE)
        assert (books.awaited, books.is_heard) == ({AGENT, OTHER}, False)
        await leave(
            rights, FILE, lambda books: replace(books, awaited=books.awaited - {AGENT}, is_heard=True)
        )
        assert (await rights.fence(expected=both)).awaited == {OTHER}
        await leave(
            rights, OTHER_FILE, lambda books: replace(books, awaited=books.awaited - {OTHER}, is_heard=True)
        )
        assert (await rights.fence(expected=both)).awaited == set()
    async with reopen() as opened:
        later = await opened.rights.fence(expected=lambda: {AgentName("a new one")})
        assert later.awaited == set()


async def test_a_fence_that_waits_for_nobody_any_more_is_down_for_good(reopen: OPENING) -> None:
    """Who was waited for is gone from the estate, and never asked; whoever is listed later must not fence HQ anew."""
    async with reopen() as opened:
        rights = opened.rights
        await leave(
            rights,
            FILE,
            lambda books: replace(books, incarnation="d" * 32, awaited=frozenset({AGENT}), is_heard=True),
        )
        assert (await rights.fence(expected=both)).awaited == {OTHER}
        assert (await rights.fence(expected=nobody)).awaited == set()
        asked = replace(await look(rights, FILE), desk=LeaseDesk(8, b"digest"), awaited=frozenset())
        await rights.move(FILE, {WELCOME}, lambda books: Left(asked), expected=nobody)
        assert (await rights.fence(expected=both)).awaited == set()


async def test_nobody_waits_for_an_agent_that_is_given_up(rights: RightsStore) -> None:
    await leave(rights, FILE, with_lease)
    await leave(
        rights,
        FILE,
        lambda books: replace(books, incarnation="c" * 32, awaited=frozenset({AGENT}), is_heard=True),
    )
    assert (await rights.fence(expected=both)).awaited == {OTHER}
    await rights.give_up(OTHER, expected=both)
    assert (await rights.fence(expected=both)).awaited == set()
    assert (await look(rights, OTHER_FILE)).is_given_up
    await rights.give_up(AGENT, expected=both)
    books = await look(rights, FILE)
    assert (books.desk.is_written_off, books.is_given_up) == (True, True)
    alive = replace(books.desk, is_written_off=False)
    await leave(rights, FILE, lambda books: replace(books, desk=alive, is_given_up=False))
    assert not (await look(rights, FILE)).is_given_up


async def test_holders_are_those_that_may_still_give_something_out(rights: RightsStore) -> None:
    later = LeaseKey(AGENT, Epoch("b" * 16))
    assert await rights.holders() == set()
    for key in (FILE, OTHER_FILE):
        await leave(rights, key, with_lease)
    spent = {WELCOME: Account(units(9), units(2), units(7))}
    await leave(rights, later, lambda books: replace(with_lease(books), accounts=spent))
    assert await rights.holders() == {AGENT, OTHER}
    await rights.give_up(OTHER, expected=both)
    assert await rights.holders() == {AGENT}
    await leave(rights, FILE, lambda books: replace(books, accounts=spent))
    assert await rights.holders() == set()


async def test_no_sum_of_a_journal_is_too_large_to_show(reopen: OPENING) -> None:
    journal = Journal(AGENT)
    huge = issued(1).model_copy(update={"liability_minor": AMOUNT_MAX})
    journal.add(huge, huge.model_copy(update={"coupon": issued(2).coupon}))
    async with reopen() as opened:
        await enrol(opened.storage, AGENT)
        await opened.storage.keep(intake(journal, 1, 2))
        (lease,) = (await opened.rights.campaign_books(WELCOME)).leases
        assert lease.issued == Amount(units=2, minor=AMOUNT_MAX)
        assert (await opened.rights.agent_books(AGENT)).leases == [(WELCOME, lease)]


async def test_books_that_are_read_while_rights_move_add_up(reopen: OPENING) -> None:
    def granted_one_more(books: Books) -> Books:
        account = books.accounts.get(WELCOME, Account())
        more = replace(account, granted=account.granted + units(1))
        pool = books.outstanding.get(WELCOME, NOTHING) + units(1)
        return replace(books, accounts={WELCOME: more}, outstanding={WELCOME: pool}, desk=LeaseDesk(1))

    async def grant(rights: RightsStore) -> None:
        for key in (FILE, OTHER_FILE) * 100:
            await leave(rights, key, granted_one_more)

    async with reopen() as opened, asyncio.TaskGroup() as group:
        granting = group.create_task(grant(opened.rights))
        looks = 0
        while not granting.done() or not looks:
            books = await opened.rights.campaign_books(WELCOME)
            leased = sum((lease.account.outstanding for lease in books.leases), NOTHING)
            assert leased == books.outstanding, f"at look {looks}"
            looks += 1
            await asyncio.sleep(0)


async def test_a_campaigns_books_show_leases_beside_what_journals_say(reopen: OPENING) -> None:
    async with reopen() as opened:
        await enrol(opened.storage, AGENT, OTHER)
        await leave(opened.rights, FILE, with_lease)
        journal = journal_of(6)
        await opened.storage.keep(intake(journal, 1, 2))
        await opened.storage.keep(intake(journal, 3, 6))
        books = await opened.rights.campaign_books(WELCOME)
        assert books.outstanding == units(7)
        (lease,) = books.leases
        issued = [line for line in money_lines(intake(journal).money) if line.what == "coupon_issued"]
        assert (lease.key, lease.account) == (FILE, Account(units(9), units(2), units(3)))
        assert lease.issued == Amount(units=len(issued), minor=sum(line.amount_minor for line in issued))
        assert lease.issued != NOTHING
        await opened.storage.keep(intake(journal_of(2, OTHER), 1, 2))
        keys = [lease.key.agent for lease in (await opened.rights.campaign_books(WELCOME)).leases]
        assert keys == [AGENT, OTHER]
        assert (await opened.rights.campaign_books(SHAKE)).leases == []


async def test_an_agents_books_are_of_all_its_ledger_files(reopen: OPENING) -> None:
    later, account = LeaseKey(AGENT, Epoch("b" * 16)), Account(units(9), units(2), units(3))
    async with reopen() as opened:
        rights = opened.rights
        assert await rights.agent_books(AGENT) == AgentBooks(is_given_up=False, leases=[])
        for key in (FILE, later, OTHER_FILE):
            await leave(rights, key, with_lease)

        def leases(*, lost: bool) -> list[tuple[CampaignId, Lease]]:
            return [(WELCOME, Lease(key, account, lost, NOTHING)) for key in (FILE, later)]

        assert await rights.agent_books(AGENT) == AgentBooks(is_given_up=False, leases=leases(lost=False))
        await rights.give_up(AGENT, expected=both)
        assert await rights.agent_books(AGENT) == AgentBooks(is_given_up=True, leases=leases(lost=True))
        await enrol(opened.storage, AGENT, OTHER)
        await opened.storage.keep(intake(journal_of(2)))
        await opened.storage.keep(intake(journal_of(2, OTHER)))
        found = (await rights.agent_books(AGENT)).leases
        assert [(lease.key, lease.issued.units) for _, lease in found] == [(FILE, 1), (later, 0)]
