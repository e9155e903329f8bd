"""The rest of what staff use: the day's sheet, the kill switch, a coupon's story, the scanner test."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from io import StringIO

from aiohttp import web
from markupsafe import Markup

from edge_agent.adapters.qr import qr_svg
from edge_agent.adapters.staff_http.page import Page, cashier_page, paired_page, read_form, see_other
from edge_agent.adapters.staff_http.problems import Problem
from edge_agent.adapters.staff_http.till_view import Notice, offer_text
from edge_agent.adapters.wording import refusal_sentences
from edge_agent.services.redeeming import CouponStory
from engagement.clock.moment import to_ms
from engagement.coupon.code import CODE_CHARS_MAX
from engagement.coupon.short_code import grouped
from engagement.ids import CampaignId, LocalDay
from engagement.refusal.refusal import Refusal
from engagement.till.scanner import TEST_TEXT, TYPED_CHARS_MAX, judge_scan
from engagement.till.sheet import SheetLine
from engagement.till.typed_amount import typed_form

_NOON = time(12)
_COLUMNS = (
    "day",
    "branch",
    "campaign",
    "currency",
    "issued",
    "issued_amount_max",
    "redeemed",
    "redeemed_amount",
    "undone",
    "undone_amount",
    "net_amount",
)


@dataclass(frozen=True)
class SheetRow:
    """Counts and amounts of one campaign, or of all."""

    title: str
    issued: int
    issued_minor: int
    redeemed: int
    redeemed_minor: int
    undone: int
    undone_minor: int
    net_minor: int


def add_office(app: web.Application) -> None:
    app.router.add_get("/till/sheet", cashier_page(_sheet))
    app.router.add_get("/till/sheet.csv", cashier_page(_sheet_csv))
    app.router.add_get("/till/campaigns", cashier_page(_campaigns))
    app.router.add_post("/till/campaigns", cashier_page(_stop))
    app.router.add_get("/staff/coupon", cashier_page(_coupon))
    app.router.add_post("/staff/coupon", cashier_page(_coupon))
    app.router.add_get("/till/scanner", paired_page(_scanner))
    app.router.add_post("/till/scanner", paired_page(_scanner))


async def _sheet(page: Page) -> web.StreamResponse:
    day, lines = await page.parts.redeeming.sheet(_wanted_day(page))
    today, _ = await page.parts.redeeming.sheet()
    rows, total = _rows(page, lines)
    shown = date.fromisoformat(day)
    return page.answer(
        "sheet.html",
        {
            "day": day,
            "day_text": page.wording.day(
                to_ms(datetime.combine(shown, _NOON, page.parts.zone)), page.parts.zone
            ),
            "today": today,
            "before": (shown - timedelta(days=1)).isoformat() if shown > date.min else None,
            "after": (shown + timedelta(days=1)).isoformat() if day < today else None,
            "rows": rows,
            "total": total,
            "agent": page.parts.bundle.agent,
        },
    )


async def _sheet_csv(page: Page) -> web.StreamResponse:
    """One line per campaign, amounts in whole units with a point, for any spreadsheet."""
    day, lines = await page.parts.redeeming.sheet(_wanted_day(page))
    text = StringIO()
    table = csv.writer(text)
    table.writerow(_COLUMNS)
    for line in lines:
        amounts = [
            typed_form(minor, line.currency)
            for minor in (line.issued_minor, line.redeemed_minor, line.undone_minor)
        ]
        net = ("-" if line.net_minor < 0 else "") + typed_form(abs(line.net_minor), line.currency)
        table.writerow(
            (
                day,
                page.parts.bundle.branch.code,
                line.campaign,
                line.currency,
                line.issued,
                amounts[0],
                line.redeemed,
                amounts[1],
                line.undone,
                amounts[2],
                net,
            )
        )
    # The mark at the start makes spreadsheets read it as UTF-8.
    return web.Response(
        body=("\ufeff" + text.getvalue()).encode(),
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="beckon-{page.parts.bundle.branch.code}-{day}.csv"',
        },
    )


def _wanted_day(page: Page) -> LocalDay | None:
    wanted = page.request.query.get("day")
    if not wanted:
        return None
    try:
        return LocalDay(date.fromisoformat(wanted).isoformat())
    except ValueError:
        raise Problem(
            400, "no_such_day", "There is no such day", "The address needs a day such as ?day=2026-11-21."
        ) from None


def _rows(page: Page, lines: Sequence[SheetLine]) -> tuple[list[SheetRow], SheetRow]:
    titles = {each.id: each.title[page.wording.language] for each in page.parts.bundle.campaigns}
    rows = [
        SheetRow(
            titles.get(line.campaign, line.campaign),
            line.issued,
            line.issued_minor,
            line.redeemed,
            line.redeemed_minor,
            line.undone,
            line.undone_minor,
            line.net_minor,
        )
        for line in lines
    ]
    total = SheetRow(
        page.wording.text("sheet.total"),
        sum(row.issued for row in rows),
        sum(row.issued_minor for row in rows),
        sum(row.redeemed for row in rows),
        sum(row.redeemed_minor for row in rows),
        sum(row.undone for row in rows),
        sum(row.undone_minor for row in rows),
        sum(row.net_minor for row in rows),
    )
    return rows, total


async def _campaigns(page: Page) -> web.StreamResponse:
    known = await page.parts.redeeming.campaigns()
    wanted = page.request.query.get("stop")
    asked = next((each for each in known if each.campaign.id == wanted), None)
    return page.answer("campaigns.html", {"known": known, "asked": asked})


async def _stop(page: Page) -> web.StreamResponse:
    """Pull the kill switch; the page has asked before and said what becomes of coupons given out."""
    form = await read_form(page.request)
    honour = str(form.get("issued", ""))
    if honour not in ("honour", "refuse"):
        raise Problem(
            400, "choice_missing", "Choose what becomes of coupons given out", "Go back and choose."
        )
    outcome = await page.parts.redeeming.stop(
        CampaignId(str(form.get("campaign", ""))),
        by=f"{page.till} / {page.cashier}",
        honour_issued=honour == "honour",
    )
    if isinstance(outcome, Refusal):
        words = refusal_sentences(outcome, page.wording, page.parts.zone)
        raise Problem(404, outcome.reason, words.cashier, words.remedy)
    return see_other("/till/campaigns")


async def _coupon(page: Page) -> web.StreamResponse:
    """A coupon's story. The code comes in a form's body: an address would stay in the browser's history."""
    code = str((await read_form(page.request)).get("code", ""))[: CODE_CHARS_MAX + 1]
    if not code.strip():
        return page.answer("coupon.html", {"story": None, "notice": None, "typed": ""})
    story = await page.parts.redeeming.story(code, till=page.till)
    if isinstance(story, Refusal):
        words = refusal_sentences(story, page.wording, page.parts.zone)
        notice = Notice("refused", words.cashier, words.remedy)
        return page.answer("coupon.html", {"story": None, "notice": notice, "typed": code})
    return page.answer("coupon.html", {"story": story, "notice": None, "typed": ""} | _told(page, story))


def _told(page: Page, story: CouponStory) -> dict[str, object]:
    coupon = story.coupon
    return {
        "title": story.campaign.title[page.wording.language],
        "terms": story.campaign.terms[page.wording.language],
        "offer": offer_text(page, coupon),
        "short_code": grouped(coupon.short_code),
    }


async def _scanner(page: Page) -> web.StreamResponse:
    form = await read_form(page.request)
    typed = str(form.get("typed", ""))[:TYPED_CHARS_MAX]
    report = judge_scan(typed) if "typed" in form else None
    # Drawn here from our own text, so it may stand in the page as it is.
    qr = Markup(qr_svg(TEST_TEXT))  # noqa: S704
    return page.answer("scanner.html", {"qr": qr, "report": report, "typed": typed})
