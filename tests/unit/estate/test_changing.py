"""What a change does to the estate, and everything that it may not do."""

from typing import Any

import pytest

from engagement.clock.moment import to_ms
from engagement.estate.bundling import bundle_for, places, sequence_of
from engagement.estate.estate import (
    Access,
    Change,
    DropBranch,
    Estate,
    EstateBranch,
    PutBranch,
    PutMembers,
    Step,
    StopCampaign,
)
from engagement.ids import AgentName, BranchCode, CampaignId, TillName
from engagement.rights.messages import ACCOUNTS_MAX
from tests.fakes import shop
from tests.fakes.estates import access, after, branch, member, publish, put, tried

EMPTY = Estate()
WELCOME = shop.campaign()
SHAKE = shop.shake_campaign()
EURO = {"kind": "cash", "value_minor": 2000, "currency": "EUR"}
A1, B1 = AgentName("a-1"), AgentName("b-1")


def two_branches() -> Estate:
    return after(EMPTY, *put(branch("B", "b-1"), branch("A", "a-1", "a-2")), *publish(SHAKE, WELCOME))


def stop(campaign: str, *, honour_issued: bool = False) -> StopCampaign:
    return StopCampaign(campaign=CampaignId(campaign), honour_issued=honour_issued)


def numbers_of(estate: Estate) -> dict[str, int | None]:
    return {name: place.agent.number for name, place in places(estate).items()}


def sequences_of(estate: Estate) -> dict[str, int]:
    return {each.branch.code: sequence_of(estate, each) for each in estate.branches}


def complaints(estate: Estate, *steps: Step, **options: Any) -> tuple[str, ...]:
    result = tried(estate, *steps, **options)
    assert not isinstance(result, Estate)
    return result


def test_no_more_campaigns_run_at_once_than_an_agent_can_ask_rights_for() -> None:
    many = [shop.campaign(id=f"c{number}", number=number) for number in range(1, ACCOUNTS_MAX + 1)]
    more = shop.campaign(id="more", number=1000)
    full = after(EMPTY, *put(branch("A", "a-1")), *publish(*many))
    assert complaints(full, *publish(more)) == (
        "201 campaigns in CNY are neither stopped nor over; at most 200 may be, so stop some first",
    )
    assert len(after(full, stop("c1"), *publish(more)).campaigns) == ACCOUNTS_MAX + 1
    ended = to_ms(many[0].window.ends_at) + 1
    assert isinstance(tried(full, *publish(more), at_ms=ended), Estate)


def test_one_adapter_is_one_receiver_in_what_is_put_and_stays_in_what_was() -> None:
    """What HQ has from before this was asked is still read, and changed elsewhere."""
    receivers = [{"adapter": "hci0", "zone": zone} for zone in ("a", "b")]
    twice = branch("A", agents=[{"name": "a-1", "receivers": receivers}], zones=["a", "b"])
    assert complaints(EMPTY, *put(twice)) == (
        "branch 'A': adapter 'hci0' of agent 'a-1' is named twice; allowed: one receiver for each",
    )
    estate = EMPTY.model_copy(update={"branches": (EstateBranch(branch=twice, changed=0),)})
    assert len(after(estate, *put(branch("B", "b-1"))).branches) == 2


def test_branches_stand_in_order_of_code_and_campaigns_in_order_of_number() -> None:
    estate = two_branches()
    assert estate.revision == 1
    assert [each.branch.code for each in estate.branches] == ["A", "B"]
    assert [each.id for each in estate.campaigns] == ["welcome", "shake"]


def test_agents_get_numbers_in_the_order_of_the_steps() -> None:
    assert numbers_of(two_branches()) == {"b-1": 1, "a-1": 2, "a-2": 3}


def test_a_number_that_is_asked_for_is_given_to_nobody_else() -> None:
    asking = branch("B", agents=[{"name": "b-1", "number": 1}])
    assert numbers_of(after(EMPTY, *put(branch("A", "a-1"), asking))) == {"a-1": 2, "b-1": 1}


def test_numbers_of_agents_that_are_gone_are_never_given_again() -> None:
    estate = after(EMPTY, *put(branch("A", "a-1")), numbers={AgentName("old"): 1, AgentName("older"): 2})
    assert numbers_of(estate) == {"a-1": 3}


