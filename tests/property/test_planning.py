"""Whatever HQ wants now and whatever people write down: a plan that is carried out leaves nothing to plan."""

from hypothesis import given
from hypothesis import strategies as st

from engagement.estate.branch import Branch
from engagement.estate.estate import Access, Estate, PutBranch
from engagement.estate.noting import Held
from engagement.estate.planning import Plan, Wanted, plan_of, secured
from engagement.ids import BranchCode, MemberId, TillName
from tests.fakes import shop
from tests.fakes.estates import access, branch, member, tried

BEACONS = st.lists(
    st.builds(
        lambda name, zone, number: {
            "name": name,
            "role": "zone",
            "zone": zone,
            "altbeacon": {"id": f"{number:040x}"},
        },
        st.sampled_from("pqr"),
        st.sampled_from(["door", "cafe"]),
        st.integers(0, 10**6),
    ),
    unique_by=(lambda each: each["name"], lambda each: str(each["altbeacon"])),
    max_size=3,
)
BRANCHES = st.lists(
    st.builds(
        lambda code, name, beacons, tills: (code, {"name": name, "beacons": beacons, "tills": tills}),
        st.sampled_from("ABC"),
        st.sampled_from(["Here", "There"]),
        BEACONS,
        st.lists(st.sampled_from(["t1", "t2"]), unique=True),
    ),
    unique_by=lambda each: each[0],
)
CAMPAIGNS = st.lists(
    st.builds(
        lambda id, edition, name: shop.campaign(id=id, number=ord(id[0]), edition=edition, name=name),
        st.sampled_from(["one", "two"]),
        st.integers(1, 3),
        st.sampled_from(["Now", "Then"]),
    ),
    unique_by=lambda each: each.id,
)
HELD = st.builds(
    lambda tills, members, insists: Held(
        tills={(BranchCode(code), TillName(till)): digit * 64 for code, till, digit in tills},
        members={MemberId(id): digit * 64 for id, digit in members},
        insists=insists,
    ),
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["t1", "t2"]), st.sampled_from("45"))),
    st.lists(st.tuples(st.sampled_from("mn"), st.sampled_from("67")), unique_by=lambda each: each[1]),
    st.booleans(),
)


@st.composite
def wants(draw: st.DrawFn) -> Wanted:
    """Agents wander: each is in one branch at most, and in whichever."""
    places = draw(BRANCHES)
    agents = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True))
    homes: dict[str, list[str]] = {code: [] for code, _ in places}
    for agent in agents:
        if places:
            homes[draw(st.sampled_from([code for code, _ in places]))].append(agent)
    branches: list[Branch] = [
        branch(code, *homes[code], zones=["door", "cafe"], **changes) for code, changes in places
    ]
    members = draw(st.lists(st.sampled_from([MemberId("m"), MemberId("n")]), unique=True))
    return Wanted(branches, members, draw(st.none() | CAMPAIGNS), held=draw(HELD))


def carried_out(estate: Estate, plan: Plan) -> Estate:
    drawn = {
        lack.branch: Access(
            tills=access(*lack.tills).tills,
            cashiers=tuple(
                cashier.model_copy(update={"name": name})
                for name in lack.cashiers
                for cashier in access().cashiers
            ),
        )
        for lack in plan.lacks
    }
    codes = [member(id, {"m": "1", "n": "2"}[id]) for id in plan.members_lacking]
    steps = secured(plan, drawn, codes)
    after = tried(estate, *steps)
    assert isinstance(after, Estate), after
    return after


@given(st.lists(wants(), min_size=1, max_size=5))
def test_a_plan_carried_out_leaves_nothing_to_plan(history: list[Wanted]) -> None:
    estate = Estate()
    for wanted in history:
        plan = plan_of(estate, wanted)
        if not isinstance(plan, Plan):
            assert plan
            continue
        assert bool(plan.lines) == bool(plan.steps)
        after = carried_out(estate, plan)
        assert (after is estate) == plan.is_empty
        estate = after
        again = plan_of(estate, wanted)
        assert isinstance(again, Plan)
        assert again.is_empty, again.lines
        assert [each.branch.code for each in estate.branches] == sorted(
            each.code for each in wanted.branches or ()
        )
        for each in estate.branches:
            assert {till.name for till in each.access.tills} == {till.name for till in each.branch.tills}


@given(wants())
def test_a_plan_goes_through_its_file(wanted: Wanted) -> None:
    plan = plan_of(Estate(), wanted)
    if isinstance(plan, Plan):
        assert Plan.model_validate_json(plan.model_dump_json()) == plan
        assert all(isinstance(step.branch, Branch) for step in plan.steps if isinstance(step, PutBranch))
