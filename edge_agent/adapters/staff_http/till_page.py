"""The till: scan, see what comes off, redeem the whole order once, undo.

The page's form carries the whole draft (order id, basket, codes), so nothing of it is lost when the agent or the
browser restarts, and the page works without scripts. Whatever was decided is read from the ledger by the order's id.
"""

from dataclasses import dataclass, replace

from aiohttp import web

from edge_agent.adapters.barcode import FrameRefused, TooManyFrames
from edge_agent.adapters.staff_http.page import Form, Page, cashier_page, read_form
from edge_agent.adapters.staff_http.problems import Problem
from edge_agent.adapters.staff_http.till_view import Notice, draft_view, order_view, recent_lines
from edge_agent.adapters.wording import refusal_sentences
from edge_agent.services.redeeming import ORDER_CODES_MAX, Basket, OrderOutcome
from engagement.coupon.code import CODE_CHARS_MAX, read_code
from engagement.coupon.short_code import DIGITS, ShortCode
from engagement.coupon.token import PREFIX
from engagement.ids import OrderId, RedemptionId
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.till.typed_amount import parse_amount, typed_form

_ORDER_CHARS_MAX = 64
# 99,999.99; a larger basket goes into the amount's own field.
_AMOUNT_DIGITS_MAX = 7
# An amount, or a code that was scanned into its field.
_BASKET_CHARS_MAX = CODE_CHARS_MAX


@dataclass(frozen=True)
class Draft:
    """An order in hand. ``basket``: as typed; ``codes``: as scanned, each naming a coupon when it was added."""

    order: OrderId
    basket: str
    codes: tuple[str, ...] = ()


def add_till(app: web.Application) -> None:
    app.router.add_get("/till", cashier_page(_open))
    app.router.add_post("/till", cashier_page(_act))
    app.router.add_post("/till/frame", cashier_page(_frame))


async def show_kept(page: Page, form: Form) -> web.StreamResponse:
    """The till with the draft that a form carries, as after signing in again."""
    return await _show(page, _draft_of(page, form))


async def _open(page: Page) -> web.StreamResponse:
    return await _show(page, _fresh(page))


async def _act(page: Page) -> web.StreamResponse:
    """One press of a button. ``do`` says which; a scan ends with Enter, which presses the first one."""
    form = await read_form(page.request)
    draft = _draft_of(page, form)
    do, _, argument = str(form.get("do", "scan")).partition(" ")
    amount, code = split_scan(draft.basket)
    if code:
        return await _scan(page, replace(draft, basket=amount or str(form.get("basket_was", ""))), code)
    match do:
        case "scan":
            return await _scan(page, draft, str(form.get("scan", "")))
        case "remove":
            codes = tuple(code for index, code in enumerate(draft.codes) if str(index) != argument)
            return await _show(page, replace(draft, codes=codes))
        case "redeem":
            return await _redeem(page, draft)
        case "undo-ask":
            return await _show(page, draft, asked=RedemptionId(argument))
        case "undo":
            return await _undo(page, draft, RedemptionId(argument))
        case "new":
            return await _show(page, _fresh(page))
        case _:
            return await _show(page, draft)


async def _scan(page: Page, draft: Draft, scanned: str) -> web.StreamResponse:
    """Add a code to the draft, or take an amount over.

    A code that names no coupon is told and not kept: judging it again with every view would count as guessing.
    """
    scanned = scanned[: CODE_CHARS_MAX + 1]
    if not scanned.strip():
        return await _show(page, draft)
    order = await page.parts.redeeming.order(page.till, draft.order)
    if order is not None and order.closed_ms is not None:
        draft = _fresh(page)
    if is_amount(scanned, page.parts.bundle.branch.currency):
        return await _show(page, replace(draft, basket=scanned.strip()))
    if len(draft.codes) >= ORDER_CODES_MAX:
        notice = Notice("refused", page.wording.text("till.too_many", limit=ORDER_CODES_MAX))
        return await _show(page, draft, notice=notice)
    story = await page.parts.redeeming.story(scanned, till=page.till)
    if isinstance(story, Refusal):
        page.parts.metrics.attempt("refused", story.reason)
        words = refusal_sentences(story, page.wording, page.parts.zone)
        return await _show(page, draft, notice=Notice("refused", words.cashier, words.remedy))
    known = {story.coupon.code, story.coupon.short_code}
    if known & set(draft.codes):
        return await _show(page, draft, notice=Notice("info", page.wording.text("till.twice")))
    # Kept in its signed form, which is judged without counting tries.
    return await _show(page, replace(draft, codes=(*draft.codes, story.coupon.code)))


async def _redeem(page: Page, draft: Draft) -> web.StreamResponse:
    basket_minor = _amount(page, draft)
    if basket_minor is None:
        notice = Notice("refused", page.wording.text("till.amount_missing"))
        return await _show(page, draft, notice=notice)
    if not draft.codes:
        return await _show(page, draft, notice=Notice("info", page.wording.text("till.nothing_scanned")))
    order = await page.parts.redeeming.order(page.till, draft.order)
    if order is not None and order.closed_ms is not None:
        return await _show(page, draft)
    outcome = await _take(page, draft, basket_minor)
    for tried in outcome.codes:
        reason = tried.outcome.reason if isinstance(tried.outcome, Refusal) else None
        page.parts.metrics.attempt("refused" if reason else "accepted", reason)
    return await _result(page, draft, basket_minor, outcome)


async def _take(page: Page, draft: Draft, basket_minor: int) -> OrderOutcome:
    """Redeem and close the order; one that is closed already takes nothing more and tells what became of it."""
    basket = Basket(draft.order, basket_minor, page.parts.bundle.branch.currency)
    return await page.parts.redeeming.take_order(basket, draft.codes, till=page.till, cashier=page.cashier)


