"""Lending over books in memory: who is granted what, what is not believed, and what HQ says of itself."""

from dataclasses import dataclass, field

import pytest

from cloud_api.services.lending import Lending
from cloud_api.services.refused import Refused
from cloud_api.services.tending import Tending
from engagement.campaign.model import Campaign
from engagement.clock.moment import to_ms
from engagement.estate.estate import DropBranch, PublishCampaign, StopCampaign
from engagement.ids import AgentName
from engagement.journal.tip import Epoch
from engagement.line.seal import SealKind, open_seal, seal
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.messages import Grant, GrantedAccount, HeldAccount, LeaseAnswer, LeaseRequest
from tests.fakes.hq import AGENT, OTHER, PARK, SHAKE, WELCOME, Hq, open_hq
from tests.fakes.hq_authority import make_authority, make_root
from tests.fakes.memory_rights import MemoryRights
from tests.fakes.memory_storage import MemoryStorage

EPOCH = Epoch("00000000000000aa")
LIABILITY_MINOR = WELCOME.offer.liability_minor


@dataclass
class Desk:
    """HQ with two agents, and what each asks of it."""

    hq: Hq
    rights: MemoryRights = field(default_factory=MemoryRights)
    numbers: dict[AgentName, int] = field(default_factory=dict)

    @property
    def lending(self) -> Lending:
        return Lending(
            store=self.rights,
            registry=self.hq.registry,
            estate=self.hq.estate,
            sealer=self.hq.sealing,
            clock=self.hq.clock,
            entropy=self.hq.entropy,
        )

    async def ask(self, account: HeldAccount, *, agent: AgentName = AGENT, grant: str = "") -> LeaseAnswer:
        number = self.numbers[agent] = self.numbers.get(agent, 0) + 1
        request = LeaseRequest(epoch=EPOCH, number=number, accounts=(account,), grant=grant)
        return await self.lending.lease(agent, request, request.model_dump_json().encode())

    def granted(self, answer: LeaseAnswer) -> Amount:
        """Of the first account."""
        payload = open_seal(answer.grant, SealKind.GRANT, root_pem=self.hq.sealing.root_pem)
        return Grant.model_validate_json(payload).accounts[0].granted


@pytest.fixture
async def desk() -> Desk:
    return Desk(await open_hq(MemoryStorage(), AGENT, OTHER))


def wants(units: int = 0, *, of: Campaign = WELCOME, granted: Amount = NOTHING) -> HeldAccount:
    return HeldAccount(campaign=of.id, wanted_units=units, granted=granted)


def coupons(units: int) -> Amount:
    return Amount(units=units, minor=units * LIABILITY_MINOR)


async def test_nothing_is_lent_before_hq_is_certified(desk: Desk) -> None:
    desk.hq.sealing.authority = None
    with pytest.raises(Refused) as refused:
        await desk.ask(wants())
    assert refused.value.code == "not_certified"
    assert await desk.rights.leasing_agents() == set()


async def test_a_campaign_that_is_over_or_stopped_is_not_lent(desk: Desk) -> None:
    assert desk.granted(await desk.ask(wants())) != NOTHING
    await desk.hq.change(StopCampaign(campaign=WELCOME.id, honour_issued=True))
    assert desk.granted(await desk.ask(wants(5), agent=OTHER)) == NOTHING
    late = desk.hq.clock
    late.pass_ms(to_ms(SHAKE.window.ends_at) - late.now_ms() + 1)
    assert desk.granted(await desk.ask(wants(5, of=SHAKE), agent=OTHER)) == NOTHING


async def test_an_agent_that_no_branch_lists_is_lent_nothing(desk: Desk) -> None:
    await desk.hq.change(DropBranch(code=PARK))
    assert desk.granted(await desk.ask(wants(5), agent=OTHER)) == NOTHING
    assert desk.granted(await desk.ask(wants(5))) != NOTHING


async def test_a_new_edition_with_more_is_lent_at_once(desk: Desk) -> None:
    budget = WELCOME.budget
    raised = budget.model_copy(update={"units": 2 * budget.units, "spend_minor": 2 * budget.spend_minor})
    for _ in range(40):
        await desk.ask(wants(10**6))
    assert desk.granted(await desk.ask(wants(1))) == coupons(budget.units)
    await desk.hq.change(
        PublishCampaign(campaign=WELCOME.model_copy(update={"budget": raised, "edition": 2}))
    )
    assert desk.granted(await desk.ask(wants(10**6))).units > budget.units
    assert (await desk.lending.ledger(WELCOME.id)).adds_up


async def test_a_grant_that_another_root_sealed_proves_nothing(desk: Desk) -> None:
    forged = Grant(
        incarnation="f" * 32,
        agent=AGENT,
        epoch=EPOCH,
        number=1,
        accounts=(GrantedAccount(campaign=WELCOME.id, granted=coupons(500)),),
    )
    grant = seal(SealKind.GRANT, forged.model_dump_json(), make_authority(make_root()))
    answer = await desk.ask(wants(granted=coupons(500)), grant=grant)
    assert desk.granted(answer) == NOTHING
    assert not answer.is_fenced
    assert (await desk.lending.ledger(WELCOME.id)).outstanding == NOTHING


async def test_the_grant_of_another_ledger_proves_nothing(desk: Desk) -> None:
    theirs = await desk.ask(wants(), agent=OTHER)
    answer = await desk.ask(wants(granted=desk.granted(theirs)), grant=theirs.grant)
    assert desk.granted(answer) == NOTHING


async def test_a_new_hq_is_fenced_by_the_first_grant_of_the_old_one(desk: Desk) -> None:
    """Its root is the same, its books are empty: who lost the file has to hear everybody too."""
    old = await desk.ask(wants(7))
    desk.rights = MemoryRights("b" * 32)
    answer = await desk.ask(wants(7, granted=desk.granted(old)), grant=old.grant)
    assert answer.is_fenced
    assert answer.slot_ms == 1000
    assert desk.granted(answer) == desk.granted(old)
    answer = await desk.ask(wants(granted=desk.granted(old)), grant=answer.grant)
    assert (answer.is_fenced, answer.slot_ms) == (True, 60_000)
    assert await desk.lending.waiting_for() == [OTHER]


async def test_a_fenced_hq_says_so(desk: Desk) -> None:
    tending = Tending(
        clock=desk.hq.clock,
        free_bytes=lambda: 2**40,
        certificate_ends_ms=2**60,
        is_certified=lambda: True,
        shows_root=lambda: True,
        waiting_for=desk.lending.waiting_for,
        tidy=desk.hq.changing.tidy,
        alive=lambda: None,
    )
    desk.rights.file = desk.rights.file.restored("c" * 32)
    await tending.look()
    told = {issue.code: issue.means for issue in tending.issues}
    assert list(told) == ["fenced"]
    assert f"2 more of its agents: {AGENT}, {OTHER}" in told["fenced"]
    for agent in (AGENT, OTHER):
        await desk.lending.write_off(agent, by="Chen")
    await tending.look()
    assert tending.issues == ()
