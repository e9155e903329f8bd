"""The console's pages: signing in, the overview, and one coupon's life."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import ValidationError

from cloud_api.adapters.http.console.files import add_files
from cloud_api.adapters.http.console.live import add_live
from cloud_api.adapters.http.console.page import (
    CONSOLE,
    Console,
    Page,
    open_page,
    read_form,
    see_other,
    session_of,
    sign_in_form,
    signed_in_page,
)
from cloud_api.adapters.http.doors import forget_session, keep_session
from cloud_api.adapters.http.models import PASSWORD_CHARS_MAX, FunnelQuery
from cloud_api.adapters.http.problems import REFUSALS
from cloud_api.services.overview import AgentView, Contact, CouponView
from cloud_api.services.refused import Refused
from cloud_api.services.signing_in import SESSION_MS
from engagement.clock.moment import from_ms
from engagement.estate.branch import Branch
from engagement.ids import BranchCode
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal

# More do not help a reader, who names a branch then; a page of this many is 100 kB.
_BRANCHES_MAX = 100
_URGENCY: Mapping[Contact, int] = {"silent": 0, "revoked": 1, "never": 2, "quiet": 3, "fresh": 4}


def add_console(app: web.Application) -> None:
    """Errors: CatalogueFault."""
    app[CONSOLE] = Console.load()
    app.router.add_get("/", signed_in_page(_overview))
    app.router.add_post("/signin", open_page(_sign_in))
    app.router.add_post("/signout", open_page(_sign_out))
    app.router.add_get("/coupon", signed_in_page(_look_up))
    app.router.add_post("/coupon", signed_in_page(_look_up))
    add_files(app)
    add_live(app)


async def _sign_in(page: Page) -> web.StreamResponse:
    form = await read_form(page)
    name, password = form.get("user", "")[:200], form.get("password", "")[:PASSWORD_CHARS_MAX]
    try:
        signed_in = await page.parts.signing_in.sign_in(name, password)
    except Refused as refused:
        if refused.code not in ("password_wrong", "too_many_tries"):
            raise
        said = page.wording.text(f"sign_in.{refused.code}")
        return sign_in_form(page, problem=said, name=name, status=REFUSALS[refused.code][0])
    response = see_other("/")
    keep_session(response, signed_in.token, max_age_s=SESSION_MS // 1000)
    return response


async def _sign_out(page: Page) -> web.StreamResponse:
    if token := session_of(page.request):
        await page.parts.signing_in.sign_out(token)
    response = see_other("/")
    forget_session(response)
    return response


@dataclass(frozen=True)
class _AgentRow:
    """``marks``: the last entry that HQ has, per lane."""

    agent: AgentView
    contact: Contact
    ago: str
    marks: Sequence[tuple[str, int]]
    letters: int


@dataclass(frozen=True)
class _BranchRow:
    branch: Branch
    agents: Sequence[_AgentRow]


async def _overview(page: Page) -> web.StreamResponse:
    overview = page.parts.overview
    asked, problem = _asked(page)
    lines = {
        line.campaign: line for line in await overview.funnel(asked.first, asked.last, branch=asked.branch)
    }
    agents = [_agent_row(page, view) for view in await overview.agents()]
    branches = _branch_rows(overview.branches(), agents, asked.branch)
    values: dict[str, int] = defaultdict(int)
    for campaign, _ in overview.campaigns():
        values[campaign.offer.currency] += lines[campaign.id].redeemed_minor
    facts = {
        "asked": asked,
        "problem": problem,
        "is_today": asked.first == asked.last == overview.today(),
        "campaigns": [(campaign, state, lines[campaign.id]) for campaign, state in overview.campaigns()],
        "claimed": sum(line.claimed for line in lines.values()),
        "redeemed": sum(line.redeemed for line in lines.values()),
        "values": values,
        "branches": branches[:_BRANCHES_MAX],
        "branches_left": len(branches) - _BRANCHES_MAX,
        "agents_fresh": sum(row.contact == "fresh" for row in agents),
        "agents_all": len(agents),
        "issues": page.parts.tending.issues,
    }
    return page.answer("overview.html", facts, status=422 if problem else 200)


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


def _agent_row(page: Page, view: AgentView) -> _AgentRow:
    """Of several ledger files' marks the newest file's, which comes last."""
    overview = page.parts.overview
    last_ms = view.last_contact_ms
    return _AgentRow(
        agent=view,
        contact=overview.contact(view),
        ago=page.wording.span(overview.since_ms(last_ms)) if last_ms is not None else "",
        marks=list({lane.key.lane.value: lane.seq for lane in view.lanes}.items()),
        letters=sum(lane.letters for lane in view.lanes),
    )


def _branch_rows(
    branches: Sequence[Branch], agents: Sequence[_AgentRow], wanted: BranchCode | None
) -> list[_BranchRow]:
    """Those that want looking at come first."""
    by_branch: dict[BranchCode, list[_AgentRow]] = defaultdict(list)
    for row in agents:
        by_branch[row.agent.branch].append(row)
    rows = [
        _BranchRow(branch, by_branch[branch.code]) for branch in branches if wanted in (None, branch.code)
    ]
    return sorted(rows, key=lambda row: (_urgency(row), row.branch.code))


def _urgency(row: _BranchRow) -> tuple[bool, int]:
    return (
        not any(agent.letters for agent in row.agents),
        min((_URGENCY[agent.contact] for agent in row.agents), default=len(_URGENCY)),
    )


async def _look_up(page: Page) -> web.StreamResponse:
    """A code never stands in an address, which histories and logs keep."""
    if page.request.method == "GET":
        return page.answer("coupon.html", {"code": "", "problem": "", "found": None})
    code = (await read_form(page)).get("code", "")
    found = await page.parts.overview.coupon(code)
    if isinstance(found, Refusal):
        said = "coupon.unknown" if found.reason is Reason.UNKNOWN_CODE else "coupon.unreadable"
        facts = {"code": code[:200], "problem": page.wording.text(said), "found": None}
        return page.answer("coupon.html", facts, status=404)
    return page.answer("coupon.html", {"code": code, "problem": "", "found": found} | _life(page, found))


def _life(page: Page, found: CouponView) -> dict[str, object]:
    """Instants are the branch's own."""
    branch = next((each for each in page.parts.overview.branches() if each.code == found.agent.branch), None)
    zone = branch.zone_info if branch else ZoneInfo("UTC")
    issued = next((line for line in found.lines if line.what == "coupon_issued"), found.lines[0])
    names = {campaign.id: campaign for campaign, _ in page.parts.overview.campaigns()}
    campaign = names.get(issued.campaign) if issued.campaign else None
    return {
        "title": campaign.title[page.wording.language] if campaign else issued.campaign or found.coupon,
        "branch": branch.name if branch else found.agent.branch,
        "until_ms": issued.not_after_ms,
        "instant": lambda ms: page.wording.instant(ms, zone),
        "machine_time": lambda ms: from_ms(ms).astimezone(UTC).isoformat(timespec="seconds"),
        "zone": zone.key,
    }
