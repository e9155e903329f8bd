"""Agents that no branch lists any more and that still matter: they may speak, or what they were lent counts on budgets."""

from collections.abc import Sequence

from cloud_api.adapters.http.console.agent_rows import AgentRow, agent_row, urgency
from cloud_api.adapters.http.console.glance import Seen
from cloud_api.adapters.http.console.page import Page

# More do not help a reader, who sees to these first; `GET /v1/agents` has all.
_ROWS_MAX = 50


def unlisted_rows(page: Page, seen: Seen) -> tuple[Sequence[AgentRow], int]:
    """Those that want looking at come first; and how many are left out."""
    matter = {*seen.holders, *page.awaited}
    found = [
        view
        for view in seen.agents
        if view.listed_in is None and (view.state == "active" or view.name in matter)
    ]
    known = {view.name for view in seen.agents}
    found += [page.parts.overview.forgotten(name) for name in matter - known]
    found.sort(key=lambda view: (urgency(page, view), view.name))
    return [agent_row(page, view) for view in found[:_ROWS_MAX]], max(0, len(found) - _ROWS_MAX)
