"""A mini-PC that has no bundle yet: says so, takes a claim code from the desk, and gets its first bundle from HQ.

What it tells and takes while it waits is engagement.line.setup's; enrolling uses the code as it would any other. Nothing of a
store is served meanwhile, for it does not know yet which store it stands in.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from edge_agent.ports import Clock, Desk, Entropy, LineBusy, LineDown, LineRefused
from edge_agent.radio_status import RadioStatus
from edge_agent.services.backoff import backoff_s
from edge_agent.services.enrolling import Enrolling
from edge_agent.services.line import Line
from edge_agent.services.reporting import BundleKeeping
from edge_agent.services.status import Counts, HealthReport, Issue, Status
from engagement.estate.bundle import Bundle
from engagement.estate.receiving import BundleUnfit, receive
from engagement.journal.event import Lane
from engagement.line.claim import parse_claim
from engagement.line.setup import (
    SECRET_BYTES,
    SealedClaim,
    SetupOffer,
    SetupRefused,
    make_offer,
    open_claim,
)

_LOG = logging.getLogger(__name__)

# HQ may know the agent before anybody has told it of the branch; seldom enough to be no load, soon enough to be waited for.
_REFUSED_S: Final = 15.0
_SAID_CHARS_MAX: Final = 400


class BoxKey(NamedTuple):
    """The link key: ``public`` 32 bytes, ``sign`` Ed25519 by it, ``fingerprint`` the 8 letters that people compare."""

    public: bytes
    sign: Callable[[bytes], bytes]
    fingerprint: str


class FirstBundle(NamedTuple):
    """``sealed_by``: the root that it was opened with."""

    bundle: Bundle
    sealed_by: str


class SettingUp:
    """Implements ``status.Health``. ``root_pem`` answers with HQ's root once it is known; ``damaged_because``: why a bundle
    that was kept cannot be used; ``version``: ours."""

    def __init__(
        self,
        *,
        key: BoxKey,
        clock: Clock,
        entropy: Entropy,
        line: Line,
        enrolling: Enrolling,
        desk: Desk,
        keeping: BundleKeeping,
        root_pem: Callable[[], str | None],
        damaged_because: str | None,
        version: str,
    ) -> None:
        self.fingerprint = key.fingerprint
        self._key = key
        self._clock = clock
        self._entropy = entropy
        self._line = line
        self._enrolling = enrolling
        self._desk = desk
        self._keeping = keeping
        self._root_pem = root_pem
        self._version = version
        self._since_ms = clock.now().wall_ms
        self._attempt = 0
        # Once the first bundle is kept, this box takes codes from its claim file alone.
        self.is_over = False
        self._waits_because = (
            damaged_because and f"the bundle that was kept cannot be used: {damaged_because}"
        )
        # In memory alone, and another one at every start: what was sealed to an earlier one stays closed for ever.
        self._agreement_secret = entropy.token(SECRET_BYTES)

    def offer(self) -> SetupOffer:
        """What the desk needs to seal a claim code to this very box."""
        return make_offer(
            public_key=self._key.public,
            sign=self._key.sign,
            agreement_secret=self._agreement_secret,
            said=self._because[:_SAID_CHARS_MAX],
        )

    def take_claim(self, sealed: SealedClaim) -> None:
        """Use a claim code from the desk. Errors: SetupRefused; MalformedClaim; OSError when it cannot be kept."""
        if self.is_over:
            raise SetupRefused("this mini-PC is set up already")
        if self._line.enrolment is not None:
            # HQ owns it by now, and anybody on the network could bring a code of another one.
            raise SetupRefused("this mini-PC is enrolled already; put a new code into its claim file")
        text = open_claim(sealed, public_key=self._key.public, agreement_secret=self._agreement_secret)
        parse_claim(text)
        self._enrolling.put_claim(text)

    async def first_bundle(self) -> FirstBundle:
        """Wait until HQ knows this box and has a bundle for it; the bundle is kept when this returns."""
        while True:
            await self._line.enrolled.wait()
            try:
                return await self._fetch()
            except LineDown as down:
                self._attempt += 1
                self._wait_for(f"HQ cannot be reached ({down.cause})")
                again_s = backoff_s(self._attempt, self._entropy.token(1))
            except LineBusy as busy:
                again_s = max(busy.slot_ms / 1000, 1.0)
            except LineRefused as refused:
                self._wait_for(f"HQ gives it no bundle ({refused.code})")
                again_s = _REFUSED_S
            except BundleUnfit as unfit:
                self._wait_for(f"its bundle is not taken: {unfit}")
                again_s = _REFUSED_S
            except OSError as failure:
                self._wait_for(f"its bundle cannot be kept ({failure.strerror})")
                again_s = _REFUSED_S
            await asyncio.sleep(again_s)

    async def _fetch(self) -> FirstBundle:
        """Errors: LineDown, LineBusy, LineRefused; BundleUnfit; OSError."""
        enrolment, root_pem = self._line.enrolment, self._root_pem()
        assert enrolment is not None, "only an enrolment says that HQ knows us"
        if root_pem is None:
            raise BundleUnfit("no root of HQ's was pinned at enrolment; enrol with a new claim code")
        text = await self._desk.bundle()
        bundle = receive(text, root_pem=root_pem, agent=enrolment.agent)
        await self._keeping.save(text)
        self.is_over = True
        return FirstBundle(bundle, root_pem)

    def _wait_for(self, because: str) -> None:
        if self._waits_because != because:
            _LOG.warning("no bundle yet", extra={"because": because})
        self._waits_because = because

    @property
    def _because(self) -> str:
        if self._line.enrolment is None:
            return self._line.not_enrolled_because or "there is no claim code"
        return self._waits_because or "it waits for its first bundle"

    def report(self) -> HealthReport:
        issue = Issue(
            "not_set_up",
            self._since_ms,
            f"This mini-PC (fingerprint {self.fingerprint}) serves no store yet: {self._because}.",
            "At HQ: `beckon enrol BRANCH AGENT`; choose the box with this fingerprint, or type the code here with "
            "`beckon-agent enrol CODE`.",
        )
        enrolment = self._line.enrolment
        return HealthReport(
            status=Status.DEGRADED,
            issues=(issue,),
            backlog=dict.fromkeys(Lane, 0),
            last_sync_ms=self._line.last_contact_ms,
            radio="none",
            radio_status=RadioStatus("none", ()),
            branch="",
            agent="" if enrolment is None else enrolment.agent,
            version=self._version,
            clock_error_ms=self._clock.now().error_ms,
            store_version="",
        )

    def counts(self) -> Counts:
        return Counts(
            adverts_heard=0, adverts_matched=0, adverts_dropped=0, guests_open=0, guests_turned_away=0
        )
