"""No change makes a bundle that agents would not take; and a stop is never refused for it."""

from functools import cache
from hashlib import sha256

import pytest

from engagement.estate.bundle import EnrolledMember
from engagement.estate.bundling import bundle_for
from engagement.estate.estate import Estate, EstateBranch, PutMembers, StopCampaign
from engagement.estate.sealing import seal_bundle
from engagement.estate.sizing import BRANCH_BYTES_MAX, SHARED_BYTES_MAX
from engagement.ids import AgentName, MemberId
from engagement.line.addresses import BUNDLE_BYTES_MAX
from tests.fakes import shop
from tests.fakes.estates import after, branch, publish, put, tried
from tests.fakes.hq_authority import make_sealing

A1 = AgentName("a-1")
ESTATE = after(Estate(), *put(branch("A", "a-1")), *publish(shop.campaign()))
# A member with such an id, as it stands in a sealed bundle.
_MEMBER_BYTES = 107


@cache
def members(count: int, prefix: str = "m-") -> PutMembers:
    names = (f"{prefix}{number:06}" for number in range(count))
    return PutMembers(
        members=tuple(
            EnrolledMember(id=MemberId(name), code_sha256=sha256(name.encode()).hexdigest()) for name in names
        )
    )


def told(estate: Estate, *steps: PutMembers) -> str:
    (complaint,) = result if isinstance(result := tried(estate, *steps), tuple) else ("nothing",)
    return complaint


@pytest.fixture(scope="module")
def full() -> Estate:
    """With nearly as many members as may be."""
    return after(ESTATE, members(SHARED_BYTES_MAX // _MEMBER_BYTES - 50))


def test_a_full_bundle_is_one_that_agents_take(full: Estate) -> None:
    bundle, authority = bundle_for(full, A1), make_sealing().authority
    assert bundle is not None
    assert authority is not None
    size = len(seal_bundle(bundle, authority).encode())
    assert SHARED_BYTES_MAX * 0.98 < size < SHARED_BYTES_MAX * 1.02
    assert SHARED_BYTES_MAX * 1.02 + BRANCH_BYTES_MAX < BUNDLE_BYTES_MAX


def test_more_members_than_agents_take_are_refused_with_their_size() -> None:
    assert told(ESTATE, members(100_000)) == (
        "100000 members and 1 campaigns in CNY are 10.2 MB, which each of its stores would have to fetch; allowed: 6.0 MB, "
        "which is about 58,000 members"
    )
    assert "members and 0 campaigns in any currency" in told(Estate(), members(60_000))


def test_long_ids_and_letters_that_grow_when_quoted_count(full: Estate) -> None:
    assert "20000 members" in told(ESTATE, members(20_000, prefix='"\\' * 37))
    assert "members" in told(full, members(len(full.members) + 200))


def test_a_stop_of_a_full_chain_goes_through(full: Estate) -> None:
    stop = StopCampaign(campaign=shop.campaign().id)
    assert isinstance(tried(full, stop), Estate)


def test_what_was_too_much_before_this_was_asked_may_become_less() -> None:
    estate = ESTATE.model_copy(update={"members": members(70_000).members})
    assert isinstance(tried(estate, members(60_000)), Estate)
    assert told(estate, members(100_000)) != "nothing"
    assert isinstance(tried(estate, *put(branch("A", "a-1", name="Other"))), Estate)


def tags(count: int) -> list[dict[str, object]]:
    return [
        {"name": f"b-{number}", "role": "tag", "altbeacon": {"id": f"{number:040x}"}}
        for number in range(count)
    ]


def test_a_branch_has_a_size_too() -> None:
    result = tried(ESTATE, *put(branch("BIG", "big-1", beacons=tags(9_000))))
    assert result == (
        "branch 'BIG' with 9000 beacons is 1.6 MB; allowed: 1.5 MB, which is about 7,000 beacons",
    )


def test_a_branch_that_was_too_large_before_this_was_asked_may_become_less() -> None:
    large = EstateBranch(
        branch=branch("BIG", agents=[{"name": "big-1", "number": 2}], beacons=tags(9_500)), changed=1
    )
    estate = ESTATE.model_copy(update={"branches": (*ESTATE.branches, large)})
    assert isinstance(tried(estate, *put(branch("BIG", "big-1", beacons=tags(9_400)))), Estate)
    assert isinstance(tried(estate, *put(branch("BIG", "big-1", beacons=tags(9_600)))), tuple)
