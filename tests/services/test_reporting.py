"""What HQ wants of a store becomes so while it works; what is not HQ's, or cannot be kept, changes nothing. Virtual time."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from errno import ENOSPC
from typing import Any

import pytest

from edge_agent.ports import LineBusy, LineDown, LineRefused, Store
from edge_agent.services.line import Line
from edge_agent.services.reporting import Reporting, recall
from engagement.campaign.state import StopRecord, stop_key
from engagement.estate.bundle import Bundle, CampaignStop
from engagement.estate.receiving import BundleUnfit
from engagement.ids import AgentName, CampaignId
from engagement.journal.event import CampaignStopped, Lane
from tests.fakes.counter import SetHealth
from tests.fakes.desk import FakeDesk, KeptBundle
from tests.fakes.hq_authority import make_root
from tests.fakes.premises import harbour_bundle, premises_over
from tests.fakes.shop import NOON_MS, campaign
from tests.fakes.store_places import MemoryPlace, running
from tests.fakes.virtual_loop import run_virtually

AGENT = AgentName("harbour-1")
WELCOME = CampaignId("welcome")


def wanted(sequence: int, **changes: Any) -> Bundle:
    return harbour_bundle([campaign()]).model_copy(
        update={"sequence": sequence, "is_leased": True, **changes}
    )


def stop(*, honour_issued: bool = False) -> CampaignStop:
    return CampaignStop(campaign=WELCOME, honour_issued=honour_issued, by="ann", at_ms=NOON_MS)


class Power(BaseException):
    """Is cut: nothing after this happens."""


class Box:
    """One process of the agent, over a store and a file that outlive it."""

    def __init__(self, store: Store, desk: FakeDesk, kept: KeptBundle) -> None:
        root_pem = desk.root.pem
        recalled = recall(kept, root_pem=root_pem, agent=AGENT)
        self.desk, self.kept = desk, kept
        self.premises = premises_over(store)
        if recalled is not None:
            self.premises.renew(recalled)
        self.line = Line(self.premises.clock.now())
        self.line.enrolled.set()
        self.root_pem: str | None = root_pem
        self.reporting = Reporting(
            self.premises,
            desk=desk,
            health=SetHealth(),
            keeping=kept,
            line=self.line,
            root_pem=lambda: self.root_pem,
            sealed_by=root_pem if recalled is not None else None,
        )

    @property
    def refused(self) -> str:
        """What health says of a bundle that is not taken; empty when all is well."""
        troubles = self.line.troubles(self.premises.clock.now())
        return "".join(each.means for each in troubles if each.code == "bundle_refused")

    @property
    def works_from(self) -> tuple[int, list[str]]:
        bundle = self.premises.bundle
        return self.reporting.sequence, [each.id for each in bundle.campaigns]

    async def stopped(self) -> StopRecord | None:
        key = stop_key(WELCOME)
        return (await self.premises.store.fetch([key])).get(key)

    async def stops_journaled(self) -> list[tuple[str, bool]]:
        entries = await self.premises.store.entries(Lane.MONEY, after_seq=0, limit=100)
        events = [entry.event for entry in entries]
        return [(event.by, event.honour_issued) for event in events if isinstance(event, CampaignStopped)]

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.reporting.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Power):
                await task


@asynccontextmanager
async def a_box() -> AsyncIterator[Box]:
    async with running(MemoryPlace()) as store:
        box = Box(store, FakeDesk(), KeptBundle())
        async with box.at_work():
            yield box


def told(story: Coroutine[Any, Any, None]) -> None:
    run_virtually(story)


def test_a_newer_bundle_counts_within_one_report_and_is_kept_sealed() -> None:
    async def story() -> None:
        async with a_box() as box:
            await asyncio.sleep(1)
            assert box.works_from == (0, [])
            box.desk.want(wanted(7))
            await asyncio.sleep(10)
            assert box.works_from == (7, ["welcome"])
            assert recall(box.kept, root_pem=box.desk.root.pem, agent=AGENT) == wanted(7)
            assert [report.bundle_sequence for report in box.desk.reports[-2:]] == [0, 7], "said at once"
            assert box.desk.handed_out == 1

    told(story())


def test_a_local_bundle_is_none_of_hqs_so_its_sequence_is_not_reported() -> None:
    async def story() -> None:
        async with a_box() as box:
            await asyncio.sleep(1)
            assert box.premises.bundle.sequence == 1
            assert box.desk.reports[0].bundle_sequence == 0

    told(story())


def test_a_report_says_how_the_agent_is() -> None:
    async def story() -> None:
        async with a_box() as box:
            await asyncio.sleep(1)
            report = box.desk.reports[0]
            assert (report.status, report.issues, report.radio) == ("ok", (), "recording:test")
            assert report.backlog == {Lane.MONEY: 3, Lane.ENGAGEMENT: 2, Lane.TELEMETRY: 0}
            assert (report.version, report.clock_error_ms) == ("0.1.0", 20)

    told(story())


def test_hq_names_the_pace_but_none_without_pauses() -> None:
    async def story() -> None:
        async with a_box() as box:
            await asyncio.sleep(95)
            assert len(box.desk.reports) == 10
            box.desk.again_ms = 0
            await asyncio.sleep(20)
            assert 10 <= len(box.desk.reports) - 10 <= 21

    told(story())


def test_a_bundle_that_hq_did_not_seal_is_refused_and_the_old_one_stays() -> None:
    async def story() -> None:
        async with a_box() as box:
            box.desk.want(wanted(3))
            await asyncio.sleep(11)
            box.desk.sequence, box.desk.text = 4, FakeDesk().seal(wanted(4, campaigns=()))
            await asyncio.sleep(11)
            assert box.works_from == (3, ["welcome"])
            assert "it is not HQ's" in box.refused
            handed_out = box.desk.handed_out
            await asyncio.sleep(500)
            assert box.desk.handed_out == handed_out, "the same one is not fetched over and over"
            box.desk.want(wanted(5, campaigns=()))
            await asyncio.sleep(11)
            assert (box.works_from, box.refused) == ((5, []), "")

    told(story())


def test_a_bundle_that_was_refused_is_tried_again_when_it_may_have_been_mended() -> None:
    async def story() -> None:
        async with a_box() as box:
            box.desk.sequence, box.desk.text = 4, "half a bun"
            await asyncio.sleep(30)
            assert box.refused
            box.desk.want(wanted(4))
            await asyncio.sleep(600)
            assert (box.works_from, box.refused) == ((4, ["welcome"]), "")

    told(story())


@pytest.mark.parametrize(
    ("handed", "because"),
    [
        (wanted(3), "it is not newer"),
        (wanted(2), "it is not newer"),
        (
            wanted(4, agent="harbour-2").model_copy(
                update={"branch": harbour_bundle().branch, "agent": AgentName("harbour-2")}
            ),
            "it is for agent 'harbour-2'",
        ),
        (
            wanted(4, branch=harbour_bundle().branch.model_copy(update={"code": "PIER"})),
            "its branch is 'PIER'",
        ),
    ],
    ids=["the same", "an older one", "another agent's", "another store's"],
)
def test_hqs_own_seal_does_not_make_a_wrong_bundle_right(handed: Bundle, because: str) -> None:
    """Somebody on the line may hand out what HQ sealed for another time, or for another agent."""

    async def story() -> None:
        async with a_box() as box:
            box.desk.want(wanted(3))
            await asyncio.sleep(11)
            box.desk.sequence, box.desk.text = 4, _sealed_as_is(box.desk, handed)
            await asyncio.sleep(11)
            assert because in box.refused
            assert box.works_from == (3, ["welcome"])
            assert recall(box.kept, root_pem=box.desk.root.pem, agent=AGENT) == wanted(3)

    told(story())


def _sealed_as_is(desk: FakeDesk, bundle: Bundle) -> str:
    if bundle.agent not in {agent.name for agent in bundle.branch.agents}:
        other = bundle.branch.agents[0].model_copy(update={"name": bundle.agent})
        branch = bundle.branch.model_copy(update={"agents": (other,)})
        bundle = bundle.model_copy(update={"branch": branch})
    return desk.seal(bundle)


def test_a_cut_of_power_while_a_bundle_is_kept_leaves_the_old_one_and_hqs_stops() -> None:
    async def story() -> None:
        async with running(MemoryPlace()) as store:
            box = Box(store, FakeDesk(), KeptBundle())

            def cut() -> None:
                raise Power

            async with box.at_work():
                box.desk.want(wanted(3))
                await asyncio.sleep(11)
                box.kept.on_save = cut
                box.desk.want(wanted(4, campaigns=(), stops=(stop(),)))
                await asyncio.sleep(11)
            box.kept.on_save = lambda: None
            again = Box(store, box.desk, box.kept)
            assert again.works_from == (3, ["welcome"])
            assert await again.stopped() is not None
            async with again.at_work():
                await asyncio.sleep(1)
                assert again.works_from == (4, [])
                assert await again.stops_journaled() == [("HQ: ann", False)]

    told(story())


def test_a_cut_of_power_after_a_bundle_was_kept_finds_it_counting_at_the_next_start() -> None:
    async def story() -> None:
        async with running(MemoryPlace()) as store:
            desk = FakeDesk()
            desk.want(wanted(4, stops=(stop(),)))
            desk_is_away = FakeDesk(root=desk.root, trouble=LineDown("no route"))
            again = Box(store, desk_is_away, KeptBundle(desk.text))
            async with again.at_work():
                await asyncio.sleep(1)
                assert again.works_from == (4, ["welcome"])
                assert await again.stopped() is not None, "a ledger that is new has its stops from the bundle"

    told(story())


def test_a_stop_that_was_made_while_the_line_was_away_arrives_with_the_line() -> None:
    async def story() -> None:
        async with a_box() as box:
            box.desk.want(wanted(3))
            await asyncio.sleep(11)
            box.desk.trouble = LineDown("no route")
            box.desk.want(wanted(4, stops=(stop(honour_issued=True),)))
            await asyncio.sleep(24 * 3600)
            assert await box.stopped() is None
            box.desk.trouble = None
            await asyncio.sleep(40)
            kept = await box.stopped()
            assert kept is not None
            assert (kept.by, kept.honour_issued) == ("HQ: ann", True)
            box.desk.want(wanted(5, stops=(stop(honour_issued=False),)))
            await asyncio.sleep(11)
            assert await box.stops_journaled() == [("HQ: ann", True), ("HQ: ann", False)]

    told(story())


def test_a_disk_that_cannot_keep_the_bundle_still_stops_what_hq_stops() -> None:
    async def story() -> None:
        async with a_box() as box:

            def full() -> None:
                raise OSError(ENOSPC, "No space left on device")

            box.kept.on_save = full
            box.desk.want(wanted(3, stops=(stop(),)))
            await asyncio.sleep(1)
            assert "it cannot be kept (No space left on device)" in box.refused
            assert box.works_from == (0, [])
            assert await box.stopped() is not None

    told(story())


def test_what_was_kept_and_is_damaged_is_not_used() -> None:
    desk = FakeDesk()
    whole = desk.seal(wanted(3))
    for text in (whole[:-20], "", whole.replace("Harbour", "Harbor", 1)):
        with pytest.raises(BundleUnfit):
            recall(KeptBundle(text), root_pem=desk.root.pem, agent=AGENT)


def test_another_hq_begins_anew_whatever_the_old_ones_count_was() -> None:
    async def story() -> None:
        async with a_box() as box:
            box.desk.want(wanted(90))
            await asyncio.sleep(11)
            other = FakeDesk(root=make_root())
            other.want(wanted(2, campaigns=()))
            box.root_pem, box.desk.sequence, box.desk.text = other.root.pem, other.sequence, other.text
            box.line.enrolled_anew.set()
            await asyncio.sleep(1)
            assert [report.bundle_sequence for report in box.desk.reports[-2:]] == [0, 2]
            assert box.works_from == (2, [])

    told(story())


def test_without_a_root_nothing_of_hqs_is_taken() -> None:
    async def story() -> None:
        async with a_box() as box:
            box.root_pem = None
            box.desk.want(wanted(3))
            await asyncio.sleep(1)
            assert "no root of HQ's was pinned" in box.refused
            assert box.works_from == (0, [])

    told(story())


def test_an_hq_that_is_busy_or_refuses_is_left_alone_for_as_long_as_is_right() -> None:
    async def story() -> None:
        async with a_box() as box:
            box.desk.trouble = LineBusy(120_000)
            await asyncio.sleep(11)
            before = len(box.desk.reports)
            box.desk.trouble = None
            await asyncio.sleep(100)
            assert len(box.desk.reports) == before
            await asyncio.sleep(20)
            assert len(box.desk.reports) > before
            box.desk.trouble = LineRefused("agent_unknown")
            await asyncio.sleep(11)
            box.desk.trouble, before = None, len(box.desk.reports)
            await asyncio.sleep(500)
            assert len(box.desk.reports) == before
            box.line.enrolled_anew.set()
            await asyncio.sleep(1)
            assert len(box.desk.reports) == before + 1, "a new enrolment does not wait"

    told(story())
