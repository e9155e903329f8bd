"""One coupon's life, by its code, which never stands in an address: histories and logs keep those."""

from datetime import UTC
from zoneinfo import ZoneInfo

from aiohttp import web

from cloud_api.adapters.http.console.page import Page, read_form
from cloud_api.services.overview import CouponView
from engagement.clock.moment import from_ms
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal


async def look_up(page: Page) -> web.StreamResponse:
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
    """Instants are the branch's own. A coupon that could be redeemed but for its campaign's stop is ``stopped``."""
    branch = next((each for each in page.parts.overview.branches() if each.code == found.agent.branch), None)
    zone = branch.zone_info if branch else ZoneInfo("UTC")
    issued = next((line for line in found.lines if line.what == "coupon_issued"), found.lines[0])
    names = {campaign.id: campaign for campaign, _ in page.parts.overview.campaigns()}
    campaign = names.get(issued.campaign) if issued.campaign else None
    stop = page.parts.overview.stop_of(campaign.id) if campaign else None
    is_refused = found.standing == "active" and stop is not None and not stop.honour_issued
    return {
        "standing": "stopped" if is_refused else found.standing,
        "stop": stop,
        "stopped_ago": page.ago(stop.at_ms) if stop else "",
        "campaign": campaign.id if campaign else None,
        "title": campaign.title[page.wording.language] if campaign else issued.campaign or found.coupon,
        "branch": branch.name if branch else found.agent.branch,
        "until_ms": issued.not_after_ms,
        "instant": lambda ms: page.wording.instant(ms, zone),
        "machine_time": lambda ms: from_ms(ms).astimezone(UTC).isoformat(timespec="seconds"),
        "zone": zone.key,
    }