async def _result(
    page: Page,
    draft: Draft,
    basket_minor: int,
    outcome: OrderOutcome,
    *,
    notice: Notice | None = None,
    asked: RedemptionId | None = None,
) -> web.Response:
    coupons = [tried.coupon for tried in outcome.codes if tried.coupon is not None]
    campaigns = await page.parts.redeeming.campaigns_of(coupons)
    if outcome.refusal is not None:
        words = refusal_sentences(outcome.refusal, page.wording, page.parts.zone)
        notice = Notice("refused", words.cashier, words.remedy)
    view = order_view(page, draft.codes, outcome, campaigns, basket_minor)
    return await _render(page, draft, {"done": view, "open": None}, notice, asked)


async def _undo(page: Page, draft: Draft, redemption: RedemptionId) -> web.StreamResponse:
    outcome = await page.parts.redeeming.undo(redemption, till=page.till, cashier=page.cashier)
    if isinstance(outcome, Refusal):
        words = refusal_sentences(outcome, page.wording, page.parts.zone)
        return await _show(page, draft, notice=Notice("refused", words.cashier, words.remedy))
    return await _show(page, draft, notice=Notice("info", page.wording.text("till.undone_now")))


async def _show(
    page: Page, draft: Draft, *, notice: Notice | None = None, asked: RedemptionId | None = None
) -> web.Response:
    """The till as it stands: the order's result once it is closed, else what its coupons would take off."""
    redeeming = page.parts.redeeming
    order = await redeeming.order(page.till, draft.order)
    if order is not None and order.closed_ms is not None:
        closed = replace(draft, basket=typed_form(order.basket_minor, order.currency))
        outcome = await _take(page, closed, order.basket_minor)
        return await _result(page, closed, order.basket_minor, outcome, notice=notice, asked=asked)
    basket_minor = _amount(page, draft)
    basket = Basket(draft.order, basket_minor or 0, page.parts.bundle.branch.currency)
    lines = await redeeming.quote(draft.codes, basket, till=page.till)
    campaigns = await redeeming.campaigns_of([line.coupon for line in lines if line.coupon is not None])
    view = draft_view(page, draft.codes, lines, campaigns, order, basket_minor)
    return await _render(page, draft, {"open": view, "done": None}, notice, asked)


async def _render(
    page: Page,
    draft: Draft,
    view: dict[str, object],
    notice: Notice | None,
    asked: RedemptionId | None = None,
) -> web.Response:
    recent = recent_lines(
        page,
        await page.parts.redeeming.recent(page.till),
        await _campaign_titles(page),
    )
    typed_wrong = bool(draft.basket.strip()) and _amount(page, draft) is None
    return page.answer(
        "till.html",
        view
        | {
            "draft": draft,
            "notice": notice,
            "recent": recent,
            "asked": next((line for line in recent if line.redemption == asked), None),
            "typed_wrong": typed_wrong,
            "currency": page.parts.bundle.branch.currency,
        },
    )


async def _campaign_titles(page: Page) -> dict[str, str]:
    known = await page.parts.redeeming.campaigns()
    return {each.campaign.id: each.campaign.title[page.wording.language] for each in known}


async def _frame(page: Page) -> web.StreamResponse:
    """A camera frame as grey pixels; answers with the texts of the codes in it."""
    request = page.request
    try:
        width, height = (int(number) for number in request.headers.get("X-Frame-Size", "").split("x"))
    except ValueError:
        raise Problem(
            400, "frame_size", "The frame's size is missing", "Send X-Frame-Size: 640x480."
        ) from None
    try:
        codes = await page.parts.read_frame(await request.read(), width, height)
    except FrameRefused as refused:
        raise Problem(400, "frame_refused", "The frame cannot be read", str(refused)) from None
    except TooManyFrames:
        raise Problem(503, "frames_waiting", "Other frames are being read", "Send the next one.") from None
    ours = [code for code in codes if not _is_foreign(code)]
    return web.json_response({"codes": ours, "foreign": len(codes) - len(ours)})


def _is_foreign(code: str) -> bool:
    read = read_code(code)
    return isinstance(read, Refusal) and read.reason is Reason.NOT_OURS


def is_amount(scanned: str, currency: str) -> bool:
    """Whether the scan field got the basket's amount. Barcodes of goods have eight digits or more."""
    n_digits = sum(character.isdigit() for character in scanned)
    return n_digits <= _AMOUNT_DIGITS_MAX and parse_amount(scanned, currency) is not None


def split_scan(basket: str) -> tuple[str, str]:
    """The amount and the code in the amount's field: scanners type wherever the cursor stands."""
    text = basket.strip().upper()
    before, prefix, rest = text.partition(PREFIX)
    if prefix:
        return before, prefix + rest
    before, digits = text[:-DIGITS], text[-DIGITS:]
    if isinstance(read_code(digits), ShortCode):
        return before, digits
    return basket, ""


def _fresh(page: Page) -> Draft:
    return Draft(page.parts.redeeming.begin_order(), "")


def _draft_of(page: Page, form: Form) -> Draft:
    """What the form carries; a form without an order's id begins one."""
    order = str(form.get("order", ""))[:_ORDER_CHARS_MAX]
    basket = str(form.get("basket", ""))
    codes = [str(code)[: CODE_CHARS_MAX + 1] for code in form.getall("code", [])][:ORDER_CODES_MAX]
    if not order.isascii() or not order.isprintable() or " " in order or not order:
        order = page.parts.redeeming.begin_order()
    return Draft(OrderId(order), basket[:_BASKET_CHARS_MAX], tuple(dict.fromkeys(codes)))


def _amount(page: Page, draft: Draft) -> int | None:
    return parse_amount(draft.basket, page.parts.bundle.branch.currency)
