"""Rights go back where they are not needed, and none is doubled or lost by crashes, restores, copies and write-offs."""

import asyncio
from random import Random

import pytest

from edge_agent.adapters.memory_store import Disk, new_disk
from edge_agent.ports import LineDown, LineRefused
from edge_agent.services.line import Enrolment
from engagement.campaign.state import stop_key, stop_rule
from engagement.coupon.coupon import CouponRecord
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.rights.amount import NOTHING
from engagement.rights.lease import LEASE_DESK_KEY, lease_key
from tests.fakes.leased_store import (
    AGENT,
    DAY_S,
    HOUR_S,
    OTHERS,
    Box,
    boxed,
    is_sold_out,
    leased,
    lose_answer,
    on_virtual_time,
    pool,
)
from tests.fakes.ledger import SeededEntropy
from tests.fakes.storm import Storm
from tests.fakes.treasury import CalmTreasury, LeaseHq, StormyTreasury
from tests.fakes.virtual_loop import run_virtually

# Giving back.


@on_virtual_time
async def test_rights_of_a_stopped_campaign_are_back_within_seconds() -> None:
    async with leased() as (box, hq, _):
        await box.crowd(10)
        stop = stop_rule(pool(1).id, by="HQ: boss", honour_issued=True, now=box.premises.clock.now())
        await box.store.decide([stop_key(pool(1).id)], stop)
        await asyncio.sleep(10)
        assert hq.free(pool(1).id).units == 990
        assert await box.left() == 0


@on_virtual_time
async def test_rights_of_a_campaign_that_left_the_bundle_are_back_within_seconds() -> None:
    async with leased() as (box, hq, _):
        await box.crowd(10)
        box.work_from()
        await asyncio.sleep(10)
        assert hq.free(pool(1).id).units == 990


@on_virtual_time
async def test_stores_that_have_too_many_give_some_to_those_that_have_none() -> None:
    welcome = pool(40)
    hq = LeaseHq([welcome], [AGENT, *OTHERS[:3]])
    rich, poor = CalmTreasury(hq, AGENT), CalmTreasury(hq, OTHERS[0])
    disk = new_disk(SeededEntropy(2))
    async with boxed(rich, [welcome], hq.sealing.root_pem) as quiet:
        assert await quiet.crowd(1) == 1
        await asyncio.sleep(60)
        async with boxed(poor, [welcome], hq.sealing.root_pem, disk) as busy:
            busy.premises.renew(busy.premises.bundle.model_copy(update={"agent": OTHERS[0]}))
            given = 0
            for _ in range(120):
                given += await busy.crowd(1)
                await asyncio.sleep(60)
            assert given >= 34, "all but what the quiet store used, and keeps for its next shoppers"
            assert await quiet.left() <= 4


# HQ restored, ledgers that went back, machines that were given up.


@on_virtual_time
async def test_an_hq_that_was_restored_learns_what_it_gave_and_goes_on() -> None:
    async with leased(100) as (box, hq, _):
        hq.back_up()
        await box.crowd(30)
        await asyncio.sleep(60)
        granted = hq.account(AGENT, pool(1).id).granted
        hq.restore()
        await asyncio.sleep(1000)
        assert hq.account(AGENT, pool(1).id).granted.covers(granted)
        assert hq.account(AGENT, pool(1).id).used.units == 30
        assert await box.crowd(100) == 70
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_a_fenced_hq_leaves_a_store_with_what_it_has_and_health_says_why() -> None:
    async with leased(100, others=1) as (box, hq, _):
        await asyncio.sleep(60)
        hq.back_up()
        hq.restore()
        given = await box.crowd(200)
        await asyncio.sleep(1000)
        assert await box.crowd(1) == 0
        assert 25 <= given < 100
        assert box.trouble_codes() == {"rights_missing"}
        hq.give_up(OTHERS[0])
        await asyncio.sleep(120)
        assert await box.crowd(5) == 5
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_a_copied_ledger_gives_nothing_out_once_hq_has_seen_both() -> None:
    disk, welcome = new_disk(SeededEntropy()), pool(1000)
    hq = LeaseHq([welcome], [AGENT])
    root = hq.sealing.root_pem
    async with boxed(CalmTreasury(hq, AGENT), [welcome], root, disk) as box:
        await box.crowd(5)
    copy = Disk(
        epoch=disk.epoch,
        lease_number=disk.lease_number,
        rows=dict(disk.rows),
        journal={lane: list(entries) for lane, entries in disk.journal.items()},
        tip=disk.tip,
    )
    async with boxed(CalmTreasury(hq, AGENT), [welcome], root, disk) as box:
        await box.crowd(5)
        await asyncio.sleep(1000)
    treasury = CalmTreasury(hq, AGENT)
    async with boxed(treasury, [welcome], root, copy) as box:
        await asyncio.sleep(10)
        assert box.trouble_codes() == {"rights_diverged"}
        assert is_sold_out(await box.give())
        await asyncio.sleep(DAY_S)
        assert len(treasury.asked_at_s) == 1
    async with boxed(treasury, [welcome], root, copy) as box:
        await asyncio.sleep(1)
        assert is_sold_out(await box.give())
        assert box.trouble_codes() == {"rights_diverged"}


@on_virtual_time
async def test_a_machine_that_was_given_up_returns_all_and_is_in_business_again() -> None:
    async with leased(100) as (box, hq, treasury):
        await box.crowd(10)
        treasury.trouble = lambda: LineDown("in a cupboard")
        await asyncio.sleep(DAY_S)
        hq.give_up(AGENT)
        treasury.trouble = lambda: None
        await asyncio.sleep(60)
        account = hq.account(AGENT, pool(1).id)
        assert account.used.units == 10
        assert account.returned.units >= 40
        assert await box.crowd(100) == 90
        assert box.trouble_codes() == set()


