"""The rules by which an agent asks HQ for rights, gives some back, and takes what it is granted.

A request is on disk, with its number and everything that it returns, before it is sent; so whatever is lost, what was
returned is given out no more, and no number is used for two requests.
"""

from collections.abc import Iterable
from typing import Any, Final

from engagement.campaign.tally import CampaignTally, campaign_tally_key
from engagement.ids import CampaignId
from engagement.journal.tip import Epoch
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.holding import Holding, View, holdings
from engagement.rights.lease import (
    LEASE_DESK_KEY,
    LeaseAccount,
    LeaseDesk,
    lease_key,
)
from engagement.rights.messages import (
    ACCOUNTS_MAX,
    Grant,
    GrantedAccount,
    HeldAccount,
    LeaseAnswer,
    LeaseRequest,
)

# What an agent that was given up claims to return: all, also grants whose answers it never saw. HQ credits what it gave.
_ALL: Final = Amount(units=2**47, minor=2**47)


def request_rule(view: View, epoch: Epoch) -> Rule[LeaseRequest | None]:
    """The next request; None when this ledger may ask for nothing any more. Keys: view_keys()."""

    def rule(rows: Rows) -> Ruling[LeaseRequest | None]:
        desk = desk_of(rows)
        if desk.is_diverged:
            return Ruling(None)
        asked = desk.model_copy(update={"number": desk.number + 1})
        held = _spoken_of(rows, holdings(rows, view))
        after = [(each, _after_returns(each, desk)) for each in held]
        writes = [account for each, account in after if account != rows.get(lease_key(each.id))]
        accounts = tuple(_told(each, account, desk) for each, account in after)
        request = LeaseRequest(epoch=epoch, number=asked.number, accounts=accounts, grant=desk.grant)
        return Ruling(request, writes=(asked, *writes))

    return rule


def answer_keys(request: LeaseRequest, grant: Grant) -> tuple[Key[Any], ...]:
    campaigns = {each.campaign for each in request.accounts} | {each.campaign for each in grant.accounts}
    return (
        LEASE_DESK_KEY,
        *(key for each in sorted(campaigns) for key in (lease_key(each), campaign_tally_key(each))),
    )


def answer_rule(request: LeaseRequest, answer: LeaseAnswer, grant: Grant) -> Rule[frozenset[CampaignId]]:
    """Take what HQ granted: the campaigns of which there is more now. Keys: answer_keys().

    The caller has opened the seal of ``grant`` and found this agent in it. An answer to another request than the last is
    of no use: what it granted stands in every later one.
    """

    def rule(rows: Rows) -> Ruling[frozenset[CampaignId]]:
        desk = desk_of(rows)
        is_ours = (grant.epoch, grant.number) == (request.epoch, request.number)
        if desk.is_diverged or not is_ours or desk.number != request.number:
            return Ruling(frozenset())
        # What is told to an HQ that is another, or does not know itself what it gave, is told once more.
        is_same_hq = grant.incarnation == desk.incarnation and not answer.is_fenced
        granted = {each.campaign: each for each in grant.accounts}
        asked = {each.campaign: each for each in request.accounts}
        writes: list[Record] = []
        more: set[CampaignId] = set()
        for campaign in sorted({*granted, *asked}):
            before = rows.get(lease_key(campaign))
            if before is None:
                continue  # a lease begins with a request of ours, never with a grant
            after = _granted(before, granted.get(campaign))
            if campaign in asked:
                tally = rows.get(campaign_tally_key(campaign))
                is_settled = _is_settled(after, tally, asked[campaign])
            else:
                is_settled = before.is_settled and after == before
            after = after.model_copy(update={"is_settled": is_settled and is_same_hq})
            if after.granted != before.granted:
                more.add(campaign)
            if after != before:
                writes.append(after)
        taken = desk.model_copy(
            update={
                "grant": answer.grant,
                "incarnation": grant.incarnation,
                "is_hq_fenced": answer.is_fenced,
                "is_written_off": False,
            }
        )
        return Ruling(frozenset(more), writes=(taken, *writes))

    return rule


def given_up_rule() -> Rule[None]:
    """HQ wrote this machine's leases off: from now on requests return everything. Keys: the desk."""

    def rule(rows: Rows) -> Ruling[None]:
        return Ruling(None, writes=(desk_of(rows).model_copy(update={"is_written_off": True}),))

    return rule


def diverged_keys(known: Iterable[CampaignId]) -> tuple[Key[Any], ...]:
    return (LEASE_DESK_KEY, *(lease_key(campaign) for campaign in sorted(known)))


def diverged_rule(known: Iterable[CampaignId]) -> Rule[None]:
    """HQ has seen later requests of this ledger: give nothing out any more, for good. Keys: diverged_keys()."""
    keys = [lease_key(campaign) for campaign in sorted(known)]

    def rule(rows: Rows) -> Ruling[None]:
        accounts = [account for key in keys if (account := rows.get(key)) is not None]
        fenced = [account.model_copy(update={"is_fenced": True}) for account in accounts]
        return Ruling(None, writes=(desk_of(rows).model_copy(update={"is_diverged": True}), *fenced))

    return rule


def desk_of(rows: Rows) -> LeaseDesk:
    return rows.get(LEASE_DESK_KEY) or LeaseDesk(id=LEASE_DESK_KEY.id)


def _spoken_of(rows: Rows, held: Iterable[Holding]) -> list[Holding]:
    """Those that HQ must hear of, the ones that are given out here first."""
    told = [
        each
        for each in held
        if each.is_wanted or (rows.get(lease_key(each.id)) is not None and not each.account.is_settled)
    ]
    return sorted(told, key=lambda each: not each.is_wanted)[:ACCOUNTS_MAX]


def _after_returns(held: Holding, desk: LeaseDesk) -> LeaseAccount:
    account, surplus = held.account, held.surplus
    if desk.is_written_off:
        return _returning(account, held.left)
    if surplus == NOTHING:
        return account
    # The mark sinks with what is kept, or the next look would ask for all of it again.
    mark = min(account.top_up_units, held.left.units - surplus.units)
    return _returning(account, surplus).model_copy(update={"top_up_units": mark})


def _returning(account: LeaseAccount, amount: Amount) -> LeaseAccount:
    return account.model_copy(update={"returned": account.returned + amount})


def _told(held: Holding, account: LeaseAccount, desk: LeaseDesk) -> HeldAccount:
    wants = not desk.is_written_off and account.returned == held.account.returned
    return HeldAccount(
        campaign=held.id,
        granted=account.granted,
        returned=_ALL if desk.is_written_off else account.returned,
        used=account.used(held.tally),
        wanted_units=held.wanted_units if wants else 0,
    )


def _granted(account: LeaseAccount, granted: GrantedAccount | None) -> LeaseAccount:
    if granted is None:
        return account
    total = account.granted.at_least(granted.granted)
    units = total.units - account.granted.units
    return account.model_copy(
        update={
            "granted": total,
            # HQ has more of ours than we know of when it was given up to: then that is gone for us too.
            "returned": account.returned.at_least(granted.returned),
            "top_up_units": units or account.top_up_units,
        }
    )


def _is_settled(account: LeaseAccount, tally: CampaignTally | None, told: HeldAccount) -> bool:
    """Whether HQ was told how this lease ended: nothing is left of it, and nothing happened since."""
    used = NOTHING if tally is None else account.used(tally)
    if (told.granted, told.returned, told.used) != (account.granted, account.returned, used):
        return False
    return account.granted - account.returned - used == NOTHING
