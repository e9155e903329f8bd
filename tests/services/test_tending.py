"""Upkeep: rows are cleared when they mean nothing any more, serials come round, health tells the truth."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge_agent.services.board import Board
from edge_agent.services.hearing import Hearing
from edge_agent.services.issuing import Issuing
from edge_agent.services.line import Line
from edge_agent.services.premises import Premises
from edge_agent.services.rights import Hindrance, Rights, Stock
from edge_agent.services.status import Status
from edge_agent.services.tending import Tending
from edge_agent.services.visit_keys import VisitKeys
from engagement.coupon.coupon import CouponRecord, coupon_key
from engagement.coupon.serials import SERIAL_KEY, SerialRecord
from engagement.coupon.short_code import SERIAL_MAX
from engagement.ids import CampaignId, VisitorId, visitor_subject
from engagement.ledger.record import Record, Ruling
from engagement.ledger.retention import SETTLEMENT_HORIZON_MS
from engagement.refusal.refusal import Refusal
from tests.fakes.premises import open_premises
from tests.fakes.shop import DAY_MS, NOON_MS, campaign
from tests.fakes.virtual_loop import run_virtually
from tests.services.test_hearing import LoudRadio
from tests.services.test_visit_keys import KeptRing

DAY_S = 86_400


@dataclass
class CountingLife:
    signs: int = 0

    def alive(self) -> None:
        self.signs += 1


@dataclass
class CountedDoor:
    open: int = 0
    turned_away: int = 0
    turned_away_mono_s: float | None = None


@dataclass
class Shop:
    premises: Premises
    issuing: Issuing
    tending: Tending
    life: CountingLife
    door: CountedDoor
    rights: Rights

    async def give(self, visitor: str) -> CouponRecord | Refusal:
        (offer,) = self.issuing.campaigns_on("welcome")
        return await self.issuing.give(offer, visitor_subject(VisitorId(visitor)))

    async def put(self, *records: Record) -> None:
        await self.premises.store.decide([], lambda rows: Ruling(None, writes=records))


@asynccontextmanager
async def _open(certificate_ends_ms: int = NOON_MS + 400 * DAY_MS) -> AsyncIterator[Shop]:
    window = {"opens_at": "2025-01-01T00:00:00Z", "ends_at": "2036-01-01T00:00:00Z", "use_days": 7}
    async with open_premises(campaign(window=window)) as premises:
        issuing, radio, life, door = Issuing(premises), LoudRadio(), CountingLife(), CountedDoor()
        hearing = Hearing(premises, issuing, radio, Board(premises.bundle.branch.beacons, premises.clock))
        tending = Tending(
            premises,
            keys=VisitKeys(premises.clock, premises.entropy, KeptRing()),
            radio=radio,
            hearing=hearing,
            line=Line(premises.clock.now()),
            rights=(rights := Rights(premises.clock)),
            life=life,
            guests=door,
            certificate_ends_ms=certificate_ends_ms,
            versions=("1", "2"),
        )
        yield Shop(premises, issuing, tending, life, door, rights)


def test_a_coupon_is_cleared_after_its_expiry_and_the_settlement_horizon() -> None:
    async def story() -> None:
        async with _open() as shop:
            coupon = await shop.give("anna")
            assert isinstance(coupon, CouponRecord)
            key = coupon_key(coupon.serial)
            await asyncio.sleep(7 * DAY_S + SETTLEMENT_HORIZON_MS / 1000 - 10)
            await shop.tending.sweep()
            assert (await shop.premises.store.fetch([key])).get(key) is not None
            await asyncio.sleep(120)
            assert await shop.tending.sweep() >= 1
            assert (await shop.premises.store.fetch([key])).get(key) is None

    run_virtually(story())


def test_serials_come_round_when_old_coupons_are_gone_and_never_onto_a_living_one() -> None:
    async def story() -> None:
        async with _open() as shop:
            for visitor in ("a", "b", "c"):
                await shop.give(visitor)
            await shop.put(SerialRecord(id=SERIAL_KEY.id, next=SERIAL_MAX, free_until=SERIAL_MAX + 1))
            last = await shop.give("d")
            assert isinstance(last, CouponRecord)
            assert last.serial == SERIAL_MAX
            assert isinstance(await shop.give("e"), Refusal)
            await shop.tending.open_serials()
            first_again = await shop.give("f")
            assert isinstance(first_again, CouponRecord)
            assert first_again.serial == 4

    run_virtually(story())


def test_a_block_that_ends_at_a_living_coupon_is_used_up_before_the_next_is_opened() -> None:
    async def story() -> None:
        async with _open() as shop:
            for visitor in ("a", "b", "c"):
                await shop.give(visitor)
            await shop.put(SerialRecord(id=SERIAL_KEY.id, next=2, free_until=2))
            await shop.tending.open_serials()
            again = await shop.give("d")
            assert isinstance(again, CouponRecord)
            assert again.serial == 4

    run_virtually(story())


def test_upkeep_proves_that_the_store_writes_and_only_then_shows_life() -> None:
    async def story() -> None:
        async with _open() as shop:
            running = asyncio.ensure_future(shop.tending.run())
            await asyncio.sleep(60)
            assert shop.life.signs >= 10
            before = shop.life.signs
            await shop.premises.store.close()  # type: ignore[attr-defined]  # the store in memory
            await asyncio.sleep(60)
            assert shop.life.signs == before
            assert shop.tending.report().status is Status.FAILING
            assert "store_not_writing" in {issue.code for issue in shop.tending.report().issues}
            running.cancel()

    run_virtually(story())


def test_an_issue_keeps_the_time_at_which_it_was_first_seen() -> None:
    async def story() -> None:
        async with _open(certificate_ends_ms=NOON_MS + 13 * DAY_MS) as shop:
            first = {issue.code: issue.since_ms for issue in shop.tending.report().issues}
            await asyncio.sleep(3600)
            later = {issue.code: issue.since_ms for issue in shop.tending.report().issues}
            assert later["certificate_ending"] == first["certificate_ending"]
            assert shop.tending.report().status is Status.DEGRADED
            await asyncio.sleep(13 * DAY_S)
            assert shop.tending.report().status is Status.FAILING

    run_virtually(story())


def test_guests_turned_away_are_told_for_five_minutes() -> None:
    async def story() -> None:
        async with _open() as shop:
            before = {issue.code for issue in shop.tending.report().issues}
            shop.door.turned_away = 7
            shop.door.turned_away_mono_s = shop.premises.clock.mono_s()
            await asyncio.sleep(299)
            report = shop.tending.report()
            assert report.status is Status.DEGRADED
            (issue,) = [issue for issue in report.issues if issue.code not in before]
            assert issue.code == "guests_turned_away"
            assert "7" in issue.means
            await asyncio.sleep(2)
            assert {issue.code for issue in shop.tending.report().issues} == before
            assert shop.tending.counts().guests_turned_away == 7

    run_virtually(story())


def test_rights_that_are_missing_or_diverged_are_told_and_those_left_are_counted() -> None:
    async def story() -> None:
        async with _open() as shop:
            welcome, later = CampaignId("welcome"), CampaignId("later")
            shop.rights.look({welcome: Stock(1, 1, is_running=True), later: Stock(0, 0, is_running=False)})
            shop.rights.hindrance = Hindrance("HQ cannot be reached", "Check the line.")
            before = {issue.code for issue in shop.tending.report().issues}
            assert shop.tending.counts().rights_left == {welcome: 1, later: 0}
            shop.rights.gave(welcome)
            (issue,) = [each for each in shop.tending.report().issues if each.code not in before]
            assert (issue.code, issue.do) == ("rights_missing", "Check the line.")
            assert "welcome" in issue.means
            assert "later" not in issue.means
            assert shop.tending.counts().rights_left[welcome] == 0
            shop.rights.is_diverged = True
            assert {each.code for each in shop.tending.report().issues} - before == {"rights_diverged"}

    run_virtually(story())
