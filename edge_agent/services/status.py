"""What health says: one status, and issues that each tell what it means and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from edge_agent.radio_status import RadioStatus
from engagement.ids import CampaignId
from engagement.journal.event import Lane


class Status(StrEnum):
    """``failing``: the agent cannot do its main job, so systemd or a person should act."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Issue:
    """``since_ms``: Unix ms when it was first seen; ``means`` and ``do`` are sentences for the person in the store."""

    code: str
    since_ms: int
    means: str
    do: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    """``backlog``: entries per lane that HQ has not confirmed; ``last_sync_ms``: Unix ms, None when never."""

    status: Status
    issues: tuple[Issue, ...]
    backlog: Mapping[Lane, int]
    last_sync_ms: int | None
    radio: str
    radio_status: RadioStatus
    branch: str
    agent: str
    version: str
    clock_error_ms: int
    store_version: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Running totals since the start, for /metrics. ``guests_open``: connections of phones just now; ``rights_left``:
    coupons that may still be given out of HQ's leases, by campaign."""

    adverts_heard: int
    adverts_matched: int
    adverts_dropped: int
    guests_open: int
    guests_turned_away: int
    rights_left: Mapping[CampaignId, int] = field(default_factory=dict)


class Health(Protocol):
    """What the staff listener asks for /health and /metrics."""

    def report(self) -> HealthReport: ...

    def counts(self) -> Counts: ...
