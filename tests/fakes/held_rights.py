"""An agent's leases through the real rules on a ledger in a dict, and an HQ that grants whatever a test says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engagement.campaign.issue import desk_keys, issue_rule
from engagement.campaign.model import Campaign
from engagement.campaign.tally import CampaignTally, campaign_tally_key
from engagement.clock.moment import Moment
from engagement.coupon.coupon import CouponRecord
from engagement.ids import AgentName, CampaignId, SubjectId
from engagement.journal.tip import Epoch
from engagement.line.seal import Sealed
from engagement.refusal.refusal import Refusal
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.asking import (
    answer_keys,
    answer_rule,
    desk_of,
    diverged_keys,
    diverged_rule,
    given_up_rule,
    request_rule,
)
from engagement.rights.holding import Holding, View, holdings, view_keys
from engagement.rights.lease import LEASE_DESK_KEY, LeaseAccount, LeaseDesk, lease_key
from engagement.rights.messages import Grant, GrantedAccount, HeldAccount, LeaseAnswer, LeaseRequest
from tests.fakes import shop
from tests.fakes.dict_ledger import DictLedger

EPOCH = Epoch("00000000000000aa")
AGENT = AgentName("harbour-1")
INCARNATION = "1" * 32


def coupons(units: int, each_minor: int = 2000) -> Amount:
    return Amount(units=units, minor=units * each_minor)


@dataclass
class Holder:
    """``campaigns``: of its bundle."""

    campaigns: tuple[Campaign, ...] = (shop.campaign(),)
    ledger: DictLedger = field(default_factory=DictLedger)
    agent: AgentName = AGENT
    now: Moment = field(default_factory=shop.moment)
    shoppers: int = 0

    def view(
        self, waiting: Mapping[CampaignId, int] | None = None, recalled: Iterable[CampaignId] = ()
    ) -> View:
        known = frozenset(CampaignId(account.id) for account in self.ledger.all_of(LeaseAccount))
        return View(
            self.campaigns, known, self.now, shop.day_of(self.now), waiting or {}, frozenset(recalled)
        )

    def request(
        self, waiting: Mapping[CampaignId, int] | None = None, recalled: Iterable[CampaignId] = ()
    ) -> LeaseRequest:
        made = self.next_request(waiting, recalled)
        assert made is not None
        return made

    def next_request(
        self, waiting: Mapping[CampaignId, int] | None = None, recalled: Iterable[CampaignId] = ()
    ) -> LeaseRequest | None:
        view = self.view(waiting, recalled)
        return self.ledger.decide(view_keys(view), request_rule(view, EPOCH))

    def take(
        self,
        request: LeaseRequest,
        granted: Mapping[CampaignId, Amount],
        *,
        returned: Mapping[CampaignId, Amount] | None = None,
        number: int | None = None,
        incarnation: str = INCARNATION,
        is_fenced: bool = False,
    ) -> frozenset[CampaignId]:
        """HQ's answer: totals by campaign."""
        grant = Grant(
            incarnation=incarnation,
            agent=self.agent,
            epoch=EPOCH,
            number=request.number if number is None else number,
            accounts=tuple(
                GrantedAccount(campaign=each, granted=total, returned=(returned or {}).get(each, NOTHING))
                for each, total in granted.items()
            ),
        )
        answer = LeaseAnswer(grant=f"sealed {grant.number}", is_fenced=is_fenced)
        return self.ledger.decide(answer_keys(request, grant), answer_rule(request, answer, grant))

    def hear(self, request: LeaseRequest, answer: LeaseAnswer) -> frozenset[CampaignId]:
        """A real answer, whose seal somebody else has looked at."""
        grant = Grant.model_validate_json(Sealed.model_validate_json(answer.grant).payload)
        return self.ledger.decide(answer_keys(request, grant), answer_rule(request, answer, grant))

    def hold(self, units: int, *, of: Campaign | None = None) -> None:
        """HQ grants so many, in all."""
        campaign = of or self.campaigns[0]
        self.take(self.request(), {campaign.id: coupons(units, campaign.offer.liability_minor)})

    def give(
        self, *, of: Campaign | None = None, to: SubjectId | None = None, is_leased: bool = True
    ) -> CouponRecord | Refusal:
        """A coupon, to somebody who never had one unless named."""
        self.shoppers += 1
        request = shop.issue_request(
            to or SubjectId(f"v:{self.shoppers}"),
            of=of or self.campaigns[0],
            now=self.now,
            is_leased=is_leased,
        )
        return self.ledger.decide(desk_keys(request), issue_rule(request, shop.MINT))

    def sell(self, count: int, *, of: Campaign | None = None) -> None:
        for _ in range(count):
            shop.issued(self.give(of=of))

    def diverge(self) -> None:
        known = self.view().known
        self.ledger.decide(diverged_keys(known), diverged_rule(known))

    def give_up(self) -> None:
        self.ledger.decide([LEASE_DESK_KEY], given_up_rule())

    def holding(self, of: Campaign | None = None, waiting: int = 0) -> Holding:
        campaign = (of or self.campaigns[0]).id
        view = self.view({campaign: waiting})
        held = holdings(self.ledger.fetch(view_keys(view)), view)
        return next(each for each in held if each.id == campaign)

    def account(self, of: Campaign | None = None) -> LeaseAccount:
        found = self.ledger.get(lease_key((of or self.campaigns[0]).id))
        assert found is not None
        return found

    @property
    def desk(self) -> LeaseDesk:
        return desk_of(self.ledger.fetch([LEASE_DESK_KEY]))

    @property
    def tally(self) -> CampaignTally:
        found = self.ledger.get(campaign_tally_key(self.campaigns[0].id))
        assert found is not None
        return found


def told(request: LeaseRequest, campaign: Campaign | None = None) -> HeldAccount:
    wanted = (campaign or shop.campaign()).id
    return next(each for each in request.accounts if each.campaign == wanted)
