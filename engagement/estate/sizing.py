"""How large a bundle may be, and why a change would make one larger than any agent takes.

A bundle holds what all stores of a currency share (members, campaigns, stops) and its own branch. Each part has a share of
what an agent takes, so that a change is judged by what it puts alone; stops have what is left, for a stop is never refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydantic import BaseModel

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.bundle import EnrolledMember
from engagement.estate.estate import Access, EstateBranch
from engagement.line.addresses import BUNDLE_BYTES_MAX

# About 58,000 members with short ids, or 3,000 campaigns with long terms.
SHARED_BYTES_MAX: Final = BUNDLE_BYTES_MAX * 3 // 4
# About 7,000 beacons. What then is left of a bundle has room for 5,000 stops.
BRANCH_BYTES_MAX: Final = BUNDLE_BYTES_MAX * 3 // 16


def too_much_shared(
    before: tuple[Sequence[EnrolledMember], Sequence[Campaign]],
    after: tuple[Sequence[EnrolledMember], Sequence[Campaign]],
) -> Iterator[str]:
    """Of what every store of a currency gets; what has become less is no reason, however much it still is."""
    members, campaigns = after
    members_bytes = _sealed_bytes(members)
    for currency in sorted({campaign.offer.currency for campaign in campaigns}) or ["any currency"]:
        own = [campaign for campaign in campaigns if campaign.offer.currency == currency]
        total = members_bytes + _sealed_bytes(own)
        if total <= SHARED_BYTES_MAX:
            continue
        known = [campaign for campaign in before[1] if campaign.offer.currency == currency]
        if total > _sealed_bytes(before[0]) + _sealed_bytes(known):
            yield (
                f"{len(members)} members and {len(own)} campaigns in {currency} are {_mb(total)}, which each of its stores "
                f"would have to fetch; allowed: {_mb(SHARED_BYTES_MAX)}, which is about 58,000 members"
            )


def too_large(before: EstateBranch | None, branch: Branch, access: Access) -> Iterator[str]:
    """One that was larger before, as from a version that did not ask, may become less, or have another name."""
    size = _sealed_bytes((branch, access))
    if size > BRANCH_BYTES_MAX and (before is None or size > _sealed_bytes((before.branch, before.access))):
        yield (
            f"branch {branch.code!r} with {len(branch.beacons)} beacons is {_mb(size)}; allowed: {_mb(BRANCH_BYTES_MAX)}, "
            "which is about 7,000 beacons"
        )


def _sealed_bytes(values: Iterable[BaseModel]) -> int:
    """As a text in a JSON text, where quotes and backslashes take an octet more."""
    texts = (value.model_dump_json() for value in values)
    return sum(len(text.encode()) + text.count('"') + text.count("\\") + 1 for text in texts)


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
