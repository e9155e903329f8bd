"""An agent's page, and what can be done about an agent: judge its dead letters again, take its key from it,
write off what it holds."""

from dataclasses import dataclass

from aiohttp import web

from cloud_api.adapters.http.console.agent_rows import agent_row
from cloud_api.adapters.http.console.ledger_rows import holding_rows
from cloud_api.adapters.http.console.page import Page, agent_address, confirm_page, missing_page, see_other
from cloud_api.ports.storage import KeptLetter
from cloud_api.services.overview import AgentView
from engagement.ids import AgentName

# The newest reasons are seen in a few; all of them are in the API.
_LETTERS_MAX = 20
_BODY_CHARS_MAX = 160
# Counts in an address are ours, but anybody may write one.
_DIGITS_MAX = 9


@dataclass(frozen=True)
class _LetterRow:
    kept: KeptLetter
    why: str
    body: str
    ago: str


async def agent_page(page: Page) -> web.StreamResponse:
    view = await _agent_of(page)
    if view is None:
        return missing_page(page)
    letters = await page.parts.rejudging.page(agent=view.name, limit=_LETTERS_MAX)
    row = agent_row(page, view)
    overview = page.parts.overview
    books = await page.parts.lending.holdings(view.name)
    branches = {branch.code: branch for branch in overview.branches()}
    facts = {
        "row": row,
        "branch": branches.get(view.branch),
        "letters": [_letter_row(page, kept) for kept in letters.letters],
        "is_given_up": books.is_given_up,
        "holdings": holding_rows(books),
        "titles": {
            campaign.id: campaign.title[page.wording.language] for campaign, _ in overview.campaigns()
        },
        "letters_left": row.letters - len(letters.letters),
        "judged": _number(page, "judged"),
        "used": _number(page, "used"),
    }
    return page.answer("agent.html", facts)


async def judged(page: Page) -> web.StreamResponse:
    """The form's address, opened as a page: somebody had to sign in before it was done."""
    return see_other(f"{agent_address(_name(page))}#letters")


async def judge_again(page: Page) -> web.StreamResponse:
    agent = _name(page)
    outcome = await page.parts.rejudging.judge(agent=agent)
    return see_other(f"{agent_address(agent)}?judged={outcome.judged}&used={outcome.used}#letters")


async def revoke(page: Page) -> web.StreamResponse:
    """Asked for by a page of its own, which says what follows; done by its form. Where it is done already, as for who went
    back, there is nothing to ask."""
    view = await _agent_of(page)
    if view is None:
        return missing_page(page)
    if page.request.method == "POST":
        await page.parts.revoking.revoke(view.name, by=page.user)
        return see_other(agent_address(view.name))
    if view.state == "revoked":
        return see_other(agent_address(view.name))
    return confirm_page(page, "revoke", name=view.name, back=agent_address(view.name))


async def write_off(page: Page) -> web.StreamResponse:
    """As revoke."""
    view = await _agent_of(page)
    if view is None:
        return missing_page(page)
    if page.request.method == "POST":
        await page.parts.lending.write_off(view.name, by=page.user)
        return see_other(agent_address(view.name))
    back, is_awaited = agent_address(view.name), view.name in page.awaited
    if not is_awaited and (await page.parts.lending.holdings(view.name)).is_given_up:
        return see_other(back)
    return confirm_page(page, "write_off", name=view.name, back=back, is_dangerous=is_awaited)


def _name(page: Page) -> AgentName:
    return AgentName(page.request.match_info["agent"])


async def _agent_of(page: Page) -> AgentView | None:
    """Also one that only holds rights: somebody may have to write it off."""
    name, overview = _name(page), page.parts.overview
    view = await overview.agent(name)
    return overview.forgotten(name) if view is None and await page.parts.lending.knows(name) else view


def _letter_row(page: Page, kept: KeptLetter) -> _LetterRow:
    body = kept.letter.body[: 4 * _BODY_CHARS_MAX].decode(errors="replace")
    return _LetterRow(
        kept=kept,
        why=page.wording.known(f"letter.{kept.letter.code}", kept.letter.code),
        body=body[:_BODY_CHARS_MAX] + ("…" if len(body) > _BODY_CHARS_MAX else ""),
        ago=page.ago(kept.received_ms),
    )


def _number(page: Page, name: str) -> int | None:
    text = page.request.query.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX else None
