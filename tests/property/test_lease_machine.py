"""Rights never come to more than the budget, through loss, repetition, reordering, crashes on both sides and restores of HQ."""

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engagement.ids import CampaignId
from tests.fakes.lease_world import AGENTS, CAMPAIGNS, LIABILITY_MINOR, new_world, one

BACKUPS_MAX = 3

boxes = st.integers(0, AGENTS - 1)
campaigns = st.sampled_from(CAMPAIGNS)
places = st.integers(0, 10**6)


class Leases(RuleBasedStateMachine):
    """Rights move, everybody crashes, the line does what it likes; in the end both sides agree."""

    def __init__(self) -> None:
        super().__init__()
        self.world = new_world()

    @rule(box=boxes, campaign=campaigns, times=st.integers(1, 6))
    def issues(self, box: int, campaign: CampaignId, times: int) -> None:
        for _ in range(times):
            self.world.boxes[box].issue(campaign, LIABILITY_MINOR)

    @rule(box=boxes, campaign=campaigns, units=st.integers(1, 4))
    def gives_back(self, box: int, campaign: CampaignId, units: int) -> None:
        self.world.boxes[box].give_back(campaign, one(units, LIABILITY_MINOR))

    @rule(box=boxes, campaign=campaigns, wanted=st.integers(0, 9))
    def converses(self, box: int, campaign: CampaignId, wanted: int) -> None:
        self.world.converse(self.world.boxes[box], {campaign: wanted})

    @rule(box=boxes, campaign=campaigns, wanted=st.integers(0, 9))
    def asks(self, box: int, campaign: CampaignId, wanted: int) -> None:
        asking = self.world.boxes[box]
        self.world.send(asking, asking.ask({campaign: wanted}))

    @rule(box=boxes)
    def asks_the_same_again(self, box: int) -> None:
        asking = self.world.boxes[box]
        if asking.unanswered is not None:
            self.world.send(asking, asking.unanswered)

    @precondition(lambda self: self.world.asked)
    @rule(place=places, is_kept=st.booleans(), is_answered=st.booleans(), again=st.booleans())
    def hq_takes(self, place: int, *, is_kept: bool, is_answered: bool, again: bool) -> None:
        """An answer is given only once what it says is kept."""
        place %= len(self.world.asked)
        self.world.serve(place, is_kept=is_kept, is_answered=is_kept and is_answered, again=again)

    @precondition(lambda self: self.world.answered)
    @rule(place=places)
    def an_answer_arrives(self, place: int) -> None:
        self.world.take(place % len(self.world.answered))

    @rule(box=boxes)
    def an_agent_crashes(self, box: int) -> None:
        """Its ledger is as it was; nobody waits for an answer any more."""
        self.world.boxes[box].exchange = None

    @invariant()
    def nothing_is_over_issued(self) -> None:
        self.world.check()

    @precondition(lambda self: len(self.world.backups) < BACKUPS_MAX)
    @rule()
    def hq_is_backed_up(self) -> None:
        self.world.back_up()

    @precondition(lambda self: self.world.backups)
    @rule(place=places)
    def hq_is_restored(self, place: int) -> None:
        self.world.restore(place % len(self.world.backups))

    @rule(box=boxes)
    def a_ledger_is_damaged(self, box: int) -> None:
        self.world.lose_ledger(box)

    @rule(box=boxes)
    def an_agent_is_given_up(self, box: int) -> None:
        self.world.give_up(self.world.boxes[box].key.agent)

    @rule(campaign=campaigns, more=st.integers(1, 5))
    def a_budget_is_raised(self, campaign: CampaignId, more: int) -> None:
        terms = self.world.terms[campaign]
        self.world.terms[campaign] = replace(terms, budget=terms.budget + one(more, LIABILITY_MINOR))

    def teardown(self) -> None:
        """Once the line is good again all agents are heard, and both sides agree to the coupon."""
        self.world.heal()
        self.world.check()
        for box in self.world.boxes:
            for campaign, account in box.accounts.items():
                assert self.world.file.accounts[box.key][campaign] == account
        assert not self.world.file.awaited(self.world.expected)


TestLeases = Leases.TestCase
TestLeases.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
