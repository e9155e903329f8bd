"""When `beckon up` asks HQ for a claim code for its agent: on a virtual clock, so that its pauses cost nothing."""

import asyncio
from dataclasses import dataclass, field

from engagement.ids import AgentName, BranchCode
from provisioning.ports import Certified
from provisioning.services.enrolling import Enrolling
from tests.fakes.hq_desk import AgentBox, HandFiles, HandRoot, HqDesk
from tests.fakes.virtual_loop import run_virtually


@dataclass
class Desk:
    hq: HqDesk = field(default_factory=HqDesk)
    agent: AgentBox = field(default_factory=AgentBox)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = HandFiles(self.hq)
        self.enrolling = Enrolling(
            branch=BranchCode("HARBOUR"),
            agent=AgentName("harbour-1"),
            hq=self.hq,
            root=HandRoot(),
            files=self.files,
            agent_health=self.agent.health,
            put_claim=self.agent.claims.append,
            say=self.said.append,
        )

    async def run_for(self, seconds: float) -> None:
        task = asyncio.create_task(self.enrolling.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait({task})


def test_a_new_agent_gets_one_code_before_it_runs_and_the_rest_is_its_own_work() -> None:
    desk = Desk()

    async def story() -> None:
        await desk.run_for(1)
        assert desk.enrolling.answered.is_set()
        desk.hq.state, desk.agent.codes = "active", frozenset()
        await desk.run_for(3600)

    run_virtually(story())
    assert desk.agent.claims == ["HARBOUR-harbour-1-1"]
    assert desk.hq.times_certified == 1
    assert desk.said == [
        "HQ does not know this store's agent; it gets a claim code and enrols itself.",
        "harbour-1 is enrolled at HQ.",
    ]


def test_hq_is_certified_again_when_it_has_lost_its_key() -> None:
    desk = Desk(HqDesk(state="active"), AgentBox(frozenset()))

    async def story() -> None:
        await desk.run_for(60)
        desk.hq.certified = None
        await desk.run_for(60)

    run_virtually(story())
    assert desk.hq.times_certified == 2
    assert desk.said == []


def test_a_root_that_was_issued_anew_certifies_again() -> None:
    desk = Desk(HqDesk(state="active"), AgentBox(frozenset()))
    desk.hq.certified = Certified("by the root", "the home's root before")
    run_virtually(desk.run_for(3600))
    assert (desk.hq.times_certified, desk.said) == (1, [])


def test_a_home_with_another_root_certifies_by_it_and_enrols_its_agent_anew() -> None:
    desk = Desk(HqDesk(state="active", pins="another root"), AgentBox(frozenset({"bundle_refused"})))
    desk.hq.certified = Certified("by the root before", "another root")

    async def story() -> None:
        await desk.run_for(1)
        desk.agent.codes = frozenset()
        await desk.run_for(60)

    run_virtually(story())
    assert desk.hq.certified == HandRoot().certify("HQ's request")
    assert desk.agent.claims == ["HARBOUR-harbour-1-1"]


def test_an_enrolled_agent_is_left_alone() -> None:
    desk = Desk(HqDesk(state="active"), AgentBox(frozenset({"clock_unsure"})))
    run_virtually(desk.run_for(3600))
    assert (desk.agent.claims, desk.said) == ([], [])


def test_a_silent_hq_is_asked_until_it_answers() -> None:
    desk = Desk(HqDesk(silent=True))

    async def story() -> None:
        await desk.run_for(60)
        assert not desk.enrolling.answered.is_set()
        desk.hq.silent = False
        await desk.run_for(1)

    run_virtually(story())
    assert len(desk.agent.claims) == 1


def test_an_agent_that_lost_its_enrolment_gets_a_code_once_it_says_so() -> None:
    desk = Desk(HqDesk(state="active"))

    async def story() -> None:
        await desk.run_for(20)
        assert desk.agent.claims == []
        desk.agent.codes = frozenset({"not_enrolled"})
        await desk.run_for(2)

    run_virtually(story())
    assert len(desk.agent.claims) == 1
    assert desk.said[0].startswith("This store's agent has lost its enrolment;")


def test_an_hq_that_lost_everything_is_told_of_the_agent_again() -> None:
    desk = Desk(HqDesk(state="active"), AgentBox(frozenset()))

    async def story() -> None:
        await desk.run_for(60)
        desk.hq.state = "unclaimed"
        await desk.run_for(15)

    run_virtually(story())
    assert len(desk.agent.claims) == 1


def test_a_code_that_changes_nothing_is_followed_by_others_ever_more_rarely() -> None:
    """An expired code, or an HQ that refuses the agent whatever it is given."""
    desk = Desk(HqDesk(state="active"), AgentBox(frozenset({"line_refused"})))

    async def codes_within(seconds: float) -> int:
        await desk.run_for(seconds)
        return len(desk.agent.claims)

    async def story() -> list[int]:
        return [await codes_within(seconds) for seconds in (59, 60, 24 * 3600)]

    after_a_minute, after_two, after_a_day = run_virtually(story())
    assert (after_a_minute, after_two) == (1, 2)
    assert 24 <= after_a_day <= 32
    assert desk.said == ["HQ refuses this store's agent; it gets a claim code and enrols itself."]


def test_a_revoked_agent_stays_revoked_and_that_is_said_once() -> None:
    desk = Desk(HqDesk(state="revoked"), AgentBox(frozenset({"line_refused", "not_enrolled"})))
    run_virtually(desk.run_for(3600))
    assert desk.agent.claims == []
    assert desk.said == ["HQ has revoked harbour-1; the store works on and keeps what happens"]
    assert desk.enrolling.answered.is_set()


def test_a_refusal_is_said_once_and_does_not_hold_up_the_agent() -> None:
    desk = Desk(HqDesk(refusal="number 1 is another agent's"))
    run_virtually(desk.run_for(3600))
    assert desk.said == ["harbour-1 cannot be enrolled at HQ: number 1 is another agent's"]
    assert desk.enrolling.answered.is_set()
