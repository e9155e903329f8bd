"""Tells HQ how this agent is, hears what HQ wants it to be, and makes it so without a restart.

A bundle is opened with the root that was pinned at enrolment, so the line need not be trusted. It counts once it is kept:
a cut of power leaves the old one or the new one. What is not taken leaves everything as it was, and is said. Stops are
the exception: they can only ever stop, so they are carried out before the rest is kept, and again at every start.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol, TypeVar

from edge_agent.ports import Desk, LineBusy, LineDown, LineRefused, StoreFull
from edge_agent.services.backoff import backoff_s
from edge_agent.services.line import Line
from edge_agent.services.premises import Premises
from edge_agent.services.status import Health
from engagement.campaign.state import stop_key, stop_rule
from engagement.estate.bundle import Bundle, CampaignStop
from engagement.estate.receiving import BundleUnfit, receive, reread
from engagement.estate.sealing import proof_in
from engagement.ledger.group import RecordUnreadable
from engagement.line.answers import REPORTS_MAX, AgentReport, ReportAnswer

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

# HQ names the pace; whatever it names, an answer and its disk sync fit in between.
_AGAIN_S_MIN: Final = 1.0
# What HQ refuses, or sends and we refuse, is tried again so often, for a person may have cured it.
_REFUSED_S: Final = 600.0
# As many as a report may carry, and as long.
_ISSUES_MAX, _VERSION_CHARS_MAX, _RADIO_CHARS_MAX = 50, 80, 200
_CLOCK_ERROR_MS_MAX: Final = 2**62 - 1


class BundleKeeping(Protocol):
    """Where HQ's last bundle is kept, still sealed."""

    def load(self, read: Callable[[str], T]) -> T | None:
        """What ``read`` makes of it, which raises BundleUnfit; None when none was kept. Errors: BundleUnfit."""

    async def save(self, text: str) -> None:
        """Replace it whole; durable when this returns. Errors: OSError."""


class Kept(NamedTuple):
    """``sealed_by``: the root that vouches for it; None when the root that is known now does not."""

    bundle: Bundle
    sealed_by: str | None


def recall(keeping: BundleKeeping, *, root_pem: str | None) -> Kept | None:
    """The bundle that was kept; None when there is none. Errors: BundleUnfit when it cannot be used any more.

    It counts also where the root of the enrolment is lost or another by now: it was judged when it came, and a store
    that was one yesterday is one today.
    """

    def read(text: str) -> Kept:
        bundle = reread(text)
        if root_pem is None:
            return Kept(bundle, None)
        try:
            return Kept(receive(text, root_pem=root_pem, agent=bundle.agent), root_pem)
        except BundleUnfit:
            return Kept(bundle, None)

    return keeping.load(read)


