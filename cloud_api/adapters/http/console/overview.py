"""The console's first page: the funnel of a day, campaigns, and the branches with their agents."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web
from pydantic import ValidationError

from cloud_api.adapters.http.console.agent_rows import AgentRow, agent_row, urgency
from cloud_api.adapters.http.console.page import CONSOLE, Page
from cloud_api.adapters.http.models import FunnelQuery
from cloud_api.services.overview import AgentView
from engagement.campaign.model import Campaign
from engagement.campaign.state import CampaignState
from engagement.clock.moment import to_ms
from engagement.estate.branch import Branch
from engagement.ids import BranchCode
from engagement.settlement.funnel import FunnelLine

# More do not help a reader, who names a branch then; a page of this many is 100 kB.
_BRANCHES_MAX = 100


@dataclass(frozen=True)
class _BranchRow:
    branch: Branch
    agents: Sequence[AgentRow]


async def overview_page(page: Page) -> web.StreamResponse:
    overview = page.parts.overview
    asked, problem = _asked(page)
    lines = {
        line.campaign: line for line in await overview.funnel(asked.first, asked.last, branch=asked.branch)
    }
    agents = await page.request.app[CONSOLE].glance.agents(overview)
    branches = _branches(page, agents, asked.branch)
    campaigns = [(campaign, state, lines[campaign.id]) for campaign, state in overview.campaigns()]
    values: dict[str, int] = defaultdict(int)
    for campaign, _ in overview.campaigns():
        values[campaign.offer.currency] += lines[campaign.id].redeemed_minor
    facts = {
        "asked": asked,
        "problem": problem,
        "is_today": asked.first == asked.last == overview.today(),
        "campaigns": [each for each in campaigns if not _is_over(page, *each)],
        "earlier": [
            (campaign, state) for campaign, state, line in campaigns if _is_over(page, campaign, state, line)
        ],
        "claimed": sum(line.claimed for line in lines.values()),
        "redeemed": sum(line.redeemed for line in lines.values()),
        "values": values,
        "branches": [
            _BranchRow(branch, [agent_row(page, view) for view in views])
            for branch, views in branches[:_BRANCHES_MAX]
        ],
        "branches_left": len(branches) - _BRANCHES_MAX,
        "agents_fresh": sum(overview.contact(view) == "fresh" for view in agents),
        "agents_all": len(agents),
    }
    return page.answer("overview.html", facts, status=422 if problem else 200)


def _is_over(page: Page, campaign: Campaign, state: CampaignState, line: FunnelLine) -> bool:
    """Whether there is nothing to see of a campaign in these days: they are never dropped, so there are ever more."""
    has_ended = page.parts.overview.since_ms(to_ms(campaign.window.ends_at)) > 0
    return has_ended and state is not CampaignState.RUNNING and not (line.claimed or line.redeemed)


def _asked(page: Page) -> tuple[FunnelQuery, str]:
    """The days and the branch that the page is about, and what was wrong with those asked for."""
    today = page.parts.overview.today()
    default = {"from": today, "to": today}
    wanted = {name: page.request.query.get(name, "").strip() for name in ("from", "to", "branch")}
    known = {branch.code.lower(): branch.code for branch in page.parts.overview.branches()}
    if wanted["branch"] and wanted["branch"].lower() not in known:
        return FunnelQuery.model_validate(default), page.wording.text(
            "overview.no_branch", branch=wanted["branch"][:40]
        )
    wanted["branch"] = known.get(wanted["branch"].lower(), BranchCode(""))
    try:
        given = {name: value for name, value in wanted.items() if value}
        return FunnelQuery.model_validate(default | given), ""
    except ValidationError:
        return FunnelQuery.model_validate(default), page.wording.text("overview.no_days")


def _branches(
    page: Page, agents: Sequence[AgentView], wanted: BranchCode | None
) -> list[tuple[Branch, Sequence[AgentView]]]:
    """Those that want looking at come first; branches without agents last."""
    by_branch: dict[BranchCode, list[AgentView]] = defaultdict(list)
    for view in agents:
        by_branch[view.branch].append(view)
    found = [
        (min((urgency(page, view) for view in by_branch[branch.code]), default=9), branch)
        for branch in page.parts.overview.branches()
        if wanted in (None, branch.code)
    ]
    found.sort(key=lambda each: (each[0], each[1].code))
    return [(branch, by_branch[branch.code]) for _, branch in found]
