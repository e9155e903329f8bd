"""An agent's reports straight to an HQ in memory, without a line between; and the health that they tell."""

from dataclasses import dataclass, field

from edge_agent.ports import Desk
from edge_agent.radio_status import RadioStatus
from edge_agent.services.status import Counts, HealthReport, Status
from engagement.line.answers import AgentReport, ReportAnswer
from tests.fakes.hq import AGENT, Hq


@dataclass
class StraightToHq(Desk):
    """``hq`` may be put back meanwhile. ``sent``: every report, as somebody on the line might have kept it."""

    hq: Hq
    sent: list[AgentReport] = field(default_factory=list)

    async def report(self, report: AgentReport) -> ReportAnswer:
        self.sent.append(report)
        return await self.hq.reporting.take(AGENT, report)

    async def bundle(self) -> str:
        return await self.hq.bundling.sealed(AGENT)


class Well:
    """Nothing ails it; ``status`` is what it says all the same."""

    def __init__(self, status: Status) -> None:
        self.status = status

    def report(self) -> HealthReport:
        return HealthReport(self.status, (), {}, None, "none", RadioStatus("none", ()), "", AGENT, "2", 0, "")

    def counts(self) -> Counts:
        raise NotImplementedError
