"""A store always has the rights that it needs, whatever the line does, and asks for them with manners."""

import asyncio

import pytest

from edge_agent.adapters.memory_store import new_disk
from edge_agent.ports import LeaseRefused, LineBusy, LineDown, LineRefused
from edge_agent.services.rights import WAIT_S_MAX
from engagement.coupon.coupon import CouponRecord
from engagement.ids import SubjectId
from engagement.refusal.refusal import Refusal
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.messages import LeaseAnswer
from tests.fakes.hq_authority import make_sealing
from tests.fakes.leased_store import (
    AGENT,
    DAY_S,
    HOUR_S,
    YEARS,
    boxed,
    is_sold_out,
    leased,
    lose_answer,
    on_virtual_time,
    pool,
)
from tests.fakes.ledger import SeededEntropy
from tests.fakes.shop import shake_campaign
from tests.fakes.treasury import CalmTreasury, LeaseHq
from tests.fakes.virtual_loop import until

# Having enough.


@on_virtual_time
async def test_the_first_shopper_after_the_start_gets_a_coupon() -> None:
    async with leased(takes_s=2) as (box, hq, _):
        assert isinstance(await box.give(), CouponRecord)
        assert hq.account(AGENT, box.premises.bundle.campaigns[0].id).granted.units == 500


@on_virtual_time
async def test_a_crowd_that_comes_when_little_is_left_gets_all_it_came_for() -> None:
    async with leased(1000, others=9) as (box, hq, _):
        await asyncio.sleep(60)
        assert await box.left() < 100
        assert await box.crowd(200) == 200
        assert hq.account(AGENT, pool(1).id).granted.units >= 200


@on_virtual_time
async def test_only_the_whole_chains_pool_is_sold_out() -> None:
    async with leased(100) as (box, hq, treasury):
        assert [await box.crowd(40) for _ in range(3)] == [40, 40, 20]
        assert hq.free(pool(1).id) == NOTHING
        asked = len(treasury.asked_at_s)
        assert await box.crowd(50) == 0
        await asyncio.sleep(DAY_S)
        assert len(treasury.asked_at_s) - asked < 120, "an empty pool is asked for ever less often"
        assert box.trouble_codes() == set(), "that a campaign is given out is no trouble"


@on_virtual_time
async def test_a_busy_day_without_the_line_is_lived_through() -> None:
    async with leased(900_000) as (box, _, treasury):
        await box.give()
        treasury.trouble = lambda: LineDown("diggers")
        for _ in range(60):
            assert await box.crowd(170) == 170
            await asyncio.sleep(60)
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_more_is_asked_for_as_soon_as_half_is_gone() -> None:
    async with leased(1000) as (box, _, treasury):
        await box.give()
        await asyncio.sleep(60)
        asked = len(treasury.asked_at_s)
        left = await box.left()
        while await box.left() > left // 2:
            await box.give()
        await box.give()
        await until(lambda: len(treasury.asked_at_s) > asked, 0.1)
        await asyncio.sleep(1)
        assert await box.left() > left // 2


@on_virtual_time
async def test_a_store_that_sells_steadily_never_runs_dry_and_asks_seldom() -> None:
    async with leased(10_000, others=9) as (box, _, treasury):
        for _ in range(1500):
            await box.give()
            await asyncio.sleep(10)
        assert not any(is_sold_out(answer) for answer in box.answers)
        assert len(treasury.asked_at_s) < 1500 * 10 / 900 + 40


@on_virtual_time
async def test_shakes_draw_on_the_lease_and_are_topped_up_too() -> None:
    shake = shake_campaign(win_bps=10_000, budget={"units": 100, "spend_minor": 200_000}, window=YEARS)
    async with leased(of=shake, others=9) as (box, _, _treasury):
        assert await box.issuing.plays_left(shake, SubjectId("v:1")) == 100
        for number in range(100):
            answer = await box.issuing.play(shake.id, SubjectId("v:1"), number.to_bytes(16, "big"))
            assert not isinstance(answer, Refusal), number
        assert is_sold_out(await box.issuing.play(shake.id, SubjectId("v:2"), bytes(16)))  # type: ignore[arg-type]


@on_virtual_time
async def test_a_campaign_that_comes_with_a_new_bundle_is_leased_at_once() -> None:
    new = pool(50, id="new", number=8)
    async with leased() as (box, hq, _):
        await asyncio.sleep(60)
        hq.terms |= LeaseHq([new], []).terms
        box.work_from(pool(1000), new)
        assert isinstance(await box.give(new), CouponRecord)


