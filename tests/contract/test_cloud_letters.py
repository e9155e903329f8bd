"""Dead letters in every storage of HQ: read in pages, kept with their branch, used exactly once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_api.ports.storage import (
    DeadLetter,
    Intake,
    KnownAgent,
    KnownClaim,
    LaneKey,
    LetterPlace,
    LettersMoved,
    Rejudged,
    Storage,
)
from cloud_api.services.bookkeeping import book
from engagement.ids import AgentName
from engagement.journal.event import Lane
from engagement.line.claim import make_claim
from engagement.settlement.funnel import Measure, SumKey
from tests.fakes import shop
from tests.fakes.cloud_storages import KINDS, TODAY, ZONES, intake, journal_of, opener
from tests.fakes.hq import AGENT, BRANCHES, HARBOUR, OTHER, PARK, Journal, enrol


@pytest.fixture(params=KINDS)
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    async with opener(request.param, tmp_path)() as opened:
        await enrol(opened, AGENT, OTHER)
        yield opened


def kept_apart(journal: Journal, *seqs: int) -> Intake:
    """A batch of which these entries are dead letters, as an HQ that does not know such events keeps it."""
    whole = intake(journal)
    fit = [entry for entry in journal.entries() if entry.seq not in seqs]
    booked = book(fit, ZONES[whole.branch])
    letters = [
        DeadLetter(entry.seq, "event_unknown", entry.body) for entry in journal.entries() if entry.seq in seqs
    ]
    return replace(whole, money=booked.money, letters=letters, counts=booked.counts)


def used(journal: Journal, *seqs: int) -> Rejudged:
    """That these letters can be used after all."""
    branch = BRANCHES[journal.agent]
    booked = book([journal.entries()[seq - 1] for seq in seqs], ZONES[branch])
    key = LaneKey(journal.agent, Lane.MONEY, journal.epoch)
    return Rejudged(key, branch, seqs, (), booked.money, booked.counts)


async def pages(storage: Storage, agent: AgentName | None, limit: int) -> list[tuple[AgentName, int, str]]:
    """All letters, read ``limit`` at a time."""
    found: list[tuple[AgentName, int, str]] = []
    after = LetterPlace(0, 0)
    while page := await storage.letters(agent=agent, after=after, limit=limit):
        assert len(page) <= limit
        found += [(kept.key.agent, kept.letter.seq, kept.letter.code) for kept in page]
        after = page[-1].place
    return found


async def test_dead_letters_are_read_in_pages(storage: Storage) -> None:
    here, there = journal_of(6), journal_of(2, OTHER)
    await storage.keep(kept_apart(here, 2, 3, 5))
    await storage.keep(kept_apart(there, 1))
    mine = [(AGENT, 2, "event_unknown"), (AGENT, 3, "event_unknown"), (AGENT, 5, "event_unknown")]
    theirs = [(OTHER, 1, "event_unknown")]
    for limit in (1, 2, 100):
        assert await pages(storage, None, limit) == mine + theirs
        assert await pages(storage, AGENT, limit) == mine
        assert await pages(storage, OTHER, limit) == theirs
    (first,) = await storage.letters(agent=None, after=LetterPlace(0, 0), limit=1)
    key = LaneKey(AGENT, Lane.MONEY, here.epoch)
    assert (first.key, first.branch, first.received_ms) == (key, HARBOUR, shop.NOON_MS + 6)
    assert first.letter.body == here.entries()[1].body


async def test_a_letter_keeps_its_branch_when_its_agent_moves(storage: Storage) -> None:
    await storage.keep(kept_apart(journal_of(1), 1))
    moved = KnownAgent(AGENT, PARK, 1, "claimed")
    await storage.put_claim(moved, KnownClaim(make_claim(bytes(15)), AGENT, shop.NOON_MS + shop.DAY_MS))
    (kept,) = await storage.letters(agent=AGENT, after=LetterPlace(0, 0), limit=10)
    assert kept.branch == HARBOUR


async def test_letters_that_can_be_used_count_as_if_they_always_had(storage: Storage) -> None:
    apart, whole = journal_of(6), journal_of(6, OTHER)
    await storage.keep(kept_apart(apart, 1, 4, 5))
    await storage.keep(intake(whole))
    ruling = used(apart, 1, 4)
    await storage.rejudge([replace(ruling, codes=[(5, "event_impossible")])])
    assert await pages(storage, None, 10) == [(AGENT, 5, "event_impossible")]
    assert [lane.letters for lane in await storage.lanes()] == [1, 0]
    await storage.rejudge([used(apart, 5)])
    for serial in (1, 2, 3):
        assert await storage.coupon_lines(1, serial) == await storage.coupon_lines(2, serial)
    here, there = [await storage.totals(TODAY, TODAY, branch=branch) for branch in (HARBOUR, PARK)]
    assert here == there


async def test_letters_are_used_once_and_a_ruling_is_kept_whole_or_not_at_all(storage: Storage) -> None:
    here, there = journal_of(2), journal_of(4, OTHER)
    await storage.keep(kept_apart(here, 1, 2))
    await storage.keep(kept_apart(there, 1))
    await storage.rejudge([used(here, 1)])
    for again in (used(here, 1), used(there, 2)):
        with pytest.raises(LettersMoved):
            await storage.rejudge([used(here, 2), again])
    assert await pages(storage, None, 10) == [(AGENT, 2, "event_unknown"), (OTHER, 1, "event_unknown")]
    totals = await storage.totals(TODAY, TODAY, branch=HARBOUR)
    assert totals.sums == {
        SumKey(shop.campaign().id, Measure.CLAIMED): 1,
        SumKey(shop.campaign().id, Measure.CLAIMED_MINOR): 2000,
    }
