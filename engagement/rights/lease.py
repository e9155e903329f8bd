"""An agent's side of a lease: what HQ granted this ledger of a campaign, and what of it may still be given out.

The account holds totals that only rise. What was used is read off the campaign's tally, which issuing keeps anyway, so
that giving a coupon out reads one row more and writes none.
"""

from typing import ClassVar, Final

from engagement.campaign.tally import CampaignTally
from engagement.ids import CampaignId
from engagement.ledger.record import Key, Record
from engagement.rights.amount import NOTHING, Amount


class LeaseAccount(Record):
    """One campaign's lease; its row stays for good, for the totals of a campaign that comes back go on.

    ``base``: the tally when the lease began, and what was given out since without drawing on it. ``top_up_units``: of the
    last grant that brought any. ``is_fenced``: nothing may be drawn, whatever is left. ``is_settled``: nothing is left, and
    HQ has answered to that.
    """

    kind: ClassVar[str] = "lease_account"
    granted: Amount = NOTHING
    returned: Amount = NOTHING
    base: Amount = NOTHING
    top_up_units: int = 0
    is_fenced: bool = False
    is_settled: bool = False

    def used(self, tally: CampaignTally) -> Amount:
        """What was drawn from the lease since it began."""
        return _given(tally) - self.base

    def left(self, tally: CampaignTally) -> Amount:
        """What may still be given out, or returned: granted - returned - used, in numbers alone, for every coupon asks."""
        if self.is_fenced:
            return NOTHING
        granted, returned, base = self.granted, self.returned, self.base
        return Amount(
            units=max(0, granted.units - returned.units - max(0, tally.units - base.units)),
            minor=max(0, granted.minor - returned.minor - max(0, tally.spend_minor - base.minor)),
        )

    def without_drawing(self, liability_minor: int) -> "LeaseAccount":
        """After one coupon was given out on the agent's own budget: it counts in the tally, and not on the lease."""
        return self.model_copy(update={"base": self.base + Amount(units=1, minor=liability_minor)})


class LeaseDesk(Record):
    """What this ledger has said to HQ about all its leases. One row, id ``leases``.

    ``number``: of the last request, whether or not it was sent. ``grant``: the last sealed grant; ``incarnation``: of the
    HQ that gave it. ``is_hq_fenced``: that HQ gives no more until it knows what others hold. ``is_written_off``: HQ gave
    this machine up, and has not taken yet what is returned for that. ``is_diverged``: HQ has seen later requests of this
    ledger, so it is a copy, or went back; it gives nothing out any more and asks for nothing.
    """

    kind: ClassVar[str] = "lease_desk"
    number: int = 0
    grant: str = ""
    incarnation: str = ""
    is_hq_fenced: bool = False
    is_written_off: bool = False
    is_diverged: bool = False


LEASE_DESK_KEY: Final = Key(LeaseDesk, "leases")


def lease_key(campaign: CampaignId) -> Key[LeaseAccount]:
    return Key(LeaseAccount, campaign)


def new_account(campaign: CampaignId, tally: CampaignTally) -> LeaseAccount:
    """A lease that begins now: what was given out before is none of its use."""
    return LeaseAccount(id=lease_key(campaign).id, base=_given(tally))


def _given(tally: CampaignTally) -> Amount:
    return Amount(units=tally.units, minor=tally.spend_minor)