class Reporting:
    """``root_pem`` answers with HQ's root, None while none is known. ``sealed_by``: the root under which the present
    bundle came from HQ; None when it did not."""

    def __init__(
        self,
        premises: Premises,
        *,
        desk: Desk,
        health: Health,
        keeping: BundleKeeping,
        line: Line,
        root_pem: Callable[[], str | None],
        sealed_by: str | None,
    ) -> None:
        self._premises = premises
        self._desk = desk
        self._health = health
        self._keeping = keeping
        self._line = line
        self._root_pem = root_pem
        self._sealed_by = sealed_by
        self._attempt = 0
        # Of the last report; HQ tells where to go on after a start, so no disk needs to.
        self._number = 0
        # HQ's sequence that was not taken, and until when it is not asked for again.
        self._unfit: tuple[int, float] = (0, 0.0)
        # Of the present bundle, while HQ asks for it.
        self._proof = ""
        # Stops that are durable, so that each is decided once a start.
        self._stopped: set[CampaignStop] = set()

    async def run(self) -> None:
        """Report until cancelled; stops of the present bundle first, for the ledger may be a new one."""
        await self._stop_all(self._premises.bundle)
        while True:
            await self._line.enrolled.wait()
            await self._rest(await self.look())

    async def look(self) -> float:
        """Report once, and take what HQ has anew; answers after how many seconds to report again."""
        await self._stop_all(self._premises.bundle)
        try:
            answer = await self._send()
            self._heard()
            if not answer.wants_proof:
                self._proof = ""
            elif self._can_prove():
                return 0.0
            if self._is_wanted(answer.bundle_sequence) and await self._fetch(answer.bundle_sequence):
                return 0.0
        except LineDown as down:
            self._attempt += 1
            if self._line.down_because is None:
                self._line.down_because = down.cause
            return backoff_s(self._attempt, self._premises.entropy.token(1))
        except LineBusy as busy:
            return max(busy.slot_ms / 1000, _AGAIN_S_MIN)
        except LineRefused as refused:
            _LOG.warning("HQ refuses reports", extra={"refusal": refused.code, "detail": refused.detail})
            return _REFUSED_S
        return max(answer.again_ms / 1000, _AGAIN_S_MIN)

    @property
    def sequence(self) -> int:
        """Of the bundle that this HQ gave and the agent works from; 0 while there is none."""
        if self._sealed_by is None or self._sealed_by != self._root_pem():
            return 0
        return self._premises.bundle.sequence

    async def _rest(self, seconds: float) -> None:
        """So long, or until HQ has come to know this agent anew."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._line.enrolled_anew.wait()
        self._line.enrolled_anew.clear()

    async def _send(self) -> ReportAnswer:
        """Report, and once more where HQ has later ones: of an earlier start, or of the box before this one.

        Errors: LineDown, LineBusy, LineRefused.
        """
        answer = await self._desk.report(self._report())
        if not answer.is_old:
            return answer
        self._number = max(self._number, answer.number)
        return await self._desk.report(self._report())

    def _report(self) -> AgentReport:
        report = self._health.report()
        self._number = min(self._number + 1, REPORTS_MAX - 1)
        return AgentReport(
            bundle_sequence=self.sequence,
            status=report.status.value,
            issues=tuple(issue.code for issue in report.issues[:_ISSUES_MAX]),
            backlog=dict(report.backlog),
            version=report.version[:_VERSION_CHARS_MAX],
            radio=report.radio[:_RADIO_CHARS_MAX],
            clock_error_ms=min(report.clock_error_ms, _CLOCK_ERROR_MS_MAX),
            number=self._number,
            proof=self._proof,
        )

    def _can_prove(self) -> bool:
        """HQ does not remember the bundle that it gave: whether the next report can tell it more than this one did."""
        if self._proof:
            return False
        try:
            self._proof = self._keeping.load(_proof_of) or ""
        except BundleUnfit:
            return False
        return bool(self._proof)

    def _heard(self) -> None:
        self._attempt = 0
        self._line.reached(self._premises.clock.now())

    def _is_wanted(self, offered: int) -> bool:
        if offered <= self.sequence:
            self._line.bundle_refused_because = None
            return False
        unfit, until_s = self._unfit
        return offered != unfit or self._premises.clock.mono_s() >= until_s

    async def _fetch(self, offered: int) -> bool:
        """Whether another bundle counts now. Errors: LineDown, LineBusy, LineRefused."""
        root_pem = self._root_pem()
        if root_pem is None:
            return self._refuse(offered, "no root of HQ's was pinned when this mini-PC was enrolled")
        text, present = await self._desk.bundle(), self._premises.bundle
        try:
            bundle = receive(
                text, root_pem=root_pem, agent=present.agent, present=present, above=self.sequence
            )
        except BundleUnfit as unfit:
            return self._refuse(offered, str(unfit))
        await self._stop_all(bundle)
        try:
            await self._keeping.save(text)
        except OSError as failure:
            return self._refuse(offered, f"it cannot be kept ({failure.strerror})")
        self._sealed_by = root_pem
        self._premises.renew(bundle)
        self._line.bundle_refused_because = None
        _LOG.info("working from another bundle", extra={"sequence": bundle.sequence})
        return True

    def _refuse(self, offered: int, because: str) -> bool:
        self._unfit = offered, self._premises.clock.mono_s() + _REFUSED_S
        if self._line.bundle_refused_because != because:
            _LOG.warning("bundle refused", extra={"sequence": offered, "because": because})
        self._line.bundle_refused_because = because
        return False

    async def _stop_all(self, bundle: Bundle) -> None:
        """Carry HQ's stops out; what a full disk does not take is tried again at the next look."""
        now = self._premises.clock.now()
        for stop in bundle.stops:
            if stop in self._stopped:
                continue
            rule = stop_rule(stop.campaign, by=f"HQ: {stop.by}", honour_issued=stop.honour_issued, now=now)
            try:
                await self._premises.store.decide([stop_key(stop.campaign)], rule, essential=True)
            except StoreFull:
                _LOG.error("a stop waits for room on the disk", extra={"campaign": stop.campaign})
                continue
            except RecordUnreadable:
                # Nothing is given out of a campaign whose stop cannot be read.
                _LOG.error("a campaign's stop cannot be read", extra={"campaign": stop.campaign})
            self._stopped.add(stop)


def _proof_of(text: str) -> str:
    """What takes a copy that is spoilt would have it replace the good one. Errors: BundleUnfit."""
    reread(text)
    return proof_in(text)
