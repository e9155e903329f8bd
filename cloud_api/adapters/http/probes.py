"""What machines watch: health and figures."""

from aiohttp import web

from cloud_api.adapters.http.models import HealthAnswer, IssueAnswer
from cloud_api.adapters.http.operations import Operations, json_response
from cloud_api.adapters.http.parts import PARTS
from cloud_api.adapters.metrics import CONTENT_TYPE
from cloud_api.services.tending import Status
from engagement.clock.moment import from_ms

PROBES = Operations()


@PROBES.serves("GET", "/health", "How the cloud is", answers={200: HealthAnswer, 503: HealthAnswer})
async def health(request: web.Request) -> web.StreamResponse:
    parts = request.app[PARTS]
    answer = HealthAnswer(
        status=parts.tending.status.value,
        issues=[
            IssueAnswer(code=issue.code, since=from_ms(issue.since_ms), means=issue.means, do=issue.do)
            for issue in parts.tending.issues
        ],
        version=parts.version,
        in_hand=parts.ingesting.in_hand,
    )
    return json_response(answer, 503 if parts.tending.status is Status.FAILING else 200)


@PROBES.serves("GET", "/metrics", "Figures for Prometheus", answers={200: "text/plain"})
async def metrics(request: web.Request) -> web.StreamResponse:
    return web.Response(body=request.app[PARTS].metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})
