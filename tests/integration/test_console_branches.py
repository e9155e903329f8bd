"""The overview of a chain with more branches than a page holds: finding one, going through all of them, what comes first."""

import re

import pytest

from engagement.ids import AgentName, BranchCode
from tests.fakes.cloud_fixtures import Enrolled
from tests.fakes.cloud_process import Desk
from tests.fakes.estates import branch
from tests.fakes.hq import ALWAYS, WELCOME, Chain
from tests.fakes.plain_browser import PlainBrowser
from tests.fakes.shop import campaign

COUNT = 70
LATER = campaign(id="later", number=9, window=ALWAYS | {"opens_at": "2098-01-01T09:00:00+00:00"})
EURO = campaign(
    id="euro",
    number=8,
    offer={"kind": "cash", "value_minor": 500, "min_spend_minor": 2500, "currency": "EUR"},
    window=ALWAYS,
)
AILING = AgentName("s69-1")
NAMED = {5: "南京东路店", 6: "Harbour <Mall>", 7: "Harbour Station"}


@pytest.fixture(scope="module")
def laid_out() -> Chain:
    return Chain(
        branches=tuple(
            branch(
                f"S{number}",
                f"s{number}-1",
                name=NAMED.get(number, f"Store {number}"),
                currency="EUR" if number == 4 else "CNY",
            )
            for number in range(COUNT)
        ),
        campaigns=(WELCOME, EURO, LATER),
    )


@pytest.fixture(scope="module")
def enrolled() -> Enrolled:
    return ((BranchCode("S69"), AILING),)


def branches_of(html: str) -> list[str]:
    return re.findall(r'<span class="mono">(S\d+)</span>', html)


async def test_every_branch_is_on_one_page_and_the_next_ones_are_a_link_away(
    still_browser: PlainBrowser,
) -> None:
    address, seen = "/", []
    for _ in range(COUNT):
        _, html = await still_browser.get(address)
        seen += branches_of(html)
        after = re.search(r'id="after" rel="next" href="([^"]+)"', html)
        if after is None:
            break
        address = after[1].replace("&amp;", "&").partition("#")[0]
    assert len(seen) == COUNT
    assert len(set(seen)) == COUNT


@pytest.mark.parametrize("number", ["0", "-1", "9999", "99999999", "x", "٣", ""])
async def test_a_page_that_is_none_is_the_nearest_one(still_browser: PlainBrowser, number: str) -> None:
    response, html = await still_browser.get(f"/?page={number}")
    assert response.status == 200
    assert branches_of(html)


@pytest.mark.parametrize(
    ("typed", "found"),
    [("s5", ["S5"]), ("南京", ["S5"]), ("harbour", ["S6", "S7"]), ("HARBOUR st", ["S7"]), ("<mall>", ["S6"])],
)
async def test_a_branch_is_found_by_its_code_or_a_part_of_its_name(
    still_browser: PlainBrowser, typed: str, found: list[str]
) -> None:
    response, html = await still_browser.get(f"/?branch={typed}")
    assert (response.status, branches_of(html)) == (200, found)
    assert ("branches fit" in html) == (len(found) > 1)
    assert "<Mall>" not in html


async def test_what_ails_comes_first_and_is_counted(still_browser: PlainBrowser, still_hq: Desk) -> None:
    report = {
        "number": 1,
        "bundle_sequence": 1,
        "status": "degraded",
        "issues": ["of_a_later_version"],
        "backlog": {},
        "version": "2",
    }
    status, answer = await still_hq.say(AILING, "reports", report)
    assert status == 200, answer
    _, html = await still_browser.get("/")
    assert branches_of(html)[0] == "S69"
    assert "With trouble: 1<" in html
    assert "no words for: of_a_later_version" in html
    _, html = await still_browser.get("/?branch=S5")
    assert "With trouble" not in html


async def test_a_campaign_that_has_not_begun_shows_when_it_does_and_no_funnel(
    still_browser: PlainBrowser,
) -> None:
    for address in ("/", "/campaigns/later"):
        _, html = await still_browser.get(address)
        later = html.partition('data-campaign="later"')[2].partition('id="branches"')[0]
        assert "Starts Jan 1, 2098" in later
        assert 'data-of="shown"' not in later


async def test_a_currency_in_which_nothing_came_off_is_not_told(still_browser: PlainBrowser) -> None:
    _, html = await still_browser.get("/")
    tiles = html.partition('class="tiles"')[2].partition("</div>")[0]
    assert "CN¥0.00" in tiles
    assert "€" not in tiles
