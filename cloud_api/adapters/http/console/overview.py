"""The console's first page: the funnel of a day, campaigns, and the branches with their agents."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from cloud_api.adapters.http.console.agent_rows import AgentRow, agent_row, urgency, wants_looking
from cloud_api.adapters.http.console.asking import BRANCHES_PER_PAGE, Asked, asked_of
from cloud_api.adapters.http.console.page import CONSOLE, Page
from cloud_api.adapters.http.console.unlisted import unlisted_rows
from cloud_api.services.overview import AgentView
from engagement.campaign.model import Campaign
from engagement.campaign.state import CampaignState
from engagement.clock.moment import to_ms
from engagement.estate.branch import Branch
from engagement.ids import BranchCode
from engagement.settlement.funnel import FunnelLine


@dataclass(frozen=True)
class _BranchRow:
    branch: Branch
    agents: Sequence[AgentRow]


async def overview_page(page: Page) -> web.StreamResponse:
    overview = page.parts.overview
    asked = asked_of(page)
    query = asked.query
    lines = {
        line.campaign: line for line in await overview.funnel(query.first, query.last, branch=query.branch)
    }
    seen = await page.request.app[CONSOLE].glance.look(overview, page.parts.lending)
    branches = _branches(page, seen.agents, asked.branches)
    listed = [view for _, views in branches for view in views]
    campaigns = [(campaign, state, lines[campaign.id]) for campaign, state in overview.campaigns()]
    facts: dict[str, object] = {
        "asked": asked,
        "is_today": query.first == query.last == overview.today(),
        "campaigns": [each for each in campaigns if not _is_over(page, *each)],
        "earlier": [
            (campaign, state) for campaign, state, line in campaigns if _is_over(page, campaign, state, line)
        ],
        "starts": lambda campaign: page.wording.minute(campaign.window.opens_at),
        "claimed": sum(line.claimed for line in lines.values()),
        "redeemed": sum(line.redeemed for line in lines.values()),
        "values": _values(campaigns),
        "agents_fresh": sum(overview.contact(view) == "fresh" for view in listed),
        "agents_all": len(listed),
        "agents_ailing": sum(wants_looking(page, view) for view in listed),
    }
    facts["unlisted"], facts["unlisted_left"] = ((), 0) if asked.typed else unlisted_rows(page, seen)
    return page.answer(
        "overview.html", facts | _listing(page, asked, branches), status=422 if asked.problem else 200
    )


def _values(campaigns: Sequence[tuple[Campaign, CampaignState, FunnelLine]]) -> dict[str, int]:
    """What came off baskets, by currency; where nothing did, the first campaign's currency alone."""
    values: dict[str, int] = defaultdict(int)
    for campaign, _, line in campaigns:
        values[campaign.offer.currency] += line.redeemed_minor
    return {currency: minor for currency, minor in values.items() if minor} or dict(list(values.items())[:1])


def _listing(
    page: Page, asked: Asked, branches: Sequence[tuple[Branch, Sequence[AgentView]]]
) -> dict[str, object]:
    """One page of the branches, and where the others are."""
    last = max(1, -(-len(branches) // BRANCHES_PER_PAGE))
    number = min(asked.number, last)
    shown = branches[(number - 1) * BRANCHES_PER_PAGE : number * BRANCHES_PER_PAGE]
    return {
        "branches": [
            _BranchRow(branch, [agent_row(page, view) for view in views]) for branch, views in shown
        ],
        "number_of_page": number,
        "pages_of_branches": last,
        "before": asked.address(page=number - 1) + "#branches" if number > 1 else "",
        "after": asked.address(page=number + 1) + "#branches" if number < last else "",
    }


def _is_over(page: Page, campaign: Campaign, state: CampaignState, line: FunnelLine) -> bool:
    """Whether there is nothing to see of a campaign in these days: they are never dropped, so there are ever more."""
    has_ended = page.parts.overview.since_ms(to_ms(campaign.window.ends_at)) > 0
    return has_ended and state is not CampaignState.RUNNING and not (line.claimed or line.redeemed)


def _branches(
    page: Page, agents: Sequence[AgentView], wanted: Sequence[Branch]
) -> list[tuple[Branch, Sequence[AgentView]]]:
    """Those that want looking at come first; branches without agents last."""
    by_branch: dict[BranchCode, list[AgentView]] = defaultdict(list)
    for view in agents:
        if view.listed_in is not None:
            by_branch[view.listed_in].append(view)
    found = [
        (min((urgency(page, view) for view in by_branch[branch.code]), default=9), branch)
        for branch in wanted
    ]
    found.sort(key=lambda each: (each[0], each[1].code))
    return [(branch, by_branch[branch.code]) for _, branch in found]