@on_virtual_time
async def test_nobody_is_kept_waiting_when_hq_is_away() -> None:
    async with leased(10, others=9) as (box, _, treasury):
        await asyncio.sleep(60)
        treasury.trouble = lambda: LineDown("diggers")
        await box.crowd(20)
        await asyncio.sleep(10)
        began_s = asyncio.get_running_loop().time()
        assert is_sold_out(await box.give())
        assert asyncio.get_running_loop().time() - began_s < 0.1
        assert box.trouble_codes() == {"rights_missing"}
        treasury.trouble = lambda: None
        await asyncio.sleep(31)
        assert isinstance(await box.give(), CouponRecord)
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_a_shopper_waits_no_longer_than_a_page_may_take() -> None:
    async with leased(takes_s=30) as (box, _, _treasury):
        began_s = asyncio.get_running_loop().time()
        assert await box.crowd(20) == 0
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(WAIT_S_MAX, abs=0.2)
        await asyncio.sleep(1)
        began_s = asyncio.get_running_loop().time()
        assert is_sold_out(await box.give())
        assert asyncio.get_running_loop().time() - began_s < 0.1, "HQ is known to be slow by now"


@on_virtual_time
async def test_hq_that_takes_other_things_again_is_asked_at_once() -> None:
    async with leased(10, others=9) as (box, _, treasury):
        treasury.trouble = lambda: LineDown("diggers")
        await asyncio.sleep(HOUR_S)
        treasury.trouble = lambda: None
        treasury.asked_at_s.clear()
        box.line.reached(box.premises.clock.now())
        await until(lambda: len(treasury.asked_at_s) > 0, 6)


@on_virtual_time
async def test_a_store_that_needs_nothing_soon_tells_an_hq_that_was_away_what_it_holds() -> None:
    async with leased() as (box, hq, treasury):
        await box.give()
        hq.back_up()
        await asyncio.sleep(60)
        box.line.down_because = "HQ is being restored"
        hq.restore()
        treasury.asked_at_s.clear()
        await asyncio.sleep(60)
        assert not treasury.asked_at_s
        assert hq.is_fenced
        box.line.reached(box.premises.clock.now())
        await until(lambda: not hq.is_fenced, 120)


# The manners of the line.


@on_virtual_time
async def test_one_request_at_a_time_each_with_the_next_number() -> None:
    async with leased(10_000, others=9, takes_s=3) as (box, hq, _):
        for _ in range(30):
            await box.crowd(30)
        numbers = [request.number for request in hq.asked]
        assert numbers == list(range(1, len(numbers) + 1))


@on_virtual_time
async def test_hq_hears_every_quarter_of_an_hour_what_was_used() -> None:
    async with leased() as (box, hq, treasury):
        await asyncio.sleep(60)
        await box.crowd(7)
        await asyncio.sleep(900)
        assert hq.account(AGENT, pool(1).id).used == Amount(units=7, minor=14_000)
        treasury.asked_at_s.clear()
        await asyncio.sleep(DAY_S)
        assert 96 <= len(treasury.asked_at_s) <= 108


@on_virtual_time
async def test_a_request_whose_answer_was_lost_is_repeated_as_it_was() -> None:
    async with leased() as (box, hq, treasury):
        lost = [True, True]

        def lose_two(answer: LeaseAnswer) -> LeaseAnswer:
            if lost and lost.pop():
                raise LineDown("the answer was lost")
            return answer

        treasury.on_answer = lose_two
        await asyncio.sleep(5)
        assert [request.number for request in hq.asked] == [1, 1, 1]
        assert len({request.model_dump_json() for request in hq.asked}) == 1
        assert await box.left() == 500


@on_virtual_time
async def test_a_crash_between_number_and_answer_loses_and_doubles_nothing() -> None:
    disk, welcome = new_disk(SeededEntropy()), pool(1000)
    hq = LeaseHq([welcome], [AGENT])
    silent = CalmTreasury(hq, AGENT, takes_s=1000)
    async with boxed(silent, [welcome], hq.sealing.root_pem, disk) as box:
        await asyncio.sleep(1)
        assert (await box.number(), hq.asked) == (1, [])
    heard = CalmTreasury(hq, AGENT, on_answer=lose_answer)
    async with boxed(heard, [welcome], hq.sealing.root_pem, disk) as box:
        await asyncio.sleep(0.2)
        assert (await box.left(), hq.account(AGENT, welcome.id).granted.units) == (0, 500)
    async with boxed(CalmTreasury(hq, AGENT), [welcome], hq.sealing.root_pem, disk) as box:
        await asyncio.sleep(1)
        assert hq.account(AGENT, welcome.id).granted.units == await box.left()
        assert [request.number for request in hq.asked] == [2, 3]


