"""How an agent's leases stand: which campaigns it wants rights of, how many more, and what it should give back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engagement.campaign.model import Campaign
from engagement.campaign.state import CampaignState, campaign_state, stop_key
from engagement.campaign.tally import CampaignTally, campaign_tally_key
from engagement.clock.moment import Moment
from engagement.ids import CampaignId, LocalDay
from engagement.ledger.record import Key, Rows
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.lease import LEASE_DESK_KEY, LeaseAccount, lease_key, new_account
from engagement.rights.policy import coupons_in

# The busiest day that is known may be outdone; twice of it lasts through such a day without the line.
_FORECAST_FACTOR: Final = 2
# Whoever gives back keeps what two such forecasts ask for, and never less than a quiet store's next two shoppers.
_KEPT_FORECASTS: Final = 2
_KEPT_COUPONS_MIN: Final = 2
_WANTED_MAX: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class View:
    """What an agent knows when it looks at its leases.

    ``known``: campaigns of which it ever had a lease. ``waiting``: shoppers who stand there because a lease is short.
    ``recalled``: campaigns of which HQ would like unused rights back.
    """

    campaigns: tuple[Campaign, ...]
    known: frozenset[CampaignId]
    now: Moment
    day: LocalDay
    waiting: Mapping[CampaignId, int] = field(default_factory=dict)
    recalled: frozenset[CampaignId] = frozenset()


@dataclass(frozen=True, slots=True)
class Holding:
    """One campaign's lease. ``campaign``: None when the bundle has it no more; ``state``: None then too."""

    campaign: Campaign | None
    state: CampaignState | None
    account: LeaseAccount
    tally: CampaignTally
    waiting: int = 0
    is_recalled: bool = False

    @property
    def id(self) -> CampaignId:
        return CampaignId(self.account.id)

    @property
    def is_wanted(self) -> bool:
        """Whether it is given out here now, or will be: a store may be without its line when it opens."""
        return self.state in (CampaignState.SCHEDULED, CampaignState.RUNNING)

    @property
    def left(self) -> Amount:
        return self.account.left(self.tally)

    @property
    def coupons_left(self) -> int:
        return self.left.units if self.campaign is None else coupons_in(self.left, self._liability_minor)

    @property
    def forecast(self) -> int:
        """Coupons that a day may ask for."""
        return _FORECAST_FACTOR * max(self.tally.units_today, self.tally.units_other_day)

    @property
    def is_low(self) -> bool:
        left = self.coupons_left
        return left < 1 or 2 * left < max(self.account.top_up_units, self.forecast)

    @property
    def coupons_until_low(self) -> int:
        """How many may be given out before ``is_low``; the forecast rises with each of them. 0 when it is low already."""
        left, tally = self.coupons_left, self.tally
        return max(
            0,
            min(
                left - 1,
                left - -(-self.account.top_up_units // 2),
                left - tally.units_other_day,
                (left - tally.units_today) // 2,
            )
            + 1,
        )

    @property
    def wanted_units(self) -> int:
        """How many more to ask for; at least one where it is low, for HQ gives a share to whoever asks."""
        if not self.is_wanted or not (self.is_low or self.waiting > self.coupons_left):
            return 0
        return min(max(1, max(self.forecast, self.waiting) - self.coupons_left), _WANTED_MAX)

    @property
    def surplus(self) -> Amount:
        """What to give back: everything where it is given out no more; else what is beyond the whole chain's budget, as after
        that was lowered, and when HQ recalls it, what will not be needed."""
        if not self.is_wanted:
            return self.left
        kept = max(_KEPT_FORECASTS * self.forecast, self.waiting, _KEPT_COUPONS_MIN)
        if not self.is_recalled or self.coupons_left <= kept:
            return self._beyond_budget
        unneeded = self.left - Amount(units=kept, minor=kept * self._liability_minor)
        return unneeded.at_least(self._beyond_budget)

    @property
    def _beyond_budget(self) -> Amount:
        if self.campaign is None:
            return NOTHING
        budget, left = self.campaign.budget, self.left
        known = self.account.used(self.tally) + left
        # In plain numbers: a budget in money may be written larger than any Amount.
        return Amount(
            units=min(left.units, max(0, known.units - budget.units)),
            minor=min(left.minor, max(0, known.minor - budget.spend_minor)),
        )

    @property
    def _liability_minor(self) -> int:
        return 0 if self.campaign is None else self.campaign.offer.liability_minor


def view_keys(view: View) -> tuple[Key[Any], ...]:
    """Every key that ``holdings`` reads, and the desk."""
    return (LEASE_DESK_KEY, *(key for campaign in _campaigns_of(view) for key in _keys_of(campaign)))


def holdings(rows: Rows, view: View) -> tuple[Holding, ...]:
    """Every campaign that is given out here or was leased, in the order of ids. One without a lease has an empty account."""
    by_id = {campaign.id: campaign for campaign in view.campaigns}
    return tuple(_holding(rows, view, campaign, by_id.get(campaign)) for campaign in _campaigns_of(view))


def _holding(rows: Rows, view: View, campaign: CampaignId, terms: Campaign | None) -> Holding:
    tally = rows.get(campaign_tally_key(campaign)) or CampaignTally(id=campaign_tally_key(campaign).id)
    state = None if terms is None else campaign_state(terms, rows.get(stop_key(campaign)), view.now)
    return Holding(
        campaign=terms,
        state=state,
        account=rows.get(lease_key(campaign)) or new_account(campaign, tally),
        tally=tally.on(view.day),
        waiting=view.waiting.get(campaign, 0),
        is_recalled=campaign in view.recalled,
    )


def _campaigns_of(view: View) -> Iterable[CampaignId]:
    return sorted({*view.known, *(campaign.id for campaign in view.campaigns)})


def _keys_of(campaign: CampaignId) -> tuple[Key[Any], ...]:
    return (lease_key(campaign), campaign_tally_key(campaign), stop_key(campaign))
