"""Whatever changes operators try in whatever order: the estate stays whole, and a bundle's sequence rises when, and only
when, the bundle becomes another."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_api.services.changing import ChangeRefused
from engagement.estate.bundle import Bundle
from engagement.estate.bundling import bundle_at, places
from engagement.estate.estate import (
    DropBranch,
    Estate,
    PublishCampaign,
    PutBranch,
    PutMembers,
    Step,
    StopCampaign,
)
from engagement.estate.outline import outline_of
from engagement.ids import AgentName, BranchCode, CampaignId
from tests.fakes import shop
from tests.fakes.estates import branch, member, tried
from tests.fakes.hq import Hq
from tests.fakes.hq_authority import HandSealing
from tests.fakes.memory_estate import MemoryEstate
from tests.fakes.memory_storage import MemoryStorage

CODES = st.sampled_from(["A", "B", "C"])
AGENTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=2, unique=True)
CURRENCIES = st.sampled_from(["CNY", "CNY", "EUR"])
IDS = st.sampled_from(["one", "two", "three"])
PUTS = st.builds(
    lambda code, agents, currency, zones, numbers, listed: PutBranch(
        branch=branch(
            code,
            currency=currency,
            zones=zones,
            agents=[{"name": name, "number": number} for name, number in zip(agents, numbers, strict=False)],
            campaigns=listed,
        )
    ),
    CODES,
    AGENTS,
    CURRENCIES,
    st.lists(st.sampled_from(["door", "cafe"]), unique=True),
    st.tuples(*[st.none() | st.none() | st.integers(1, 5)] * 2),
    st.none() | st.none() | st.lists(IDS, unique=True),
)
PUBLISHED = st.builds(
    lambda id, number, edition, currency, zone: PublishCampaign(
        campaign=shop.campaign(
            id=id,
            number=number,
            edition=edition,
            trigger={"on": "welcome_back", "zone": zone},
            offer={"kind": "cash", "value_minor": 2000, "currency": currency},
        )
    ),
    IDS,
    st.integers(1, 3),
    st.integers(1, 3),
    CURRENCIES,
    st.sampled_from([None, "door", "cafe"]),
)
STEPS = (
    PUTS
    | PUBLISHED
    | st.builds(lambda code: DropBranch(code=BranchCode(code)), CODES)
    | st.builds(
        lambda id, honour: StopCampaign(campaign=CampaignId(id), honour_issued=honour), IDS, st.booleans()
    )
    | st.builds(
        lambda names: PutMembers(members=tuple(member(name, name) for name in names)),
        st.lists(st.sampled_from(["1", "2"]), unique=True),
    )
)
HISTORIES = st.lists(st.lists(STEPS, max_size=4), max_size=8)


def bundles(estate: Estate) -> dict[AgentName, Bundle]:
    return {name: bundle_at(estate, place) for name, place in places(estate).items()}


def is_whole(estate: Estate) -> bool:
    agents = [agent for each in estate.branches for agent in each.branch.agents]
    codes = [each.branch.code for each in estate.branches]
    numbers = [each.number for each in estate.campaigns]
    return (
        codes == sorted(set(codes))
        and len({agent.name for agent in agents}) == len({agent.number for agent in agents}) == len(agents)
        and None not in {agent.number for agent in agents}
        and numbers == sorted(set(numbers))
        and {stop.campaign for stop in estate.stops} <= {each.id for each in estate.campaigns}
        and all(1 <= each.changed <= estate.revision for each in estate.branches)
        and estate.changed <= estate.revision
        and all(1 <= bundle.sequence <= estate.revision for bundle in bundles(estate).values())
    )


@given(HISTORIES)
def test_the_estate_stays_whole_and_sequences_tell_what_changed(history: list[list[Step]]) -> None:
    estate, ever = Estate(), dict[AgentName, int]()
    for steps in history:
        result = tried(estate, *steps, numbers=ever)
        if not isinstance(result, Estate):
            assert result
            continue
        assert is_whole(result)
        assert result.revision == estate.revision + (result is not estate)
        before = bundles(estate)
        for name, bundle in bundles(result).items():
            assert ever.setdefault(name, bundle.agent_number) == bundle.agent_number
            if (old := before.get(name)) is not None:
                is_same = old.model_copy(update={"sequence": bundle.sequence}) == bundle
                if old.branch.code == bundle.branch.code:
                    assert (bundle.sequence == old.sequence) == is_same
                else:
                    assert bundle.sequence > old.sequence
        assert len(set(ever.values())) == len(ever)
        estate = result


@given(HISTORIES)
def test_a_change_that_was_taken_changes_nothing_more(history: list[list[Step]]) -> None:
    """It is either nothing, or refused: a campaign's first edition, once the second is out."""
    estate = Estate()
    for steps in history:
        result = tried(estate, *steps)
        if isinstance(result, Estate):
            estate = result
            again = tried(estate, *steps)
            assert again is estate or not isinstance(again, Estate)


@given(HISTORIES)
def test_a_change_is_judged_the_same_on_outlines(history: list[list[Step]]) -> None:
    """As long as the branches that it puts are whole."""
    whole = Estate()
    for steps in history:
        put = {step.branch.code for step in steps if isinstance(step, PutBranch)}
        lean = whole.model_copy(
            update={
                "branches": tuple(
                    each if each.branch.code in put else outline_of(each) for each in whole.branches
                )
            }
        )
        result, on_outlines = tried(whole, *steps), tried(lean, *steps)
        if not isinstance(result, Estate):
            assert on_outlines == result
            continue
        assert isinstance(on_outlines, Estate)
        assert outlined(on_outlines) == outlined(result)
        whole = result


def outlined(estate: Estate) -> Estate:
    return estate.model_copy(update={"branches": tuple(outline_of(each) for each in estate.branches)})


@given(HISTORIES)
def test_what_is_stored_and_what_is_at_hand_are_what_the_changes_made(history: list[list[Step]]) -> None:
    async def story() -> None:
        hq, pure = Hq(MemoryStorage(), store=MemoryEstate(), sealing=HandSealing(None)), Estate()
        for steps in history:
            numbers = dict(await hq.store.numbers())
            result = tried(pure, *steps, numbers=numbers)
            if isinstance(result, Estate):
                assert await hq.change(*steps) == result.revision
                pure = result
            else:
                with pytest.raises(ChangeRefused):
                    await hq.change(*steps)
            assert hq.store.whole == pure
            assert hq.estate.estate == outlined(pure)

    asyncio.run(story())
