"""How much a lease is given at a time, and when unused rights are called back. Safety does not depend on any of it."""

from engagement.rights.account import Account, CampaignTerms
from engagement.rights.amount import NOTHING, Amount

# A wish takes at most this part of what is free: one store's rush leaves the others three quarters.
_WISH_DIVISOR = 4
# First leases together take at most half: stores that turn out busy find the other half.
_SHARE_DIVISOR = 2


def coupons_in(amount: Amount, liability_minor: int) -> int:
    """How many coupons an amount is enough for."""
    return min(amount.units, amount.minor // liability_minor) if liability_minor else amount.units


def top_up(
    account: Account, terms: CampaignTerms, free: Amount, *, wanted_units: int, active_agents: int
) -> Amount:
    """What to grant, never more than ``free``.

    What was given out without a grant is covered first. A first lease gets a share without asking for it.
    """
    covered = account.owed.at_most(free)
    if covered != account.owed or not terms.is_open:
        return covered
    is_first = account.granted == NOTHING
    if not is_first and not wanted_units:
        return covered
    rest, held, liability_minor = free - covered, account.held, terms.liability_minor
    coupons_held = coupons_in(held, liability_minor)
    # Units and money may be out of step, after an edition changed what a coupon can cost.
    possible = coupons_in(held + rest, liability_minor) - coupons_held
    coupons = coupons_held + _portion(possible, wanted_units, active_agents)
    wanted = Amount(units=coupons, minor=coupons * liability_minor)
    return covered + (wanted - held)


def is_recalled(terms: CampaignTerms, free: Amount, *, active_agents: int) -> bool:
    """Whether too few are left for each of the others to get one."""
    return terms.is_open and active_agents > 1 and coupons_in(free, terms.liability_minor) < active_agents


def _portion(free: int, wanted: int, active_agents: int) -> int:
    share = max(1, free // (_SHARE_DIVISOR * max(1, active_agents)))
    return min(free, max(share, min(wanted, free // _WISH_DIVISOR)))
