"""Takes agents' reports: how each is and what it works from; tells each which bundle it should have, and when to come again.

Nothing here is money: a report that is lost is made good by the next.
"""

from cloud_api.ports.estate import KeptReport, ReportStore
from cloud_api.ports.machine import Clock
from cloud_api.services.bundling import Bundling
from cloud_api.services.changing import Changing
from cloud_api.services.estate_view import EstateView
from cloud_api.services.news import News
from cloud_api.services.registry import Registry
from engagement.ids import AgentName
from engagement.line.answers import AgentReport, ReportAnswer

# All agents together send 100 reports/s, which is a few percent of a core.
_EVERY_MS = 10
# A small chain's change is in its stores within seconds; nobody waits longer than a minute for a stop.
_AGAIN_MS_MIN = 2_000
_AGAIN_MS_MAX = 60_000


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

    async def load(self) -> None:
        """Errors: StorageFailed."""
        self._last = {kept.agent: kept for kept in await self._store.reports()}

    def last(self, agent: AgentName) -> KeptReport | None:
        return self._last.get(agent)

    async def take(self, sender: AgentName, report: AgentReport) -> ReportAnswer:
        """``sender``: who was shown to have sent it. Errors: StorageBusy; StorageFailed."""
        kept = KeptReport(sender, report, self._clock.now_ms())
        await self._store.put_report(kept)
        before = self._last.get(sender)
        self._last[sender] = kept
        if before is None or _seen(before.report) != _seen(report):
            self._news.tell()
        if report.bundle_sequence > self._estate.revision:
            await self._changing.raise_above(report.bundle_sequence, told_by=sender)
        return ReportAnswer(bundle_sequence=self._bundling.wanted(sender), again_ms=self._again_ms())

    def _again_ms(self) -> int:
        return min(max(self._registry.active * _EVERY_MS, _AGAIN_MS_MIN), _AGAIN_MS_MAX)


def _seen(report: AgentReport) -> tuple[object, ...]:
    """What people see of it that does not change with every event."""
    return report.status, report.issues, report.bundle_sequence, report.version