@on_virtual_time
async def test_a_busy_hq_is_left_alone_for_as_long_as_it_says() -> None:
    async with leased() as (box, _, treasury):
        busy = [LineBusy(90_000)]
        treasury.trouble = lambda: busy.pop() if busy else None
        await asyncio.sleep(89)
        assert len(treasury.asked_at_s) == 1
        assert is_sold_out(await box.give())
        await asyncio.sleep(3)
        assert isinstance(await box.give(), CouponRecord)


@on_virtual_time
async def test_an_agent_that_hq_refuses_asks_seldom_and_says_what_is_missing() -> None:
    async with leased() as (box, _, treasury):
        treasury.trouble = lambda: LineRefused("agent_revoked")
        for _ in range(60):
            await asyncio.sleep(60)
            box.line.reached(box.premises.clock.now())
        assert len(treasury.asked_at_s) <= 7
        assert box.trouble_codes() == {"rights_missing"}


@on_virtual_time
async def test_a_refusal_that_nobody_knows_stops_nothing() -> None:
    async with leased() as (box, _, treasury):
        treasury.trouble = lambda: LeaseRefused("from_the_future")
        await asyncio.sleep(HOUR_S)
        assert len(treasury.asked_at_s) <= 7
        treasury.trouble = lambda: None
        await asyncio.sleep(601)
        assert isinstance(await box.give(), CouponRecord)


@on_virtual_time
async def test_nothing_is_asked_before_the_agent_is_enrolled_and_knows_hqs_root() -> None:
    async with leased() as (box, hq, treasury):
        root, box.root_pem = box.root_pem, None
        box.line.enrolled.clear()
        await asyncio.sleep(HOUR_S)
        box.line.enrolled.set()
        await asyncio.sleep(HOUR_S)
        assert treasury.asked_at_s == []
        assert box.trouble_codes() == {"rights_missing"}
        box.root_pem = root
        await asyncio.sleep(10)
        assert isinstance(await box.give(), CouponRecord)
        assert box.trouble_codes() == set()
        assert len(hq.asked) == 1


@on_virtual_time
async def test_a_grant_that_another_root_vouches_for_gives_nothing() -> None:
    async with leased() as (box, hq, _):
        hq.sealing = make_sealing()
        await asyncio.sleep(60)
        assert await box.left() == 0
        assert box.trouble_codes() == {"rights_missing"}


@on_virtual_time
async def test_an_old_grant_played_back_gives_nothing() -> None:
    async with leased(1000, others=4) as (box, _, treasury):
        await asyncio.sleep(10)
        kept: list[LeaseAnswer] = []

        def keep(answer: LeaseAnswer) -> LeaseAnswer:
            kept.append(answer)
            return answer

        treasury.on_answer = keep
        await asyncio.sleep(1000)
        treasury.on_answer = lambda answer: kept[0]
        left = await box.left()
        await asyncio.sleep(1000)
        assert await box.left() == left


@on_virtual_time
async def test_a_store_without_hqs_leases_asks_for_nothing() -> None:
    hq = LeaseHq([pool(3)], [AGENT])
    treasury = CalmTreasury(hq, AGENT)
    async with boxed(treasury, [pool(3)], hq.sealing.root_pem, is_leased=False) as box:
        assert await box.crowd(5) == 3
        await asyncio.sleep(HOUR_S)
        assert treasury.asked_at_s == []
        assert (box.rights.left, await box.account()) == ({}, None)


@on_virtual_time
async def test_a_store_that_had_no_hq_becomes_leased_and_starts_from_nothing_used() -> None:
    disk = new_disk(SeededEntropy())
    hq = LeaseHq([pool(100)], [AGENT])
    treasury = CalmTreasury(hq, AGENT)
    async with boxed(treasury, [pool(100)], hq.sealing.root_pem, disk, is_leased=False) as box:
        assert await box.crowd(30) == 30
        box.work_from(pool(100))
        assert await box.crowd(100) == 100
        await asyncio.sleep(900)
        assert hq.account(AGENT, pool(1).id).used.units == 100


@on_virtual_time
async def test_a_full_disk_is_asked_around_and_recovers() -> None:
    async with leased(100) as (box, _, _treasury):
        await asyncio.sleep(10)
        box.store.fill_disk()
        await asyncio.sleep(2 * HOUR_S)
        box.store.free_disk()
        await asyncio.sleep(120)
        assert await box.crowd(100) == 100