def test_an_agent_that_comes_back_or_moves_has_its_number_again() -> None:
    estate = two_branches()
    moved = after(estate, *put(branch("A", "a-2"), branch("B", "b-1", "a-1")))
    assert numbers_of(moved) == numbers_of(estate)
    gone = after(moved, DropBranch(code=BranchCode("B")))
    assert numbers_of(after(gone, *put(branch("C", "b-1")), numbers={B1: 1, A1: 2}))["b-1"] == 1


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (3, "agent 'a-1' has number 2 for good; it cannot become 3"),
        (9, "agent 'a-1' has number 2 for good; it cannot become 9"),
    ],
)
def test_an_agents_number_never_changes(number: int, says: str) -> None:
    asking = branch("A", agents=[{"name": "a-1", "number": number}, {"name": "a-2"}])
    assert complaints(two_branches(), *put(asking)) == (says,)


def test_the_number_of_another_agent_is_refused_even_if_that_one_is_gone() -> None:
    asking = branch("A", agents=[{"name": "a-1", "number": 7}])
    assert complaints(EMPTY, *put(asking), numbers={AgentName("old"): 7}) == (
        "agent 'a-1' cannot have number 7: it is that of agent 'old'",
    )


def test_a_change_that_changes_nothing_is_the_same_estate() -> None:
    estate = two_branches()
    same: list[Step] = [*put(branch("A", "a-1", "a-2")), *publish(WELCOME), PutMembers()]
    assert tried(estate, *same) is estate
    stopped = after(estate, stop("shake"))
    assert tried(stopped, stop("shake"), *publish(SHAKE)) is stopped


def test_a_branch_that_changes_leaves_the_others_alone() -> None:
    estate = after(two_branches(), *put(branch("A", "a-1", "a-2", zones=["door", "cafe"])))
    assert (estate.revision, sequences_of(estate)) == (2, {"A": 2, "B": 1})


def test_a_campaign_of_all_branches_raises_one_number() -> None:
    estate = after(two_branches(), *publish(shop.campaign(id="more", number=9)))
    assert (estate.changed, [each.changed for each in estate.branches]) == (2, [1, 1])


def test_a_campaign_raises_only_the_branches_where_it_runs() -> None:
    listing = branch("A", "a-1", campaigns=["welcome"])
    euro = branch("E", "e-1", currency="EUR", zones=["cafe"])
    estate = after(EMPTY, *publish(WELCOME), *put(listing, euro, branch("B", "b-1")))
    more = after(estate, *publish(shop.campaign(id="more", number=9)))
    assert sequences_of(more) == {"A": 1, "B": 2, "E": 1}
    cafe = shop.campaign(id="cafe", number=10, trigger={"on": "welcome_back", "zone": "cafe"}, offer=EURO)
    assert sequences_of(after(more, *publish(cafe))) == {"A": 1, "B": 2, "E": 3}


def test_a_new_edition_raises_the_branches_that_had_the_old_one() -> None:
    here = {"on": "welcome_back", "zone": "cafe"}
    back = shop.campaign(id="back", number=9, trigger=here)
    estate = after(
        EMPTY,
        *put(branch("A", "a-1", zones=["cafe"]), branch("B", "b-1"), branch("C", "c-1")),
        *publish(back),
    )
    moved = back.model_copy(
        update={"edition": 2, "trigger": back.trigger.model_copy(update={"zone": "door"})}
    )
    later = after(estate, *publish(moved))
    assert sequences_of(later) == {"A": 2, "B": 2, "C": 2}
    for agent, runs in (("a-1", False), ("b-1", True)):
        bundle = bundle_for(later, AgentName(agent))
        assert bundle is not None
        assert bool(bundle.campaigns) == runs


def test_a_stop_reaches_every_branch_of_its_currency() -> None:
    euro = branch("E", "e-1", currency="EUR")
    estate = after(EMPTY, *put(branch("A", "a-1", campaigns=[]), euro), *publish(WELCOME))
    stopped = after(estate, stop("welcome"))
    assert sequences_of(stopped) == {"A": 2, "E": 1}
    here, there = (bundle_for(stopped, AgentName(agent)) for agent in ("a-1", "e-1"))
    assert here is not None
    assert there is not None
    assert [(each.campaign, each.honour_issued, each.by) for each in here.stops] == [("welcome", False, "hq")]
    assert there.stops == ()


@pytest.mark.parametrize(
    ("first", "second", "honours", "revision"),
    [(True, False, False, 3), (False, True, False, 2), (True, True, True, 2)],
)
def test_a_stop_only_becomes_stricter(first: bool, second: bool, honours: bool, revision: int) -> None:
    estate = after(two_branches(), stop("shake", honour_issued=first))
    again = after(estate, stop("shake", honour_issued=second))
    assert (again.stops[0].honour_issued, again.revision) == (honours, revision)


def test_members_are_everybodys() -> None:
    estate = after(two_branches(), PutMembers(members=(member("m-2", "b"), member("m-1"))))
    assert sequences_of(estate) == {"A": 2, "B": 2}
    bundle = bundle_for(estate, A1)
    assert bundle is not None
    assert [each.id for each in bundle.members] == ["m-1", "m-2"]


