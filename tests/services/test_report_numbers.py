"""Reports are numbered, so that nobody shows HQ an old one as the last; and no honest agent is kept out by it."""

import pytest

from cloud_api.ports.storage import KnownAgent, KnownClaim
from edge_agent.services.line import Line
from edge_agent.services.reporting import Reporting
from edge_agent.services.status import Status
from engagement.line.answers import REPORTS_MAX, AgentReport
from engagement.line.claim import ENTROPY_BYTES, make_claim
from tests.fakes import shop
from tests.fakes.desk import KeptBundle
from tests.fakes.hq import AGENT, HARBOUR, NUMBERS, Hq, open_hq
from tests.fakes.memory_storage import MemoryStorage
from tests.fakes.premises import open_premises
from tests.fakes.straight_to_hq import StraightToHq, Well

TEN_MINUTES_MS = 10 * 60_000


@pytest.fixture
async def hq() -> Hq:
    return await open_hq(MemoryStorage(), AGENT)


def report(number: int, status: str = "ok") -> AgentReport:
    return AgentReport.model_validate(
        {"bundle_sequence": 1, "status": status, "backlog": {}, "version": "1", "number": number}
    )


async def enrol_another_box(hq: Hq) -> None:
    claim = make_claim(bytes([7]) * ENTROPY_BYTES)
    known = KnownAgent(AGENT, HARBOUR, NUMBERS[AGENT], "claimed")
    await hq.storage.put_claim(known, KnownClaim(claim, AGENT, hq.clock.wall_ms + shop.DAY_MS))
    await hq.storage.enrol(claim.id, public_key=b"k" * 32, at_ms=hq.clock.wall_ms)
    await hq.registry.load()


def shown(hq: Hq) -> str | None:
    last = hq.reporting.last(AGENT)
    return last.report.status if last is not None else None


@pytest.mark.parametrize("number", [1, 6, 7])
async def test_an_old_report_shows_nothing_and_the_answer_says_so(hq: Hq, number: int) -> None:
    await hq.reporting.take(AGENT, report(7, "failing"))
    hq.clock.pass_ms(TEN_MINUTES_MS)
    told = hq.news.count
    answer = await hq.reporting.take(AGENT, report(number))
    assert (answer.is_old, answer.number, answer.bundle_sequence) == (True, 7, 1)
    assert (shown(hq), hq.news.count) == ("failing", told)
    assert hq.overview.since_ms((await hq.overview.agents())[0].last_contact_ms or 0) == TEN_MINUTES_MS
    answer = await hq.reporting.take(AGENT, report(8))
    assert (answer.is_old, answer.number, shown(hq)) == (False, 8, "ok")


async def test_an_old_report_is_old_after_a_restart_of_hq_too(hq: Hq) -> None:
    await hq.reporting.take(AGENT, report(7, "failing"))
    again = Hq(hq.storage, store=hq.store, reports=hq.reports)
    await again.registry.load()
    await again.reporting.load()
    assert (await again.reporting.take(AGENT, report(7))).is_old
    assert shown(again) == "failing"


async def test_versions_that_count_no_reports_are_heard(hq: Hq) -> None:
    for status in ("degraded", "ok"):
        assert not (await hq.reporting.take(AGENT, report(0, status))).is_old
        assert shown(hq) == status
    assert not (await hq.reporting.take(AGENT, report(1, "degraded"))).is_old


async def test_an_older_version_that_was_put_back_is_heard_after_a_while(hq: Hq) -> None:
    await hq.reporting.take(AGENT, report(7))
    hq.clock.pass_ms(TEN_MINUTES_MS - 1)
    assert (await hq.reporting.take(AGENT, report(0, "failing"))).is_old
    hq.clock.pass_ms(1)
    answer = await hq.reporting.take(AGENT, report(0, "failing"))
    assert (answer.is_old, answer.number, shown(hq)) == (False, 7, "failing")
    assert (await hq.reporting.take(AGENT, report(7))).is_old, "what was counted once stays old"


async def test_another_box_under_the_same_name_begins_anew(hq: Hq) -> None:
    await hq.reporting.take(AGENT, report(REPORTS_MAX - 1))
    hq.clock.pass_ms(1)
    await enrol_another_box(hq)
    assert not (await hq.reporting.take(AGENT, report(1, "degraded"))).is_old
    assert (await hq.reporting.take(AGENT, report(1))).is_old
    assert shown(hq) == "degraded"


async def test_an_agent_that_starts_anew_goes_on_from_what_hq_has(hq: Hq) -> None:
    line = StraightToHq(hq)
    async with open_premises() as premises:
        for status in (Status.OK, Status.DEGRADED, Status.FAILING):
            reporting = Reporting(
                premises,
                desk=line,
                health=Well(status),
                keeping=KeptBundle(),
                line=Line(premises.clock.now()),
                root_pem=lambda: hq.sealing.root_pem,
                sealed_by=hq.sealing.root_pem,
            )
            for _ in range(3):
                assert await reporting.look() >= 2
                assert shown(hq) == status.value
    assert [each.number for each in line.sent] == [1, 2, 3, 1, 4, 5, 6, 1, 7, 8, 9]
    for kept in line.sent:
        assert (await hq.reporting.take(AGENT, kept)).is_old
    assert shown(hq) == "failing"
