"""What machines watch: health, figures, and the description of the API."""

from aiohttp import web

from edge_agent.adapters.metrics import CONTENT_TYPE
from edge_agent.adapters.staff_http.models import BacklogAnswer, HealthAnswer, IssueAnswer
from edge_agent.adapters.staff_http.operations import Operations, json_response
from edge_agent.adapters.staff_http.parts import PARTS
from edge_agent.services.status import HealthReport, Status
from engagement.clock.moment import from_ms
from engagement.journal.event import Lane

PROBES = Operations()


@PROBES.tells("/health", "How the agent is", answers={200: HealthAnswer, 503: HealthAnswer})
async def health(request: web.Request) -> web.StreamResponse:
    report = request.app[PARTS].health.report()
    return json_response(health_answer(report), 503 if report.status is Status.FAILING else 200)


def health_answer(report: HealthReport) -> HealthAnswer:
    """A report as /health tells it."""
    return HealthAnswer(
        status=report.status.value,
        issues=[
            IssueAnswer(code=issue.code, since=from_ms(issue.since_ms), means=issue.means, do=issue.do)
            for issue in report.issues
        ],
        backlog=BacklogAnswer(**{lane.value: report.backlog.get(lane, 0) for lane in Lane}),
        last_sync_at=from_ms(report.last_sync_ms) if report.last_sync_ms is not None else None,
        radio=report.radio,
        branch=report.branch,
        agent=report.agent,
        version=report.version,
        clock_error_ms=report.clock_error_ms,
        store=report.store_version,
    )


@PROBES.tells("/metrics", "Figures for Prometheus", answers={200: "text/plain"})
async def metrics(request: web.Request) -> web.StreamResponse:
    parts = request.app[PARTS]
    text = parts.metrics.exposition(parts.health.report(), parts.health.counts())
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
