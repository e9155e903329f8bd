"""One suite for every storage of HQ: what the services rely on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_api.adapters.sqlite.file import DatabaseRefused
from cloud_api.ports.storage import (
    DeadLetter,
    KnownAgent,
    KnownClaim,
    LaneKey,
    MarkMoved,
    NameTaken,
    Session,
    Storage,
    StorageBusy,
    User,
)
from engagement.ids import AgentName, BranchCode, CampaignId, LocalDay
from engagement.journal.event import Lane
from engagement.journal.tip import LaneTip
from engagement.line.claim import Claim, make_claim
from engagement.settlement.funnel import CountKey, Counts, Measure, SumKey
from tests.fakes import shop
from tests.fakes.cloud_storages import KINDS, TODAY, Open, intake, journal_of, opener, running_sqlite
from tests.fakes.happenings import came, consented, issued, money, redeemed
from tests.fakes.hq import AGENT, HARBOUR, OTHER, PARK, Journal, enrol


@pytest.fixture(params=KINDS)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return opener(request.param, tmp_path)


@pytest.fixture
async def storage(reopen: Open) -> AsyncIterator[Storage]:
    async with reopen() as opened:
        await enrol(opened, AGENT, OTHER)
        yield opened


async def test_a_mark_rises_with_what_is_kept(storage: Storage) -> None:
    journal = journal_of(6)
    key = LaneKey(AGENT, Lane.MONEY, journal.epoch)
    assert await storage.mark(key) == LaneTip()
    await storage.keep(intake(journal, 1, 4))
    assert await storage.mark(key) == LaneTip(4, journal.entries()[3].head)
    await storage.keep(intake(journal, 5, 6))
    assert await storage.mark(key) == LaneTip(6, journal.entries()[5].head)


async def test_what_rests_on_another_mark_is_not_kept_at_all(storage: Storage) -> None:
    journal = journal_of(6)
    await storage.keep(intake(journal, 1, 4))
    for wrong in (
        intake(journal, 1, 4),
        intake(journal, 6, 6),
        replace(intake(journal, 5, 6), before=LaneTip(4, bytes(32))),
        replace(intake(journal, 5, 6), key=LaneKey(AgentName("stranger"), Lane.MONEY, journal.epoch)),
    ):
        with pytest.raises(MarkMoved):
            await storage.keep(wrong)
    totals = await storage.totals(TODAY, TODAY, branch=None)
    assert totals.sums[SumKey(shop.campaign().id, Measure.CLAIMED)] == 2
    assert len(await storage.coupon_lines(1, 1)) == 2


async def test_lanes_files_and_agents_have_marks_of_their_own(storage: Storage) -> None:
    one, other_file, other_agent = journal_of(2), Journal(AGENT, "00000000000000bb"), journal_of(4, OTHER)
    other_file.add(*money(1))
    one.add(consented())
    for kept in (
        intake(one),
        intake(other_file),
        intake(other_agent),
        intake(one, lane=Lane.ENGAGEMENT),
    ):
        await storage.keep(kept)
    lanes = [(lane.key.agent, lane.key.lane, lane.key.epoch, lane.seq) for lane in await storage.lanes()]
    assert lanes == [
        (AGENT, Lane.ENGAGEMENT, one.epoch, 1),
        (AGENT, Lane.MONEY, one.epoch, 2),
        (AGENT, Lane.MONEY, other_file.epoch, 1),
        (OTHER, Lane.MONEY, other_agent.epoch, 4),
    ]
    assert [lane.key.agent for lane in await storage.lanes(agent=AGENT)] == [AGENT] * 3
    assert [lane.seq for lane in await storage.lanes(agent=OTHER)] == [4]


async def test_of_two_at_once_one_is_kept(storage: Storage) -> None:
    journal = journal_of(5)
    tries = await asyncio.gather(
        *(storage.keep(intake(journal, 1, last)) for last in (3, 4, 5)), return_exceptions=True
    )
    assert [type(each) for each in tries].count(MarkMoved) == 2


async def test_a_segment_is_found_by_any_seq_in_it(storage: Storage) -> None:
    journal = journal_of(6)
    key = LaneKey(AGENT, Lane.MONEY, journal.epoch)
    await storage.keep(intake(journal, 1, 4))
    await storage.keep(intake(journal, 5, 6))
    found = [await storage.segment(key, seq) for seq in range(8)]
    assert found == [None, *[b"1-4"] * 4, *[b"5-6"] * 2, None]
    assert await storage.segment(LaneKey(OTHER, Lane.MONEY, journal.epoch), 1) is None


async def test_a_coupon_has_its_lines_in_order(storage: Storage) -> None:
    journal = Journal()
    late = shop.moment(shop.NOON_MS - shop.HOUR_MS)  # the clock went back in between
    journal.add(issued(12), issued(123456), redeemed(12, now=late), issued(12, secret="t"))
    await storage.keep(intake(journal))
    lines = await storage.coupon_lines(1, 12)
    assert [(line.coupon, line.what) for line in lines] == [
        ("000012-s", "coupon_issued"),
        ("000012-s", "coupon_redeemed"),
        ("000012-t", "coupon_issued"),
    ]
    assert (lines[1].amount_minor, lines[1].basket_minor, lines[1].till, lines[1].by_whom) == (
        2000,
        12_345,
        "till-1",
        "Li",
    )
    assert await storage.coupon_lines(2, 12) == []
    assert await storage.coupon_lines(1, 1) == []


async def test_dead_letters_are_counted_per_lane(storage: Storage) -> None:
    journal = journal_of(2)
    await storage.keep(replace(intake(journal), letters=[DeadLetter(2, "event_unknown", b"\x00{")]))
    assert [lane.letters for lane in await storage.lanes()] == [1]


async def test_totals_add_up_by_day_and_branch(storage: Storage) -> None:
    tomorrow = shop.moment(shop.NOON_MS + shop.DAY_MS)
    here, there = Journal(), Journal(OTHER)
    here.add(consented(), came("lin"), came("lin"), consented(now=tomorrow))
    here.add(came("lin", stays=True), came("lin", now=tomorrow), came("chen"))
    there.add(consented(), came("lin"))
    await storage.keep(intake(here, 1, 3, lane=Lane.ENGAGEMENT))
    await storage.keep(intake(here, 4, lane=Lane.ENGAGEMENT))
    await storage.keep(intake(there, lane=Lane.ENGAGEMENT))
    key = SumKey(None, Measure.CONSENTED)

    async def counted(first: str, last: str, branch: BranchCode | None = None) -> tuple[int, int, int]:
        totals = await storage.totals(LocalDay(first), LocalDay(last), branch=branch)
        return totals.sums.get(key, 0), totals.stages.get("enter", 0), totals.stages.get("dwell", 0)

    assert await counted(TODAY, TODAY) == (2, 3, 1)
    assert await counted(TODAY, "2026-11-22") == (3, 4, 1)
    assert await counted(TODAY, "2026-11-22", HARBOUR) == (2, 3, 1)
    assert await counted(TODAY, TODAY, PARK) == (1, 1, 0)
    assert await counted("2026-11-23", "2026-12-01") == (0, 0, 0)


async def test_no_agents_nonsense_hides_the_totals_of_others(storage: Storage) -> None:
    """A thousand batches whose numbers are the largest that are let in, told by their sums."""
    days = [LocalDay(f"2026-11-2{day}") for day in range(1, 5)]
    huge = {CountKey(day, CampaignId("welcome"), Measure.CLAIMED_MINOR): 2**61 for day in days}
    journal = journal_of(8)
    for seq in range(1, 9):
        await storage.keep(replace(intake(journal, seq, seq), counts=Counts(huge)))
    totals = await storage.totals(days[0], days[-1], branch=None)
    found = totals.sums[SumKey(CampaignId("welcome"), Measure.CLAIMED_MINOR)]
    assert isinstance(found, int)
    assert found >= 2**48


async def test_an_open_restart_goes_on_where_it_was(reopen: Open) -> None:
    journal = journal_of(6)
    async with reopen() as storage:
        await enrol(storage, AGENT)
        await storage.keep(intake(journal, 1, 4))
    async with reopen() as storage:
        assert (await storage.mark(LaneKey(AGENT, Lane.MONEY, journal.epoch))).seq == 4
        await storage.keep(intake(journal, 5, 6))
        totals = await storage.totals(TODAY, TODAY, branch=None)
        assert totals.sums[SumKey(shop.campaign().id, Measure.REDEEMED)] == 3
        assert [agent.last_contact_ms for agent in await storage.agents()] == [shop.NOON_MS + 6]


CLAIM = make_claim(bytes(range(15)))
LATER = make_claim(bytes(range(1, 16)))


NEW = KnownAgent(AgentName("new-1"), HARBOUR, 9, "claimed")


def claim_of(claim: Claim = CLAIM) -> KnownClaim:
    return KnownClaim(claim, NEW.name, shop.NOON_MS + shop.DAY_MS)


async def test_a_claim_is_used_once(storage: Storage) -> None:
    assert await storage.claim(CLAIM.id) is None
    await storage.put_claim(NEW, claim_of())
    assert await storage.claim(CLAIM.id) == claim_of()
    assert NEW in await storage.agents()
    assert await storage.enrol(CLAIM.id, public_key=b"k" * 32, at_ms=5)
    assert not await storage.enrol(CLAIM.id, public_key=b"x" * 32, at_ms=6)
    assert not await storage.enrol("0123456789", public_key=b"x" * 32, at_ms=6)
    assert await storage.claim(CLAIM.id) == replace(claim_of(), public_key=b"k" * 32)
    active = replace(NEW, state="active", public_key=b"k" * 32, enrolled_ms=5, last_contact_ms=5)
    assert active in await storage.agents()


async def test_a_new_claim_voids_unused_ones_and_changes_no_key(storage: Storage) -> None:
    await storage.put_claim(NEW, claim_of())
    await storage.put_claim(NEW, claim_of(LATER))
    assert await storage.claim(CLAIM.id) is None
    await storage.enrol(LATER.id, public_key=b"k" * 32, at_ms=5)
    await storage.put_claim(replace(NEW, branch=PARK), claim_of())
    (found,) = [agent for agent in await storage.agents() if agent.name == NEW.name]
    assert (found.state, found.public_key, found.branch) == ("active", b"k" * 32, PARK)
    assert await storage.claim(LATER.id) == replace(claim_of(LATER), public_key=b"k" * 32)


async def test_numbers_are_unique(storage: Storage) -> None:
    with pytest.raises(NameTaken):
        await storage.put_claim(replace(NEW, number=1), claim_of())
    assert await storage.claim(CLAIM.id) is None


async def test_a_revoked_agent_has_no_key_until_it_enrols_again(storage: Storage) -> None:
    await storage.put_claim(NEW, claim_of())
    await storage.enrol(CLAIM.id, public_key=b"k" * 32, at_ms=5)
    await storage.put_claim(NEW, claim_of(LATER))
    await storage.revoke(NEW.name)

    async def known() -> tuple[str, bytes | None]:
        (found,) = [agent for agent in await storage.agents() if agent.name == NEW.name]
        return found.state, found.public_key

    assert await known() == ("revoked", None)
    assert not await storage.enrol(LATER.id, public_key=b"k" * 32, at_ms=6), "an unused claim is void too"
    await storage.put_claim(NEW, claim_of(LATER))
    assert await known() == ("revoked", None)
    assert await storage.enrol(LATER.id, public_key=b"n" * 32, at_ms=7)
    assert await known() == ("active", b"n" * 32)


async def test_users_and_their_sessions(storage: Storage) -> None:
    ann, bob = User("ann", b"s", b"h"), User("bob", b"s", b"h")
    await storage.set_users([ann, bob])
    for user, until in (("ann", 10), ("bob", 20), ("ann", 30)):
        await storage.put_session(Session(b"%d" % until, user, until), now_ms=5)
    assert await storage.user("ann") == ann
    assert await storage.user("eve") is None
    assert await storage.session(b"10") == Session(b"10", "ann", 10)
    await storage.put_session(Session(b"40", "ann", 40), now_ms=15)
    assert await storage.session(b"10") is None
    await storage.set_users([ann, User("bob", b"s", b"other")])
    assert await storage.session(b"20") is None
    assert await storage.session(b"30") == Session(b"30", "ann", 30)
    await storage.drop_session(b"30")
    assert await storage.session(b"30") is None
    await storage.set_users([])
    assert await storage.user("ann") is None


async def test_a_file_is_held_by_one_process_only(tmp_path: Path) -> None:
    async with running_sqlite(tmp_path / "hq.db"):
        with pytest.raises(DatabaseRefused, match="another process"):
            async with running_sqlite(tmp_path / "hq.db"):
                pass


@pytest.mark.parametrize("content", [b"no database at all " * 100, b"SQLite format 3\x00" + bytes(4096)])
async def test_a_damaged_file_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hq.db"
    path.write_bytes(content)
    with pytest.raises(DatabaseRefused):
        async with running_sqlite(path):
            pass
    assert path.read_bytes() == content


async def test_after_closing_nothing_is_taken(tmp_path: Path) -> None:
    async with running_sqlite(tmp_path / "hq.db") as storage:
        await enrol(storage, AGENT)
    with pytest.raises(StorageBusy):
        await storage.keep(intake(journal_of(1)))
