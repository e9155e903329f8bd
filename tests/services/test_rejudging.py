"""Dead letters judged again: what can be used counts once, the rest stays with the reason that fits now."""

from dataclasses import replace

import pytest

from cloud_api.ports.storage import DeadLetter, LetterPlace
from cloud_api.services.rejudging import CHUNK, NO_BRANCH, Judged, Rejudging
from engagement.journal.event import Lane
from engagement.settlement.funnel import Counts, Measure, SumKey
from tests.fakes import shop
from tests.fakes.cloud_storages import TODAY, intake
from tests.fakes.happenings import consented, issued, money
from tests.fakes.hq import AGENT, HARBOUR, OTHER, Hq, Journal, open_hq
from tests.fakes.memory_estate import MemoryEstate
from tests.fakes.memory_storage import MemoryStorage

CLAIMED = SumKey(shop.campaign().id, Measure.CLAIMED)
CONSENTED = SumKey(None, Measure.CONSENTED)


@pytest.fixture
async def hq() -> Hq:
    return await open_hq(MemoryStorage(), AGENT, OTHER)


def rejudging(hq: Hq) -> Rejudging:
    return Rejudging(storage=hq.storage, estate=hq.estate, news=hq.news)


async def keep_apart(hq: Hq, journal: Journal, lane: Lane = Lane.MONEY, code: str = "event_unknown") -> None:
    """All entries of the lane as letters, as an older HQ kept what it did not know."""
    whole = intake(journal, lane=lane)
    letters = [DeadLetter(entry.seq, code, entry.body) for entry in journal.entries(lane)]
    await hq.storage.keep(replace(whole, money=(), letters=letters, counts=Counts()))


async def codes(hq: Hq) -> list[str]:
    found = await hq.storage.letters(agent=None, after=LetterPlace(0, 0), limit=10_000)
    return [kept.letter.code for kept in found]


async def counted(hq: Hq, key: SumKey) -> int:
    totals = await hq.storage.totals(TODAY, TODAY, branch=None)
    return totals.sums.get(key, 0)


async def test_what_can_be_used_by_now_counts_once(hq: Hq) -> None:
    journal = Journal()
    journal.add(*money(5), consented(), consented())
    journal.add_raw(Lane.MONEY, b'{"what":"of_tomorrow"}')
    await keep_apart(hq, journal)
    await keep_apart(hq, journal, Lane.ENGAGEMENT)
    assert await rejudging(hq).judge(agent=None) == Judged(8, 7, 1, None)
    assert (await counted(hq, CLAIMED), await counted(hq, CONSENTED)) == (3, 2)
    assert [line.what for line in await hq.storage.coupon_lines(1, 1)] == ["coupon_issued", "coupon_redeemed"]
    assert await rejudging(hq).judge(agent=None) == Judged(1, 0, 1, None)
    assert (await counted(hq, CLAIMED), await counted(hq, CONSENTED)) == (3, 2)


async def test_the_day_is_that_of_the_event_not_of_the_judging(hq: Hq) -> None:
    journal = Journal()
    journal.add(issued(now=shop.moment(shop.NOON_MS - 2 * shop.DAY_MS)))
    await keep_apart(hq, journal)
    hq.clock.pass_ms(9 * shop.DAY_MS)
    await rejudging(hq).judge(agent=None)
    assert await counted(hq, CLAIMED) == 0
    (line,) = await hq.storage.coupon_lines(1, 1)
    assert line.day == "2026-11-19"


async def test_the_others_stay_with_the_code_that_fits_now(hq: Hq) -> None:
    journal = Journal()
    journal.add_raw(Lane.MONEY, b'{"what":"of_tomorrow"}')
    journal.add_raw(Lane.MONEY, b"{}")
    await keep_apart(hq, journal, code="of_an_older_version")
    assert await rejudging(hq).judge(agent=None) == Judged(2, 0, 2, None)
    assert await codes(hq) == ["event_unknown", "event_unreadable"]


async def test_a_branch_that_hq_does_not_know_keeps_its_letters_until_it_is_back(hq: Hq) -> None:
    journal = Journal()
    journal.add(*money(3))
    await keep_apart(hq, journal)
    lost = Hq(hq.storage, store=MemoryEstate())
    assert await rejudging(lost).judge(agent=None) == Judged(3, 0, 3, None)
    assert await codes(hq) == [NO_BRANCH] * 3
    assert await rejudging(hq).judge(agent=None) == Judged(3, 3, 0, None)


async def test_one_agents_letters_alone(hq: Hq) -> None:
    for agent in (AGENT, OTHER):
        journal = Journal(agent)
        journal.add(*money(2))
        await keep_apart(hq, journal)
    assert await rejudging(hq).judge(agent=AGENT) == Judged(2, 2, 0, None)
    assert len(await codes(hq)) == 2
    totals = await hq.storage.totals(TODAY, TODAY, branch=HARBOUR)
    assert totals.sums[CLAIMED] == 1


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
async def test_any_number_of_letters(hq: Hq, count: int) -> None:
    journal = Journal()
    journal.add(*(issued(serial) for serial in range(1, count + 1)))
    journal.add_raw(Lane.MONEY, b"{}")
    await keep_apart(hq, journal)
    assert await rejudging(hq).judge(agent=None) == Judged(count + 1, count, 1, None)
    assert await counted(hq, CLAIMED) == count


async def test_too_many_for_one_request_go_on_where_it_stopped(hq: Hq) -> None:
    journal = Journal()
    journal.add_raw(Lane.MONEY, b"{}")
    journal.add(*money(6))
    await keep_apart(hq, journal)
    first = await rejudging(hq).judge(agent=None, letters_max=4)
    assert first[:3] == (4, 3, 1)
    assert first.next is not None
    assert await rejudging(hq).judge(agent=None, after=first.next, letters_max=4) == Judged(3, 3, 0, None)
    assert await codes(hq) == ["event_unreadable"]
