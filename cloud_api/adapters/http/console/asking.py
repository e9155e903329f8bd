"""What days and branches the overview is asked for, and which of many branches a page of it lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from pydantic import ValidationError

from cloud_api.adapters.http.console.page import Page
from cloud_api.adapters.http.models import FunnelQuery
from engagement.estate.branch import Branch
from engagement.ids import BranchCode

# What somebody looks through at once; those that want looking at come first.
BRANCHES_PER_PAGE = 30
# A name or a part of one; as much of it is said back.
_TYPED_CHARS_MAX = 80
_DIGITS_MAX = 5


@dataclass(frozen=True)
class Asked:
    """``days``: those that were named, for a page of today goes on to the next day by itself; ``typed``: what stood in the
    field for the branch; ``branches``: those that it fits, whose funnel is shown where it is one alone; ``number``: the page
    of them, from 1."""

    query: FunnelQuery
    branches: Sequence[Branch]
    days: Mapping[str, str] = field(default_factory=dict)
    typed: str = ""
    number: int = 1
    problem: str = ""

    def address(self, **changes: object) -> str:
        """The overview as it was asked for but for these fields."""
        fields = {**self.days, "branch": self.typed} | changes
        return "/?" + urlencode({name: value for name, value in fields.items() if value})


def asked_of(page: Page) -> Asked:
    query = page.request.query
    typed = query.get("branch", "").strip()[:_TYPED_CHARS_MAX]
    every = page.parts.overview.branches()
    found = _fitting(every, typed) if typed else every
    if not found:
        said = page.wording.text("overview.no_branch", branch=typed)
        return Asked(_days(page, {}), every, problem=said)
    days = {name: value for name in ("from", "to") if (value := query.get(name, "").strip())}
    one = found[0].code if typed and len(found) == 1 else None
    try:
        return Asked(_days(page, days, one), found, days, typed, _number(query.get("page", "")))
    except ValidationError:
        return Asked(_days(page, {}), every, problem=page.wording.text("overview.no_days"))


def _days(page: Page, days: Mapping[str, str], branch: BranchCode | None = None) -> FunnelQuery:
    """Errors: ValidationError."""
    today = page.parts.overview.today()
    given = {"from": today, "to": today, **days, **({"branch": branch} if branch else {})}
    return FunnelQuery.model_validate(given)


def _fitting(branches: Sequence[Branch], typed: str) -> Sequence[Branch]:
    """The branch with this code, else all that have this in their code or their name."""
    wanted = typed.casefold()
    exactly = [branch for branch in branches if branch.code.casefold() == wanted]
    return exactly or [
        branch for branch in branches if wanted in branch.name.casefold() or wanted in branch.code.casefold()
    ]


def _number(text: str) -> int:
    """Anybody may write an address: what is no page's number is the first's."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX
    return max(1, int(text)) if is_number else 1