@on_virtual_time
async def test_a_machine_that_was_given_up_with_a_grant_on_its_way_recovers() -> None:
    disk, welcome = new_disk(SeededEntropy()), pool(100)
    hq = LeaseHq([welcome], [AGENT])
    root = hq.sealing.root_pem
    async with boxed(CalmTreasury(hq, AGENT, on_answer=lose_answer), [welcome], root, disk) as box:
        await asyncio.sleep(0.2)
        assert hq.account(AGENT, welcome.id).granted.units == 50
    hq.give_up(AGENT)
    async with boxed(CalmTreasury(hq, AGENT), [welcome], root, disk) as box:
        await asyncio.sleep(60)
        assert await box.crowd(101) == 100


@on_virtual_time
async def test_an_agent_that_is_enrolled_anew_asks_at_once() -> None:
    async with leased() as (box, _, treasury):
        treasury.trouble = lambda: LineRefused("agent_revoked")
        await asyncio.sleep(60)
        treasury.trouble = lambda: None
        box.line.enrolment = Enrolment(agent=AGENT, public_key_hex="", claim_id="0123456789")
        await asyncio.sleep(6)
        assert isinstance(await box.give(), CouponRecord)


@on_virtual_time
async def test_a_row_that_cannot_be_read_stops_its_own_campaign_and_no_other() -> None:
    disk, broken, whole = new_disk(SeededEntropy()), pool(10), pool(20, id="whole", number=8)
    disk.rows[lease_key(broken.id).address] = "{"
    hq = LeaseHq([broken, whole], [AGENT])
    async with boxed(CalmTreasury(hq, AGENT), [broken, whole], hq.sealing.root_pem, disk) as box:
        assert isinstance(await box.give(whole), CouponRecord)
        assert await box.give(broken) == Refusal(Reason.NOT_RUNNING)


@on_virtual_time
async def test_a_ledger_that_forgot_its_numbers_gives_out_what_it_has_and_asks_no_more() -> None:
    disk, welcome = new_disk(SeededEntropy()), pool(10)
    hq = LeaseHq([welcome], [AGENT])
    async with boxed(CalmTreasury(hq, AGENT), [welcome], hq.sealing.root_pem, disk) as box:
        await asyncio.sleep(1)
    disk.rows[LEASE_DESK_KEY.address] = "{"
    asked = len(hq.asked)
    async with boxed(CalmTreasury(hq, AGENT), [welcome], hq.sealing.root_pem, disk) as box:
        assert [await box.crowd(1) for _ in range(6)] == [1, 1, 1, 1, 1, 0]
        assert len(hq.asked) == asked


@pytest.mark.parametrize("seed", range(40))
def test_after_any_storm_both_sides_have_the_same_accounts(seed: int) -> None:
    run_virtually(_storm(Random(seed)))


async def _storm(dice: Random) -> None:
    """Hours of a bad line, crashes, restores of HQ and write-offs; then calm, and all must add up."""
    welcome, stopped = pool(dice.randrange(20, 2000)), pool(200, id="gone", number=9)
    hq = LeaseHq([welcome, stopped], [AGENT, *OTHERS[: dice.randrange(3)]])
    disk = new_disk(SeededEntropy(dice.getrandbits(32)))
    storm = Storm(dice)
    stormy = StormyTreasury(hq, AGENT, storm)
    given = 0
    for _ in range(5):
        async with boxed(stormy, [welcome, stopped], hq.sealing.root_pem, disk) as box:
            trading = asyncio.ensure_future(_trade(box, dice))
            await asyncio.wait([trading, asyncio.ensure_future(_befall(hq, dice))])
            given += trading.result()
            if dice.random() < 0.5:
                box.store.power_cut(keeps_unacknowledged=dice.random() < 0.5)
    storm.calm()
    for other in hq.agents - {AGENT}:
        hq.give_up(other)
    async with boxed(stormy, [welcome], hq.sealing.root_pem, disk) as box:
        await asyncio.sleep(4 * HOUR_S)
        given += await box.crowd(3)
        await asyncio.sleep(HOUR_S)
        assert "rights_diverged" not in box.trouble_codes()
        account, left = await box.account(), await box.left()
    assert account is not None
    known = hq.account(AGENT, welcome.id)
    assert known.granted == account.granted
    assert known.returned == account.returned
    assert known.held.units == left
    assert known.used.units == given <= welcome.budget.units
    assert known.outstanding.units <= welcome.budget.units
    gone = hq.account(AGENT, stopped.id)
    assert (gone.held, gone.used) == (NOTHING, NOTHING)
    assert hq.free(stopped.id).units == 200


async def _trade(box: Box, dice: Random) -> int:
    """How many coupons were given out."""
    given = 0
    for _ in range(dice.randrange(40)):
        given += await box.crowd(dice.randrange(1, 12))
        await asyncio.sleep(dice.random() * 90)
    return given


async def _befall(hq: LeaseHq, dice: Random) -> None:
    for _ in range(dice.randrange(4)):
        await asyncio.sleep(dice.random() * 600)
        hq.back_up()
        await asyncio.sleep(dice.random() * 600)
        match dice.randrange(4):
            case 0:
                hq.restore()
            case 1:
                hq.give_up(AGENT)
