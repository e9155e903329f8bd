"""An agent as the console's pages show it: when it was heard, what waits in its store, what ails it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cloud_api.adapters.http.console.page import Page
from cloud_api.ports.storage import LaneState
from cloud_api.services.overview import AgentView, Contact
from engagement.journal.event import Lane

# What wants looking at comes first; before all of it an agent that says it does not work.
_URGENCY: Mapping[Contact, int] = {"silent": 1, "never": 4, "revoked": 4, "quiet": 5, "fresh": 6}
_FAILING, _LETTERS, _DEGRADED = 0, 2, 3

BundleState = Literal["current", "behind", "ahead", "none"]


@dataclass(frozen=True)
class LaneRow:
    """``waiting``: entries still in the store, None while it has not told; ``mark``: the last that HQ has, of the newest
    ledger file; ``ago``: since something last arrived."""

    lane: str
    waiting: int | None
    mark: int
    letters: int
    ago: str


@dataclass(frozen=True)
class Told:
    """What the agent last said of itself. ``issues``: sentences."""

    status: str
    issues: Sequence[str]
    bundle: BundleState
    has: int
    wanted: int
    version: str
    ago: str


@dataclass(frozen=True)
class AgentRow:
    """``ago``: since its last contact, empty when there was none; ``told``: None before its first report."""

    agent: AgentView
    contact: Contact
    ago: str
    lanes: Sequence[LaneRow]
    letters: int
    told: Told | None

    @property
    def waiting(self) -> int | None:
        """Entries of all lanes that HQ has not yet; None while the agent has not told."""
        known = [lane.waiting for lane in self.lanes if lane.waiting is not None]
        return sum(known) if known else None


def urgency(page: Page, view: AgentView) -> int:
    """The less, the sooner somebody should look. Asked of every agent, so it makes no words."""
    contact = page.parts.overview.contact(view)
    found = _URGENCY[contact]
    if any(lane.letters for lane in view.lanes):
        found = min(found, _LETTERS)
    if view.report is not None and contact in ("fresh", "quiet") and view.report.report.status != "ok":
        found = min(found, _FAILING if view.report.report.status == "failing" else _DEGRADED)
    return found


def wants_looking(page: Page, view: AgentView) -> bool:
    """Whether something is wrong with it; what was never enrolled, is quiet or was revoked is as somebody wants it."""
    return urgency(page, view) < _URGENCY["never"]


def agent_row(page: Page, view: AgentView) -> AgentRow:
    overview = page.parts.overview
    last_ms = view.last_contact_ms
    return AgentRow(
        agent=view,
        contact=overview.contact(view),
        ago=page.ago(last_ms) if last_ms is not None else "",
        lanes=[_lane_row(page, view, lane) for lane in Lane],
        letters=sum(lane.letters for lane in view.lanes),
        told=_told(page, view),
    )


def _lane_row(page: Page, view: AgentView, lane: Lane) -> LaneRow:
    """Of several ledger files' marks the newest file's, which comes last."""
    of_lane = [state for state in view.lanes if state.key.lane is lane]
    newest: LaneState | None = of_lane[-1] if of_lane else None
    return LaneRow(
        lane=lane.value,
        waiting=view.report.report.backlog.get(lane, 0) if view.report is not None else None,
        mark=newest.seq if newest else 0,
        letters=sum(state.letters for state in of_lane),
        ago=page.ago(newest.received_ms) if newest else "",
    )


def _told(page: Page, view: AgentView) -> Told | None:
    if view.report is None:
        return None
    report, wanted = view.report.report, view.bundle_wanted
    return Told(
        status=report.status,
        issues=[
            page.wording.known(f"issue.{code}", page.wording.text("issue.of_another_version", code=code))
            for code in report.issues
        ],
        bundle=_bundle_state(report.bundle_sequence, wanted),
        has=report.bundle_sequence,
        wanted=wanted or 0,
        version=report.version,
        ago=page.ago(view.report.received_ms),
    )


def _bundle_state(has: int, wanted: int | None) -> BundleState:
    """``wanted`` None: no branch lists the agent, so there is nothing to be behind of."""
    if has == 0:
        return "none"
    if wanted is None or has == wanted:
        return "current"
    return "behind" if has < wanted else "ahead"
