"""The agent's figures in the form that Prometheus reads."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_agent.services.status import Counts, HealthReport, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "beckon_"
# A till waits at most for one disk sync; the upper ones show a disk that is dying.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """``attempt`` and ``took`` are fed by the staff side; everything else is the agent's own report."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._attempts = Counter(
            f"{_PREFIX}redemption_attempts",
            "Codes that tills presented, by what was decided.",
            ("decision", "reason"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            f"{_PREFIX}staff_request_seconds",
            "How long the staff side took to answer, by route.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    def attempt(self, decision: str, reason: str | None) -> None:
        self._attempts.labels(decision, reason or "").inc()

    def took(self, route: str, seconds: float) -> None:
        self._seconds.labels(route).observe(seconds)

    def exposition(self, report: HealthReport, counts: Counts) -> bytes:
        """The text that a scrape gets."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Reported(report, counts))
        return generate_latest(registry) + generate_latest(self._registry)


class _Reported(Collector):
    def __init__(self, report: HealthReport, counts: Counts) -> None:
        self._report = report
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        report = self._report
        about = GaugeMetricFamily(
            f"{_PREFIX}agent",
            "Always 1; says which agent this is.",
            labels=["agent", "branch", "version", "radio"],
        )
        about.add_metric([report.agent, report.branch, report.version, report.radio], 1)
        yield about
        status = GaugeMetricFamily(f"{_PREFIX}health", "1 for the status that holds.", labels=["status"])
        for each in Status:
            status.add_metric([each.value], float(report.status is each))
        yield status
        issues = GaugeMetricFamily(f"{_PREFIX}issue_since_seconds", "When each issue began.", labels=["code"])
        for issue in report.issues:
            issues.add_metric([issue.code], issue.since_ms / 1000)
        yield issues
        backlog = GaugeMetricFamily(
            f"{_PREFIX}backlog_entries", "Entries unconfirmed by HQ.", labels=["lane"]
        )
        for lane, entries in report.backlog.items():
            backlog.add_metric([lane.value], entries)
        yield backlog
        rights = GaugeMetricFamily(
            f"{_PREFIX}rights_left", "Coupons that HQ lets this agent still give out.", labels=["campaign"]
        )
        for campaign, coupons in self._counts.rights_left.items():
            rights.add_metric([campaign], coupons)
        yield rights
        yield from self._single()

    def _single(self) -> Iterator[Metric]:
        report, counts = self._report, self._counts
        if report.last_sync_ms is not None:
            yield GaugeMetricFamily(
                f"{_PREFIX}last_sync_seconds", "When HQ last answered.", value=report.last_sync_ms / 1000
            )
        yield GaugeMetricFamily(
            f"{_PREFIX}clock_error_seconds",
            "The most the clock may be off.",
            value=report.clock_error_ms / 1000,
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}guest_connections", "Connections of phones that are open.", value=counts.guests_open
        )
        for name, means, value in (
            ("adverts_heard", "Advertisements that the radio delivered.", counts.adverts_heard),
            ("adverts_matched", "Those of the inventory's beacons.", counts.adverts_matched),
            (
                "adverts_dropped",
                "Those that were dropped because the agent was busy.",
                counts.adverts_dropped,
            ),
            (
                "guests_turned_away",
                "Connections of phones that were closed at once because too many were open.",
                counts.guests_turned_away,
            ),
        ):
            yield CounterMetricFamily(_PREFIX + name, means, value=value)
