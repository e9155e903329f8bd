"""Takes agents' reports: how each is and what it works from; tells each which bundle it should have, and when to come again.

Nothing here is money: a report that is lost is made good by the next. One that is shown to HQ again, by whoever kept it,
bears no higher number than the last, and counts for nothing; the answer says so, for an agent that has just begun to count
is told by it where to go on. A machine that enrols anew begins anew.
"""

import logging

from cloud_api.ports.estate import KeptReport, ReportStore
from cloud_api.ports.machine import Clock
from cloud_api.services.bundling import Bundling
from cloud_api.services.changing import Changing
from cloud_api.services.estate_view import EstateView
from cloud_api.services.news import News
from cloud_api.services.registry import Registry
from engagement.ids import AgentName
from engagement.line.answers import AgentReport, ReportAnswer

_LOG = logging.getLogger(__name__)

# All agents together send 100 reports/s, which is a few percent of a core.
_EVERY_MS = 10
# A small chain's change is in its stores within seconds; nobody waits longer than a minute for a stop.
_AGAIN_MS_MIN = 2_000
_AGAIN_MS_MAX = 60_000
# Reports without a number come from older versions: to one that was put back on a box, HQ listens again after this long.
_UNNUMBERED_MS = 10 * 60_000


class Reporting:
    def __init__(
        self,
        *,
        store: ReportStore,
        estate: EstateView,
        bundling: Bundling,
        changing: Changing,
        registry: Registry,
        clock: Clock,
        news: News,
    ) -> None:
        self._store = store
        self._estate = estate
        self._bundling = bundling
        self._changing = changing
        self._registry = registry
        self._clock = clock
        self._news = news
        self._last: dict[AgentName, KeptReport] = {}
        # Said once of each; only enrolled agents come here.
        self._unproved: set[AgentName] = set()

    async def load(self) -> None:
        """Errors: StorageFailed."""
        self._last = {kept.agent: kept for kept in await self._store.reports()}

    def last(self, agent: AgentName) -> KeptReport | None:
        return self._last.get(agent)

    async def take(self, sender: AgentName, report: AgentReport) -> ReportAnswer:
        """``sender``: who was shown to have sent it. Errors: StorageBusy; StorageFailed."""
        before, now_ms = self._last.get(sender), self._clock.now_ms()
        number = self._number(before)
        is_old = report.number <= number and not self._may_be_unnumbered(report, number, before, now_ms)
        if not is_old:
            number = max(number, report.number)
            kept = KeptReport(sender, report.model_copy(update={"number": number, "proof": ""}), now_ms)
            # Before it is kept: of two at once the later number must stand.
            self._last[sender] = kept
            await self._store.put_report(kept)
            if before is None or _seen(before.report) != _seen(report):
                self._news.tell()
            await self._catch_up(sender, report)
        return ReportAnswer(
            bundle_sequence=self._bundling.wanted(sender),
            again_ms=self._again_ms(),
            number=number,
            is_old=is_old,
            wants_proof=not is_old and report.bundle_sequence > self._estate.revision,
        )

    async def _catch_up(self, sender: AgentName, report: AgentReport) -> None:
        """An HQ that was put back numbers its next bundles above those that are out, as far as they are proved: every
        agent takes only later ones than it has, so nobody may raise that by a word. Errors: StorageBusy; StorageFailed."""
        if report.bundle_sequence <= self._estate.revision:
            return
        proved = self._bundling.proved(sender, report.proof)
        if proved > self._estate.revision:
            await self._changing.raise_above(proved, proved_by=sender)
        elif sender not in self._unproved:
            self._unproved.add(sender)
            facts = {
                "agent": sender,
                "bundle_sequence": report.bundle_sequence,
                "revision": self._estate.revision,
            }
            _LOG.warning(
                "an agent tells of a later bundle than HQ's, and is asked for its proof", extra=facts
            )

    def _number(self, before: KeptReport | None) -> int:
        """Of the last report of the machine that the agent is now; 0 where it has sent none."""
        enrolled = self._registry.find(before.agent) if before is not None else None
        if before is None or enrolled is None:
            return 0
        return before.report.number if before.received_ms >= (enrolled.known.enrolled_ms or 0) else 0

    @staticmethod
    def _may_be_unnumbered(report: AgentReport, number: int, before: KeptReport | None, now_ms: int) -> bool:
        if report.number:
            return False
        return number == 0 or before is None or not 0 <= now_ms - before.received_ms < _UNNUMBERED_MS

    def _again_ms(self) -> int:
        return min(max(self._registry.active * _EVERY_MS, _AGAIN_MS_MIN), _AGAIN_MS_MAX)


def _seen(report: AgentReport) -> tuple[object, ...]:
    """What people see of it that does not change with every event."""
    return report.status, report.issues, report.bundle_sequence, report.version
