"""A campaign's page: what it gives and what came of it today, where its budget is, and how to stop it everywhere."""

from aiohttp import web

from cloud_api.adapters.http.console.ledger_rows import ledger_rows
from cloud_api.adapters.http.console.page import (
    Page,
    campaign_address,
    confirm_page,
    missing_page,
    read_form,
    see_other,
)
from cloud_api.adapters.http.problems import Problem
from engagement.campaign.model import Campaign
from engagement.campaign.state import CampaignState
from engagement.ids import CampaignId

# What a stop may do to coupons that were given: field and value of its form, the milder one first.
_CHOICES = (("coupons", "honoured"), ("coupons", "refused"))


async def campaign_page(page: Page) -> web.StreamResponse:
    found = _campaign_of(page)
    if found is None:
        return missing_page(page)
    campaign, state = found
    overview, today = page.parts.overview, page.parts.overview.today()
    stopped = overview.stop_of(campaign.id)
    lines = await overview.funnel(today, today, branch=None)
    facts = {
        "campaign": campaign,
        "state": state,
        "line": next(line for line in lines if line.campaign == campaign.id),
        "stop": stopped,
        "ledger": ledger_rows(await page.parts.lending.ledger(campaign.id)),
        "opens": page.wording.minute(campaign.window.opens_at),
        "ends": page.wording.minute(campaign.window.ends_at),
        "stopped_ago": page.ago(stopped.at_ms) if stopped else "",
        "offer": _offer(page, campaign),
    }
    return page.answer("campaign.html", facts)


async def stop(page: Page) -> web.StreamResponse:
    """Asked for by a page of its own, which says what follows; done by its form. Where nothing is left to stop, as for who
    went back, there is nothing to ask."""
    found = _campaign_of(page)
    if found is None:
        return missing_page(page)
    campaign, _ = found
    back = campaign_address(campaign.id)
    if page.request.method != "POST":
        stopped = page.parts.overview.stop_of(campaign.id)
        if stopped is not None and not stopped.honour_issued:
            return see_other(back)
        title = campaign.title[page.wording.language]
        return confirm_page(page, "stop", name=title, back=back, choices=_CHOICES)
    chosen = ("coupons", (await read_form(page)).get("coupons", ""))
    if chosen not in _CHOICES:
        raise Problem(400, "choice_missing", "Nothing was chosen", "Open the page again and choose.")
    await page.parts.changing.stop(campaign.id, honour_issued=chosen == _CHOICES[0], by=page.user)
    return see_other(back)


def _campaign_of(page: Page) -> tuple[Campaign, CampaignState] | None:
    wanted = CampaignId(page.request.match_info["campaign"])
    return next((found for found in page.parts.overview.campaigns() if found[0].id == wanted), None)


def _offer(page: Page, campaign: Campaign) -> str:
    """What a coupon is worth, in a sentence."""
    offer, wording = campaign.offer, page.wording
    least = wording.money(offer.min_spend_minor, offer.currency)
    if offer.kind == "cash":
        return wording.text("offer.cash", value=wording.money(offer.value_minor, offer.currency), least=least)
    most = wording.money(offer.cap_minor, offer.currency)
    return wording.text("offer.percent", share=wording.share(offer.off_bps, 10_000), most=most, least=least)
