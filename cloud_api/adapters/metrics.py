"""The cloud's figures in the form that Prometheus reads."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cloud_api.services.ingesting import Ingesting
from cloud_api.services.registry import Registry
from cloud_api.services.tending import Status, Tending

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "beckon_cloud_"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """``took`` is fed by the listener; everything else is read from the services."""

    def __init__(self, *, ingesting: Ingesting, registry: Registry, tending: Tending) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Reported(ingesting, registry, tending))
        self._seconds = Histogram(
            f"{_PREFIX}request_seconds",
            "How long the cloud took to answer, by route.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    def took(self, route: str, seconds: float) -> None:
        self._seconds.labels(route).observe(seconds)

    def exposition(self) -> bytes:
        """The text that a scrape gets."""
        return generate_latest(self._registry)


class _Reported(Collector):
    def __init__(self, ingesting: Ingesting, registry: Registry, tending: Tending) -> None:
        self._ingesting = ingesting
        self._agents = registry
        self._tending = tending

    def collect(self) -> Iterator[Metric]:
        tallies = self._ingesting.tallies
        for name, means, value in (
            ("batches", "Batches that were kept.", tallies.batches),
            ("entries", "Journal entries that were kept.", tallies.entries),
            ("repeats", "Batches that were known already.", tallies.repeats),
            ("dead_letters", "Entries that were kept apart.", tallies.letters),
            ("sent_away", "Requests that were given a slot instead.", tallies.sent_away),
        ):
            yield CounterMetricFamily(_PREFIX + name, means, value=value)
        yield GaugeMetricFamily(
            f"{_PREFIX}in_hand", "Batches being worked on.", value=self._ingesting.in_hand
        )
        agents = GaugeMetricFamily(f"{_PREFIX}agents", "Agents by state.", labels=["state"])
        known = [agent.state for agent in self._agents.all()]
        for state in ("claimed", "active", "revoked"):
            agents.add_metric([state], known.count(state))
        yield agents
        status = GaugeMetricFamily(f"{_PREFIX}health", "1 for the status that holds.", labels=["status"])
        for each in Status:
            status.add_metric([each.value], float(self._tending.status is each))
        yield status
        issues = GaugeMetricFamily(f"{_PREFIX}issue_since_seconds", "When each issue began.", labels=["code"])
        for issue in self._tending.issues:
            issues.add_metric([issue.code], issue.since_ms / 1000)
        yield issues
