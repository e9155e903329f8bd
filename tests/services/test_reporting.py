"""Agents' bundles and reports: each gets its own, sealed, and learns when there is a newer one."""

import pytest

from cloud_api.services.refused import Refused
from engagement.estate.bundle import Bundle
from engagement.estate.estate import DropBranch, PutBranch
from engagement.ids import AgentName, BranchCode, CampaignId
from engagement.journal.event import Lane
from engagement.line.answers import AgentReport
from engagement.line.seal import SealKind, open_seal
from tests.fakes import shop
from tests.fakes.estates import access, branch, put
from tests.fakes.hq import AGENT, HARBOUR, OTHER, PARK, Hq, open_hq
from tests.fakes.hq_authority import HandSealing, make_authority, make_root, make_sealing
from tests.fakes.memory_storage import MemoryStorage


@pytest.fixture
async def hq() -> Hq:
    return await open_hq(MemoryStorage(), AGENT, OTHER)


def report(sequence: int = 1, **changes: object) -> AgentReport:
    plain = {"bundle_sequence": sequence, "status": "ok", "backlog": {"money": 3}, "version": "1"}
    return AgentReport.model_validate(plain | changes)


async def bundle(hq: Hq, agent: AgentName = AGENT) -> Bundle:
    payload = open_seal(await hq.bundling.sealed(agent), SealKind.BUNDLE, root_pem=hq.sealing.root_pem)
    return Bundle.model_validate_json(payload)


async def refusal(hq: Hq, agent: AgentName) -> str:
    with pytest.raises(Refused) as refused:
        await hq.bundling.sealed(agent)
    return refused.value.code


async def test_a_bundle_is_whole_and_opens_with_the_root(hq: Hq) -> None:
    tag = {"name": "tag", "role": "tag", "altbeacon": {"id": "ab" * 20}}
    here = branch("HARBOUR", AGENT, beacons=[tag], agents=[{"name": AGENT, "number": 1}])
    await hq.change(PutBranch(branch=here, access=access("till 1")))
    found = await bundle(hq)
    assert (found.agent, found.agent_number, found.sequence, found.is_leased) == (AGENT, 1, 2, True)
    assert found.branch == here
    assert [till.name for till in found.tills] == ["till 1"]
    assert [campaign.id for campaign in found.campaigns] == ["welcome", "shake", "back"]
    assert (await bundle(hq, OTHER)).branch.code == PARK


async def test_a_bundle_is_the_same_until_it_changes(hq: Hq) -> None:
    first = await hq.bundling.sealed(AGENT)
    await hq.change(*put(branch("LAKE", "lake-1")))
    assert await hq.bundling.sealed(AGENT) == first
    await hq.changing.stop(CampaignId("shake"), honour_issued=True, by="Li")
    later = await bundle(hq)
    assert later.sequence == 3
    assert [(stop.campaign, stop.by) for stop in later.stops] == [("shake", "Li")]


async def test_many_agents_in_turn_each_get_their_own(hq: Hq) -> None:
    names = [AgentName(f"b-{number}") for number in range(40)]
    await hq.change(*put(*(branch(f"B{number}", name) for number, name in enumerate(names))))
    for name in (*names, *names):
        assert (await bundle(hq, name)).agent == name


async def test_another_authority_seals_anew() -> None:
    root = make_root()
    hq = Hq(MemoryStorage(), sealing=make_sealing(root))
    first = await hq.bundling.sealed(AGENT)
    hq.sealing.authority = make_authority(root)
    assert await hq.bundling.sealed(AGENT) != first
    assert (await bundle(hq)).agent == AGENT


async def test_nobody_gets_a_bundle_before_hq_is_certified() -> None:
    hq = Hq(MemoryStorage(), sealing=HandSealing(None))
    assert await refusal(hq, AGENT) == "not_certified"
    answer = await hq.reporting.take(AGENT, report(0))
    assert answer.bundle_sequence == 0


async def test_an_agent_that_no_branch_lists_keeps_what_it_has(hq: Hq) -> None:
    await hq.change(DropBranch(code=HARBOUR))
    assert await refusal(hq, AGENT) == "agent_not_listed"
    assert (await hq.reporting.take(AGENT, report())).bundle_sequence == 0


async def test_a_report_is_answered_with_what_the_agent_should_have(hq: Hq) -> None:
    assert (await hq.reporting.take(AGENT, report())).bundle_sequence == 1
    await hq.changing.stop(CampaignId("shake"), honour_issued=False, by="Li")
    assert (await hq.reporting.take(AGENT, report())).bundle_sequence == 2


async def test_what_an_agent_said_last_is_shown_and_outlives_a_restart(hq: Hq) -> None:
    hq.clock.pass_ms(60_000)
    said = report(0, status="failing", issues=["disk_full", "clock_unsure"])
    await hq.reporting.take(AGENT, report())
    await hq.reporting.take(AGENT, said)
    for each in (hq, Hq(hq.storage, store=hq.store, reports=hq.reports)):
        await each.registry.load()
        await each.reporting.load()
        here, there = await each.overview.agents()
        assert here.report is not None
        assert (here.report.report, here.report.received_ms) == (said, shop.NOON_MS + 60_000)
        assert (here.bundle_wanted, there.report) == (1, None)
        assert here.report.report.backlog == {Lane.MONEY: 3}
    assert hq.overview.since_ms((await hq.overview.agents())[0].last_contact_ms or 0) == 0


@pytest.mark.parametrize(
    ("later", "is_told"),
    [
        (report(), False),
        (report(backlog={"money": 99}), False),
        (report(status="degraded"), True),
        (report(issues=["disk_full"]), True),
        (report(0), True),
        (report(version="2"), True),
    ],
)
async def test_people_are_told_of_reports_that_say_something_new(
    hq: Hq, later: AgentReport, is_told: bool
) -> None:
    await hq.reporting.take(AGENT, report())
    told = hq.news.count
    await hq.reporting.take(AGENT, later)
    assert (hq.news.count > told) == is_told


@pytest.mark.parametrize(("agents", "again_ms"), [(1, 2_000), (200, 2_000), (300, 3_000), (7_000, 60_000)])
async def test_reports_are_spread_over_time(agents: int, again_ms: int) -> None:
    hq = await open_hq(MemoryStorage())
    hq.registry.active = agents
    assert (await hq.reporting.take(AGENT, report())).again_ms == again_ms


async def test_agents_that_may_speak_are_counted(hq: Hq) -> None:
    assert hq.registry.active == 2
    await hq.storage.revoke(OTHER)
    await hq.registry.load()
    assert hq.registry.active == 1
    assert hq.estate.zone(BranchCode("HARBOUR")) is not None
