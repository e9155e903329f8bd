"""Keeps the store in rights: asks HQ for more before they run out, gives back what is not needed, and fences itself.

One request at a time, on disk with its number before it is sent. Whether HQ took a request whose answer was lost, only the
same request again tells; so it is repeated as it was, and after a restart the next number serves as well.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from pydantic import ValidationError

from edge_agent.ports import (
    LeaseRefused,
    LineBusy,
    LineDown,
    LineRefused,
    Store,
    StoreFull,
    Treasury,
)
from edge_agent.services.backoff import backoff_s
from edge_agent.services.line import Line
from edge_agent.services.premises import Premises
from edge_agent.services.rights import Hindrance, Rights, Stock
from engagement.campaign.state import CampaignState
from engagement.clock.moment import Moment
from engagement.ids import CampaignId
from engagement.ledger.group import RecordUnreadable
from engagement.line.seal import SealKind, SealRefused, open_seal
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
from engagement.rights.lease import LEASE_DESK_KEY, LeaseAccount, LeaseDesk
from engagement.rights.messages import Grant, LeaseAnswer, LeaseRequest

_LOG = logging.getLogger(__name__)

# What issuing does not tell: a new bundle, a campaign that ended or was stopped, a line that is back.
_LOOK_S: Final = 5.0
# HQ hears what was used, and we what it recalls.
_SETTLE_S: Final = 900.0
# HQ that was away may have been put back to a backup: it then lends nothing to anybody before it has heard every store. Not
# all of them in the same second.
_RETURN_S: Final = 30.0
# A pool that is nearly empty is given out in ever smaller parts: nobody needs them all within a second.
_LOW_GAP_S: Final = 30.0
# A fenced HQ waits for other stores, and for this one to ask again.
_FENCED_S: Final = 60.0
# Whoever is busy and names no time gets at least this.
_BUSY_S_MIN: Final = 1.0
# What waiting does not cure is tried so often, for a person may have cured it.
_REFUSED_S: Final = 600.0
_FULL_S: Final = 60.0
_PAGE: Final = 200

_WENT_BACK, _WRITTEN_OFF = "rights_went_back", "lease_written_off"
_LINE: Final = "Check the store's router and its internet line; giving resumes by itself."
_BY_ITSELF: Final = "Giving resumes by itself; tell HQ if it does not within the hour."


async def has_leased(store: Store) -> bool:
    """Whether this ledger ever asked HQ for rights; such a one gives nothing out without them any more."""
    try:
        return (await store.fetch([LEASE_DESK_KEY])).get(LEASE_DESK_KEY) is not None
    except RecordUnreadable:
        return True


class Leasing:
    """``root_pem``: HQ's root that this agent was enrolled under; None while it knows none."""

    def __init__(
        self,
        premises: Premises,
        *,
        treasury: Treasury,
        line: Line,
        rights: Rights,
        root_pem: Callable[[], str | None],
    ) -> None:
        self._premises = premises
        self._treasury = treasury
        self._line = line
        self._rights = rights
        self._root_pem = root_pem
        self._known: frozenset[CampaignId] = frozenset()
        self._unreadable: set[str] = set()
        self._recalled: frozenset[CampaignId] = frozenset()
        self._pending: LeaseRequest | None = None
        self._settle_at_s = self._low_at_s = 0.0
        self._attempt = 0
        # When HQ had last answered anybody here, as it went away; a newer answer ends the waiting.
        self._is_down = False
        self._contact_before: Moment | None = None
        self._enrolment = line.enrolment
        self._returns = line.returns
        rights.is_leasing = True

    async def run(self) -> None:
        """Lease until cancelled, or until the ledger cannot tell any more what was asked for."""
        try:
            self._known = await self._ever_leased()
            while True:
                # Before the look: what happens after it wakes us again.
                self._rights.wake.clear()
                if await self._is_due():
                    await self._ask()
                else:
                    await self._rest()
        except RecordUnreadable as unreadable:
            # Numbers of requests must rise, and where they are at is not known: what is at hand is given out, no more.
            _LOG.error("the record of requests for rights cannot be read", exc_info=unreadable)
            self._rights.hindrance = Hindrance(
                "the ledger's record of requests cannot be read", "Send a copy of the ledger to HQ."
            )
        finally:
            self._rights.is_leasing = False
            self._rights.concluded()

    async def _ever_leased(self) -> frozenset[CampaignId]:
        found: set[CampaignId] = set()
        after_id = ""
        while page := await self._premises.store.scan(LeaseAccount, after_id=after_id, limit=_PAGE):
            after_id = page[-1].id
            found |= {CampaignId(account.id) for account in page}
        return frozenset(found)

    async def _rest(self) -> None:
        """Until issuing needs more, HQ may be asked again, or another look is due."""
        wait_s = self._rights.not_before_s - self._premises.clock.mono_s()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, _LOOK_S) if wait_s > 0 else _LOOK_S):
                await self._rights.wake.wait()

    # When to ask.

    async def _is_due(self) -> bool:
        """Look at the ledger; whether HQ should be asked now."""
        rights, now_s = self._rights, self._premises.clock.mono_s()
        if not self._premises.bundle.is_leased:
            rights.look({})
            return False
        desk, held = await self._look()
        rights.is_diverged = desk.is_diverged
        if desk.is_diverged or not self._may_ask():
            return False
        if now_s < rights.not_before_s:
            return False
        if self._pending is not None or now_s >= self._settle_at_s:
            return True
        return any(self._calls_for_it(each, now_s) for each in held)

    async def _look(self) -> tuple[LeaseDesk, Sequence[Holding]]:
        view = self._view()
        try:
            rows = await self._premises.store.fetch(view_keys(view))
        except RecordUnreadable as unreadable:
            self._set_apart(unreadable)
            return await self._look()
        held = holdings(rows, view)
        self._rights.look(
            {
                each.id: Stock(each.coupons_left, each.coupons_until_low, each.state is CampaignState.RUNNING)
                for each in held
                if each.is_wanted
            }
        )
        return desk_of(rows), held

    def _calls_for_it(self, held: Holding, now_s: float) -> bool:
        if held.surplus.units > 0:
            return True
        if not held.is_wanted or self._rights.is_dry(held.id):
            return False
        is_short = held.waiting > 0 and held.coupons_left < 1
        return is_short or (held.is_low and now_s >= self._low_at_s)

    def _may_ask(self) -> bool:
        """Whether there is an HQ to ask, that can prove itself; what is in the way otherwise."""
        rights, line = self._rights, self._line
        if not line.enrolled.is_set():
            rights.hindrance = Hindrance(
                "HQ does not know this mini-PC, or refuses it", "See what health says of the line to HQ."
            )
            return False
        if self._root_pem() is None:
            rights.hindrance = Hindrance(
                "this mini-PC was enrolled before HQ gave out rights", "Enrol it again with a new claim code."
            )
            return False
        is_there_again = self._is_down and line.last_contact != self._contact_before
        if is_there_again or line.enrolment != self._enrolment:
            self._is_down, self._enrolment, rights.not_before_s = False, line.enrolment, 0.0
        if self._returns != line.returns:
            self._returns = line.returns
            soon_s = self._premises.clock.mono_s() + _RETURN_S * self._premises.entropy.token(1)[0] / 255
            self._settle_at_s = min(self._settle_at_s, soon_s)
        return True

    def _view(self) -> View:
        premises = self._premises
        now = premises.clock.now()
        return View(
            campaigns=tuple(each for each in premises.bundle.campaigns if each.id not in self._unreadable),
            known=self._known - self._unreadable,
            now=now,
            day=premises.day_of(now),
            waiting=self._rights.waiting,
            recalled=self._recalled,
        )

    def _set_apart(self, unreadable: RecordUnreadable) -> None:
        """One campaign's row that cannot be read stops no other's rights. Errors: RecordUnreadable for the desk's."""
        if unreadable.kind == LEASE_DESK_KEY.of.kind or unreadable.id in self._unreadable:
            raise unreadable
        _LOG.error("a campaign's rights cannot be read", extra={"campaign": unreadable.id})
        self._unreadable.add(unreadable.id)

    # Asking.

    async def _ask(self) -> None:
        rights = self._rights
        try:
            request = self._pending or await self._next_request()
            if request is None:
                return
            self._pending = request
            rights.asking()
            await self._offer(request)
        except StoreFull:
            self._stay_away(_FULL_S, Hindrance("its disk is full", "Free space on the mini-PC's disk."))
        finally:
            rights.concluded()

    async def _next_request(self) -> LeaseRequest | None:
        """The next one, on disk."""
        store, view = self._premises.store, self._view()
        request = await store.decide(view_keys(view), request_rule(view, store.epoch))
        if request is not None:
            self._known |= {each.campaign for each in request.accounts}
            self._recalled = frozenset()
        return request

    async def _offer(self, request: LeaseRequest) -> None:
        try:
            answer = await self._treasury.lease(request)
        except LineDown as down:
            self._attempt += 1
            wait_s = backoff_s(self._attempt, self._premises.entropy.token(1))
            self._is_down, self._contact_before = True, self._line.last_contact
            self._stay_away(wait_s, Hindrance(f"HQ cannot be reached ({down.cause})", _LINE))
        except LineBusy as busy:
            self._stay_away(max(busy.slot_ms / 1000, _BUSY_S_MIN), Hindrance("HQ is busy", _BY_ITSELF))
        except LineRefused as refused:
            self._stay_away(_REFUSED_S, _refused(refused.code))
        except LeaseRefused as refused:
            await self._was_refused(refused)
        else:
            await self._was_answered(request, answer)

    async def _was_answered(self, request: LeaseRequest, answer: LeaseAnswer) -> None:
        try:
            grant = self._opened(request, answer)
        except SealRefused as wrong:
            _LOG.error("what answered a request for rights is not HQ", extra={"cause": str(wrong)})
            self._stay_away(_REFUSED_S, Hindrance("what answers does not prove to be HQ", "Tell HQ."))
            return
        more = await self._premises.store.decide(
            answer_keys(request, grant), answer_rule(request, answer, grant)
        )
        self._settle(answer)
        short = frozenset(each.campaign for each in request.accounts if each.wanted_units)
        self._rights.answered(short=short, more=more)
        if more:
            _LOG.info("rights granted", extra={"campaigns": sorted(more), "number": request.number})

    def _settle(self, answer: LeaseAnswer) -> None:
        now_s, slot_s = self._premises.clock.mono_s(), answer.slot_ms / 1000
        self._pending, self._attempt, self._is_down = None, 0, False
        self._recalled = frozenset(answer.recalled)
        self._low_at_s = now_s + _LOW_GAP_S
        if answer.is_fenced:
            self._settle_at_s = 0.0
            self._stay_away(
                slot_s or _FENCED_S,
                Hindrance("HQ was restored and must first hear from all its stores", _BY_ITSELF),
            )
            return
        # Not all stores in the same second, as they may have begun.
        self._settle_at_s = now_s + _SETTLE_S * (1 - self._premises.entropy.token(1)[0] / 2550)
        self._rights.hindrance, self._rights.not_before_s = None, now_s + slot_s

    def _opened(self, request: LeaseRequest, answer: LeaseAnswer) -> Grant:
        """Errors: SealRefused when it is not HQ's, or not for this request."""
        root_pem = self._root_pem()
        if root_pem is None:
            raise SealRefused("HQ's root is not known any more")
        payload = open_seal(answer.grant, SealKind.GRANT, root_pem=root_pem)
        try:
            grant = Grant.model_validate_json(payload)
        except ValidationError as malformed:
            raise SealRefused("what it seals is no grant") from malformed
        asked = (self._premises.bundle.agent, request.epoch, request.number)
        if (grant.agent, grant.epoch, grant.number) != asked:
            raise SealRefused("it answers another request")
        ours = self._known - self._unreadable
        return grant.model_copy(update={"accounts": tuple(a for a in grant.accounts if a.campaign in ours)})

    async def _was_refused(self, refused: LeaseRefused) -> None:
        store = self._premises.store
        _LOG.error(
            "HQ refuses a request for rights", extra={"refusal": refused.code, "detail": refused.detail}
        )
        self._pending = None
        if refused.code == _WENT_BACK:
            known = self._known - self._unreadable
            await store.decide(diverged_keys(known), diverged_rule(known), essential=True)
            self._rights.is_diverged = True
        elif refused.code == _WRITTEN_OFF and not await self._is_given_up():
            # At once again: with everything that is left, HQ lets this mini-PC begin anew.
            await store.decide([LEASE_DESK_KEY], given_up_rule(), essential=True)
            self._settle_at_s = self._rights.not_before_s = 0.0
        else:
            self._stay_away(_REFUSED_S, _refused(refused.code))

    async def _is_given_up(self) -> bool:
        return desk_of(await self._premises.store.fetch([LEASE_DESK_KEY])).is_written_off

    def _stay_away(self, seconds: float, hindrance: Hindrance) -> None:
        if self._rights.hindrance is None:
            _LOG.info("no rights from HQ", extra={"because": hindrance.because})
        self._rights.hindrance = hindrance
        self._rights.not_before_s = self._premises.clock.mono_s() + seconds


def _refused(code: str) -> Hindrance:
    return Hindrance(f"HQ refuses to give more ({code})", "Tell HQ.")
