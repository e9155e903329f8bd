"""The agents' rules against HQ's own, in any order of selling, asking, losing, repeating, crashing, restoring and giving up.

The machine counts every coupon that left a store; HQ's pool must hold them all, whatever either side forgot.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.ports import LeaseRefused
from engagement.campaign.state import stop_key, stop_rule
from engagement.coupon.coupon import CouponRecord
from engagement.ids import AgentName
from engagement.rights.messages import LeaseAnswer, LeaseRequest
from tests.fakes import shop
from tests.fakes.held_rights import Holder
from tests.fakes.treasury import LeaseHq

UNITS = 60
WELCOME = shop.campaign(budget={"units": UNITS, "spend_minor": UNITS * 2000})
AGENTS = [AgentName(name) for name in ("harbour-1", "park-1")]
WHO = st.sampled_from(AGENTS)


class Leases(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.hq = LeaseHq([WELCOME], AGENTS)
        self.holders = {agent: Holder((WELCOME,), agent=agent) for agent in AGENTS}
        self.pending: dict[AgentName, LeaseRequest] = {}
        self.old: list[tuple[AgentName, bytes]] = []
        self.late: list[tuple[AgentName, LeaseRequest, LeaseAnswer]] = []
        self.sold = 0

    @rule(who=WHO, count=st.integers(1, 12))
    def sell(self, who: AgentName, count: int) -> None:
        given = [self.holders[who].give() for _ in range(count)]
        self.sold += sum(isinstance(each, CouponRecord) for each in given)

    @rule(who=WHO, waiting=st.integers(0, 30), is_recalled=st.booleans())
    def ask(self, who: AgentName, waiting: int, is_recalled: bool) -> None:
        """A request that is still unanswered is repeated as it was."""
        if who not in self.pending:
            recalled = [WELCOME.id] if is_recalled else []
            request = self.holders[who].next_request({WELCOME.id: waiting}, recalled)
            assert request is not None, "nothing here makes a ledger go back"
            self.pending[who] = request
        self.old.append((who, self.pending[who].model_dump_json().encode()))

    @rule(who=WHO, is_heard=st.booleans())
    def deliver(self, who: AgentName, is_heard: bool) -> None:
        request = self.pending.get(who)
        if request is None:
            return
        said = self.hq_says(who, request)
        if isinstance(said, LeaseAnswer):
            self.late.append((who, request, said))
        if not is_heard:
            return
        del self.pending[who]
        if isinstance(said, LeaseAnswer):
            self.holders[who].hear(request, said)
        else:
            assert said == "lease_written_off", "no honest agent is taken for a copy"
            self.holders[who].give_up()

    def hq_says(self, who: AgentName, request: LeaseRequest) -> LeaseAnswer | str:
        try:
            return self.hq.lease(who, request.model_dump_json().encode())
        except LeaseRefused as refused:
            return refused.code

    @precondition(lambda self: self.late)
    @rule(which=st.integers(0, 10**6))
    def an_old_answer_comes_again(self, which: int) -> None:
        who, request, answer = self.late[which % len(self.late)]
        self.holders[who].hear(request, answer)

    @precondition(lambda self: self.old)
    @rule(which=st.integers(0, 10**6))
    def deliver_an_old_copy(self, which: int) -> None:
        """To HQ, whose answer reaches nobody."""
        who, body = self.old[which % len(self.old)]
        try:
            self.hq.lease(who, body)
        except LeaseRefused:
            return

    @rule(who=WHO)
    def crash(self, who: AgentName) -> None:
        """What the process knew is gone; the ledger stays."""
        self.pending.pop(who, None)

    @rule()
    def back_up(self) -> None:
        self.hq.back_up()

    @rule()
    def restore(self) -> None:
        self.hq.restore()

    @precondition(lambda self: not self.hq.is_fenced)
    @rule(who=WHO)
    def write_off(self, who: AgentName) -> None:
        """Not while HQ is fenced: then it would count as spent only what HQ remembers."""
        self.hq.give_up(who)

    @rule(who=WHO)
    def sell_on_the_own_budget(self, who: AgentName) -> None:
        """As a store without HQ does: it is none of the lease's business."""
        self.holders[who].give(is_leased=False)

    @rule(who=WHO)
    def stop(self, who: AgentName) -> None:
        now = self.holders[who].now
        stop = stop_rule(WELCOME.id, by="boss", honour_issued=True, now=now)
        self.holders[who].ledger.decide([stop_key(WELCOME.id)], stop)

    @invariant()
    def the_pool_covers_every_coupon(self) -> None:
        assert self.sold <= UNITS

    @invariant()
    def every_ledger_adds_up(self) -> None:
        for holder in self.holders.values():
            holding = holder.holding()
            account, used = holding.account, holding.account.used(holding.tally)
            assert account.granted.covers(account.returned + used)
            assert account.granted - account.returned - used == holding.left

    @precondition(lambda self: not self.hq.is_fenced)
    @invariant()
    def hq_counts_all_that_was_and_may_be_given_out(self) -> None:
        for agent, holder in self.holders.items():
            holding = holder.holding()
            used = holding.account.used(holding.tally)
            assert self.hq.account(agent, WELCOME.id).outstanding.covers(used + holding.left)


Leases.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestLeases = Leases.TestCase
