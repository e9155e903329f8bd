"""What a person sees when a page cannot be shown; what was typed is kept for another try."""

from aiohttp import web

from edge_agent.adapters.staff_http.page import draft_fields, page_of, read_form
from edge_agent.adapters.staff_http.problems import Problem


async def page_for_error(request: web.Request, problem: Problem) -> web.Response:
    """The error in a frame of ours: common ones in the reader's language, others as tills' programs are told them."""
    page = page_of(request)
    key = f"error.{problem.status}"
    known = page.wording.texts.get(key) is not None
    kept = []
    if request.method == "POST" and request.path == "/till" and problem.status >= 500:
        form = await read_form(request)
        kept = [*draft_fields(form), ("do", str(form.get("do", "scan"))), ("scan", str(form.get("scan", "")))]
    facts = {
        "heading": page.wording.text(key) if known else problem.title,
        "detail": page.wording.texts.get(f"error_do.{problem.code}", problem.detail),
        "code": problem.code,
        "kept": kept,
    }
    response = page.answer("error.html", facts, status=problem.status)
    for name, value in problem.headers.items():
        response.headers[name] = value
    return response
