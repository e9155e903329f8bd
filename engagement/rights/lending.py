"""The rule by which HQ moves rights: out by grants, back by returns, one numbered request of one ledger file at a time.

All that is known of a lease are totals that only rise, so a lost, repeated or late message changes nothing, and a return
is credited once. Nothing is ever taken back by time. An HQ that was restored has forgotten what it granted since: it has
a new incarnation and is fenced: it grants nothing to anybody until it has heard every agent it knows, or wrote it off.
An agent has been heard when its request carries a grant that this incarnation sealed: by then its own older grant has
been answered, and no request that was still on its way from before can be mistaken for what the agent holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from engagement.ids import AgentName, CampaignId
from engagement.rights.account import Account, Books, CampaignTerms, LeaseDesk
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.messages import Grant, GrantedAccount, HeldAccount, LeaseRequest
from engagement.rights.policy import is_recalled, top_up

# Of a campaign that HQ does not know nothing is granted; what is out of it may come back.
_UNKNOWN: Final = CampaignTerms(NOTHING, 1, is_open=False)


class LeaseFault(StrEnum):
    WENT_BACK = "rights_went_back"
    WRITTEN_OFF = "lease_written_off"


@dataclass(frozen=True, slots=True)
class Asking:
    """A request as HQ has it. ``proof``: what the request's own sealed grant says, once its seal was opened.

    ``request_sha256``: of its body; ``active_agents``: how many may ask for the same rights; ``fresh_incarnation``: just
    drawn, in case HQ finds that it has forgotten grants of the one it takes itself for.
    """

    agent: AgentName
    request: LeaseRequest
    request_sha256: bytes
    proof: Grant | None
    terms: Mapping[CampaignId, CampaignTerms]
    active_agents: int
    fresh_incarnation: str


@dataclass(frozen=True, slots=True)
class Lent:
    """``recalled``: as in LeaseAnswer. ``unproven``: campaigns of which the agent says it was granted more than it shows."""

    books: Books
    grant: Grant
    is_fenced: bool
    recalled: tuple[CampaignId, ...]
    unproven: tuple[CampaignId, ...]


@dataclass(frozen=True, slots=True)
class NotLent:
    """``books``: what was returned is credited even so."""

    books: Books
    fault: LeaseFault
    because: str


def lend(books: Books, asking: Asking) -> Lent | NotLent:
    """Rule on one request; the caller keeps ``books`` durably before it answers."""
    request, desk = asking.request, books.desk
    is_repeat = request.number == desk.number and asking.request_sha256 == desk.request_sha256
    if request.number <= desk.number and not is_repeat:
        return _went_back(books, f"request {request.number} came after request {desk.number}")
    books = _fenced_if_forgetful(books, asking)
    if not is_repeat:
        for held in request.accounts:
            known = books.accounts.get(held.campaign, Account())
            if not (held.used.covers(known.used) and held.returned.covers(known.returned)):
                return _went_back(books, f"its totals of campaign {held.campaign!r} are lower than they were")
        books = _joined(books, asking)
    unproven = _unproven(books, request)
    if not unproven and asking.proof is not None and asking.proof.incarnation == books.incarnation:
        books = replace(books, awaited=books.awaited - {asking.agent}, is_heard=True)
    if not (is_repeat or books.awaited or books.desk.is_written_off):
        books = _granted(books, asking, besides=unproven)
    return _answered(books, asking, unproven=unproven)


def _went_back(books: Books, because: str) -> NotLent:
    return NotLent(books, LeaseFault.WENT_BACK, f"{because}: another copy of this ledger has asked")


def _fenced_if_forgetful(books: Books, asking: Asking) -> Books:
    """Fenced, when the proof shows that HQ granted what it does not remember, without a restore that said so.

    Forgotten by this very incarnation: an older file was put in its place. By another: HQ began anew with an empty file,
    or the restore did not know this agent.
    """
    proof = asking.proof
    if proof is None or all(
        books.accounts.get(each.campaign, Account()).granted.covers(each.granted) for each in proof.accounts
    ):
        return books
    awaited = books.awaited | {asking.agent}
    if proof.incarnation == books.incarnation:
        return replace(books, incarnation=asking.fresh_incarnation, awaited=awaited, is_heard=False)
    is_expected = bool(books.awaited) or books.is_given_up or books.desk.is_written_off
    return books if is_expected else replace(books, awaited=awaited, is_heard=False)


def _unproven(books: Books, request: LeaseRequest) -> tuple[CampaignId, ...]:
    """Campaigns of which the request says that more was granted than anything shows."""
    return tuple(
        held.campaign
        for held in request.accounts
        if not books.accounts.get(held.campaign, Account()).granted.covers(held.granted)
    )


def _joined(books: Books, asking: Asking) -> Books:
    """Every total raised to what the request shows. Names of campaigns that HQ never had are not kept."""
    request = asking.request
    proven = {each.campaign: each.granted for each in asking.proof.accounts} if asking.proof else {}
    known = {*books.accounts, *proven, *asking.terms}
    held = {each.campaign: each for each in request.accounts if each.campaign in known}
    accounts = {
        campaign: _raised(
            books.accounts.get(campaign, Account()), held.get(campaign), proven.get(campaign, NOTHING)
        )
        for campaign in sorted({*books.accounts, *held, *proven})
    }
    # A ledger file that nobody knows, of an agent that was given up: what it brings counts as given up too.
    was_written_off = books.desk.is_written_off or (books.desk == LeaseDesk() and books.is_given_up)
    joined = _with_accounts(books, accounts)
    has_surrendered = not _unproven(joined, request) and all(
        account.held == NOTHING for account in accounts.values()
    )
    is_written_off = was_written_off and not has_surrendered
    desk = LeaseDesk(request.number, asking.request_sha256, is_written_off)
    return replace(joined, desk=desk, is_given_up=books.is_given_up and is_written_off)


def _raised(known: Account, held: HeldAccount | None, proven: Amount) -> Account:
    """``returned`` is believed as far as what was granted and not used reaches.

    Beside grants that nothing shows it is believed only when, with them, no more is outstanding than HQ thinks: the lease
    was settled, and left out of the proofs, before HQ was put back.
    """
    granted = known.granted.at_least(proven)
    if held is None:
        return replace(known, granted=granted)
    used = known.used.at_least(held.used)
    if not granted.covers(held.granted):
        claimed = held.granted - held.returned.at_most(held.granted - used)
        if not (granted - known.returned).covers(claimed):
            return replace(known, granted=granted, used=used)
        granted = granted.at_least(held.granted)
    returned = known.returned.at_least(held.returned.at_most(granted - used))
    return Account(granted, returned, used)


def _granted(books: Books, asking: Asking, *, besides: Iterable[CampaignId]) -> Books:
    """``besides``: whose rights are in doubt; nothing is added to them but what was given out already."""
    accounts = dict(books.accounts)
    for held in asking.request.accounts:
        if held.campaign not in accounts:
            continue
        terms = asking.terms.get(held.campaign, _UNKNOWN)
        if held.campaign in besides:
            terms = replace(terms, is_open=False)
        account = accounts[held.campaign]
        more = top_up(
            account,
            terms,
            _free(books, terms, held.campaign),
            wanted_units=held.wanted_units,
            active_agents=asking.active_agents,
        )
        accounts[held.campaign] = replace(account, granted=account.granted + more)
    return _with_accounts(books, accounts)


def _with_accounts(books: Books, accounts: Mapping[CampaignId, Account]) -> Books:
    """What is outstanding follows from its accounts."""
    outstanding = dict(books.outstanding)
    for campaign, account in accounts.items():
        before = books.accounts.get(campaign, Account()).outstanding
        if account.outstanding != before:
            of_others = outstanding.get(campaign, NOTHING) - before
            outstanding[campaign] = of_others + account.outstanding
    return replace(books, accounts=dict(accounts), outstanding=outstanding)


def _free(books: Books, terms: CampaignTerms, campaign: CampaignId) -> Amount:
    return terms.budget - books.outstanding.get(campaign, NOTHING)


def _knows_its_grants(books: Books, request: LeaseRequest) -> bool:
    """Whether the last answers arrived; an agent cannot return what it never heard of."""
    heard_of = {held.campaign: held.granted for held in request.accounts}
    return all(
        heard_of.get(campaign, NOTHING).covers(account.granted)
        for campaign, account in books.accounts.items()
        if account.held != NOTHING
    )


def _answered(books: Books, asking: Asking, *, unproven: tuple[CampaignId, ...]) -> Lent | NotLent:
    """The grant leaves out what is over and settled, so that years of campaigns do not grow it."""
    if books.desk.is_written_off and _knows_its_grants(books, asking.request):
        return NotLent(
            books,
            LeaseFault.WRITTEN_OFF,
            "HQ gave this machine up: return everything that is left, and ask again",
        )
    named = {held.campaign for held in asking.request.accounts}
    grant = Grant(
        incarnation=books.incarnation,
        agent=asking.agent,
        epoch=asking.request.epoch,
        number=asking.request.number,
        accounts=tuple(
            GrantedAccount(campaign=campaign, granted=account.granted, returned=account.returned)
            for campaign, account in sorted(books.accounts.items())
            if campaign in named or account.held != NOTHING or asking.terms.get(campaign, _UNKNOWN).is_open
        ),
    )
    recalled = tuple(
        held.campaign
        for held in asking.request.accounts
        for terms in (asking.terms.get(held.campaign, _UNKNOWN),)
        if is_recalled(terms, _free(books, terms, held.campaign), active_agents=asking.active_agents)
    )
    return Lent(books, grant, bool(books.awaited), () if books.awaited else recalled, unproven)