def test_a_bundle_holds_what_the_agent_needs() -> None:
    estate = after(two_branches(), PutBranch(branch=branch("A", "a-1"), access=access("till 1")))
    bundle = bundle_for(estate, A1)
    assert bundle is not None
    assert (bundle.sequence, bundle.agent_number, bundle.is_leased) == (2, 2, True)
    assert [campaign.id for campaign in bundle.campaigns] == ["welcome", "shake"]
    assert [till.name for till in bundle.tills] == ["till 1"]
    assert bundle_for(estate, AgentName("a-2")) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"name": "Other"},
            "campaign 'welcome' changed, but its edition is still 2; published terms never change",
        ),
        (
            {"edition": 1},
            "campaign 'welcome' was published in edition 2; edition 1 comes too late: make it edition 3",
        ),
        ({"edition": 3, "number": 8}, "campaign 'welcome' has number 3 for good; it cannot become 8"),
        (
            {"edition": 3, "offer": EURO},
            "campaign 'welcome' is in CNY for good; publish another campaign in EUR",
        ),
        ({"id": "other"}, "campaigns 'other' and 'welcome' have the same number 3"),
        (
            {"id": "other", "number": 8, "offer": EURO},
            "campaign 'other' fits no branch: it needs currency EUR",
        ),
        (
            {"id": "other", "number": 8, "trigger": {"on": "welcome_back", "zone": "dor"}},
            "campaign 'other' fits no branch: it needs currency CNY and zone 'dor'",
        ),
    ],
)
def test_campaigns_that_are_refused(changes: dict[str, Any], says: str) -> None:
    estate = after(EMPTY, *put(branch("A", "a-1")), *publish(shop.campaign(edition=2)))
    (complaint,) = complaints(estate, *publish(shop.campaign(**{"edition": 2} | changes)))
    assert complaint.startswith(says)


def test_a_stopped_campaign_gets_no_new_edition() -> None:
    estate = after(two_branches(), stop("welcome"))
    (complaint,) = complaints(estate, *publish(shop.campaign(edition=2)))
    assert complaint.startswith("campaign 'welcome' was stopped for good")


def test_every_mistake_of_a_change_is_told_at_once() -> None:
    doubled = Access(tills=access("till 9", "till 9").tills)
    found = complaints(
        two_branches(),
        *put(branch("C", "a-1"), branch("D", "d-1", campaigns=["none", "shake"], currency="EUR")),
        PutBranch(branch=branch("E", "e-1"), access=doubled),
        DropBranch(code=BranchCode("Z")),
        stop("none"),
        PutMembers(members=(member("m-1"), member("m-1"))),
    )
    assert found == (
        "branch 'Z' cannot be dropped: there is none of this code",
        "campaign 'none' cannot be stopped: it was never published",
        "agent name 'a-1' is used 2 times",
        "member id 'm-1' is used 2 times",
        "code of a member is used 2 times",
        "branch 'D': campaign 'none' cannot run there: it was never published",
        "branch 'D': campaign 'shake' cannot run there: it is in CNY, the branch in EUR",
        "branch 'E': till 'till 9' has a token, but the branch does not list it",
        "branch 'E': till 'till 9' has a token, but the branch does not list it",
        "branch 'E': till 'till 9' is used 2 times",
        "branch 'E': token of a till is used 2 times",
    )


def test_secrets_are_never_told() -> None:
    (complaint,) = complaints(two_branches(), PutMembers(members=(member("m-1"), member("m-2"))))
    assert "aaa" not in complaint


def test_numbers_run_out() -> None:
    taken = {AgentName(f"x-{number}"): number for number in range(1, 100_000)}
    assert complaints(EMPTY, *put(branch("A", "a-1")), numbers=taken) == (
        "agent 'a-1' gets no number: all 99999 were given out",
    )


def test_a_till_may_be_known_by_its_name_alone() -> None:
    estate = after(EMPTY, PutBranch(branch=branch("A", "a-1"), access=access("till 1")))
    assert estate.branches[0].access.tills[0].name == TillName("till 1")


def test_texts_of_a_change_are_not_kept_for_the_next() -> None:
    """They would pin all of the memory that they were read in between."""
    text = Change(base=0, steps=put(branch("LAKE", "lake-1"))).model_dump_json()
    codes = [
        step.branch.code
        for _ in range(2)
        for step in Change.model_validate_json(text).steps
        if isinstance(step, PutBranch)
    ]
    assert codes[0] == codes[1]
    assert codes[0] is not codes[1]
