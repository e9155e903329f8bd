"""Plans as people read them, and as HQ takes them."""

from collections.abc import Sequence
from typing import Any

import pytest

from engagement.campaign.model import Campaign
from engagement.estate.branch import Branch
from engagement.estate.bundle import Cashier, PairedTill
from engagement.estate.estate import Access, Estate, PutBranch, PutMembers, StopCampaign
from engagement.estate.noting import FIRST_CASHIER, AgentAtHq, Held
from engagement.estate.planning import Plan, Wanted, plan_of, secured
from engagement.ids import AgentName, BranchCode, CampaignId, MemberId, TillName
from tests.fakes import shop
from tests.fakes.estates import access, after, branch, member, publish, put

PIER, QUAY = BranchCode("PIER"), BranchCode("QUAY")
BEACON = {"name": "b", "role": "zone", "zone": "door", "altbeacon": {"id": "ab" * 20}}


def wanted(*branches: Branch, campaigns: Sequence[Campaign] | None = None, **more: Any) -> Wanted:
    return Wanted(branches=branches, campaigns=campaigns, **more)


def plan(estate: Estate, what: Wanted, *agents: AgentAtHq) -> Plan:
    made = plan_of(estate, what, agents)
    assert isinstance(made, Plan), made
    return made


def applied(estate: Estate, made: Plan) -> Estate:
    """With a secret for everybody who needs one."""
    drawn = {
        lack.branch: Access(
            tills=access(*lack.tills).tills,
            cashiers=tuple(
                each.model_copy(update={"name": name}) for name in lack.cashiers for each in access().cashiers
            ),
        )
        for lack in made.lacks
    }
    steps = secured(made, drawn, [member(name, name[-1]) for name in made.members_lacking])
    return after(estate, *steps)


def pier(**changes: object) -> Estate:
    """One branch with all its secrets."""
    start = Estate()
    return applied(start, plan(start, wanted(branch("PIER", "a", **changes))))


class TestLines:
    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"name": "New Pier"}, ["name: New Pier instead of Pier"]),
            ({"time_zone": "UTC"}, ["time zone: UTC instead of Asia/Shanghai"]),
            ({"languages": ["en", "de"]}, ["languages: en, de instead of en"]),
            ({"currency": "EUR"}, ["currency: EUR instead of CNY"]),
            ({"campaigns": []}, ["campaigns: none instead of all that fit"]),
            ({"zones": ["door", "cafe"]}, ["zone cafe is new"]),
            ({"tills": ["till 1", "till 2"]}, ["till till 2 is new", "till till 2 gets a token"]),
            ({"beacons": []}, ["beacon b is removed"]),
            (
                {"beacons": [BEACON, {"name": "t", "role": "tag", "member": "m", "eid": {
                    "identity_key": "00" * 16, "rotation_exponent": 9}}]},
                ["beacon t is new, a tag of member m that sends a rotating identity (exponent 9)"],
            ),
            ({"zones": ["door", "cafe"], "beacons": [BEACON | {"zone": "cafe"}]},
             ["zone cafe is new", "beacon b moves from door to cafe"]),
            (
                {"beacons": [{"name": "b", "role": "tag", "member": "m", "ibeacon": {
                    "uuid": "0e94b3d2-6c1f-4a57-8f3b-92d1c6a7e504", "major": 1, "minor": 2}}]},
                [
                    "beacon b moves from door to nowhere",
                    "beacon b becomes a tag, was a zone",
                    "beacon b belongs to m, belonged to nobody",
                    "beacon b sends ibeacon 0e94b3d2-6c1f-4a57-8f3b-92d1c6a7e504/1/2 instead of altbeacon " + "ab" * 20,
                ],
            ),
            ({"agents": [{"name": "a", "receivers": [{"adapter": "hci0", "zone": "door", "x_m": 1.5}]}]},
             ["agent a hears by hci0 in door at 1.5/0 m instead of nothing"]),
            ({"agents": [{"name": "b"}]}, ["agent b is new, number 2", "agent a is removed"]),
        ],
    )  # fmt: skip
    def test_each_thing_that_changes_has_its_line(self, changes: dict[str, object], told: list[str]) -> None:
        start = {"beacons": [BEACON]}
        estate = pier(**start)
        made = plan(estate, wanted(branch("PIER", "a", **start | changes)))
        assert list(made.lines) == [f"~ branch PIER: {line}" for line in told]
        assert [type(step) for step in made.steps] == [PutBranch]
        assert made.base == estate.revision

    def test_another_order_is_a_change_too(self) -> None:
        estate = pier(zones=["door", "cafe"])
        made = plan(estate, wanted(branch("PIER", "a", zones=["cafe", "door"])))
        assert made.lines == ("~ branch PIER: what it lists stands in another order",)

    def test_a_new_branch_is_one_line_with_the_numbers_that_hq_will_give(self) -> None:
        made = plan(pier(), wanted(branch("PIER", "a"), branch("QUAY", "b", "c", beacons=[BEACON])))
        assert made.lines == (
            "+ branch QUAY (Quay): 1 zone, 1 beacon, 2 agents (b number 2, c number 3), 1 till",
        )

    def test_a_branch_that_goes_names_the_agents_that_are_left_behind(self) -> None:
        estate = pier()
        agent = AgentAtHq(name=AgentName("a"), branch=PIER, number=1, is_active=True)
        assert plan(estate, wanted(), agent).lines == (
            "- branch PIER (Pier); still in use: a, which keep the bundle they have",
        )
        assert plan(estate, wanted(branch("QUAY", "a")), agent).lines[-1] == "- branch PIER (Pier)"

    def test_campaigns_are_told_by_what_they_promise_and_by_what_changed(self) -> None:
        first = shop.campaign(id="welcome")
        estate = after(pier(), *publish(first))
        second = first.model_copy(update={"edition": 2, "name": "Welcome again"})
        other = shop.campaign(id="other", number=9)
        made = plan(estate, wanted(branch("PIER", "a"), campaigns=[second, other]))
        assert made.lines[0] == "~ campaign welcome: edition 2 instead of 1: name"
        assert made.lines[1].startswith("+ campaign other (")

    def test_members_are_told_one_by_one(self) -> None:
        estate = applied(
            pier(), plan(pier(), wanted(branch("PIER", "a"), members=[MemberId("m1"), MemberId("m2")]))
        )
        made = plan(estate, wanted(branch("PIER", "a"), members=[MemberId("m2"), MemberId("m3")]))
        assert made.lines == ("+ member m3 gets a code", "- member m1")
        assert {each.id for each in applied(estate, made).members} == {"m2", "m3"}


class TestNothing:
    def test_what_was_applied_needs_no_other_plan(self) -> None:
        assert plan(pier(), wanted(branch("PIER", "a"))).is_empty

    def test_a_number_that_hq_gave_is_no_change(self) -> None:
        estate = pier()
        assert estate.branches[0].branch.agents[0].number == 1
        assert plan(estate, wanted(branch("PIER", "a"))).is_empty

    def test_a_former_agent_comes_back_with_its_number(self) -> None:
        known = AgentAtHq(name=AgentName("b"), branch=QUAY, number=7)
        made = plan(pier(), wanted(branch("PIER", "a", "b")), known)
        assert made.lines == ("~ branch PIER: agent b is new, number 7",)

    def test_campaigns_that_no_file_names_stay(self) -> None:
        estate = after(pier(), *publish(shop.campaign(id="old")))
        made = plan(estate, wanted(branch("PIER", "a"), campaigns=[]))
        assert made.is_empty
        assert [note for note in made.notes if "beckon campaign stop old" in note]
        assert not plan(estate, wanted(branch("PIER", "a"))).notes[1:]

    def test_campaigns_alone_leave_branches_and_members_as_they_are(self) -> None:
        made = plan(
            pier(), Wanted(branches=None, members=None, campaigns=[shop.campaign(id="new")], is_all=False)
        )
        assert [step.step for step in made.steps] == ["publish_campaign"]


class TestRefused:
    def test_everything_that_hq_would_refuse_is_told_at_once(self) -> None:
        campaign = shop.campaign(id="welcome")
        estate = after(pier(), *publish(campaign))
        other_terms = campaign.model_copy(update={"name": "Other"})
        told = plan_of(
            estate,
            wanted(
                branch("PIER", agents=[{"name": "a", "number": 5}]),
                branch("QUAY", "a"),
                campaigns=[other_terms],
            ),
        )
        assert isinstance(told, tuple)
        assert len(told) == 3
        assert any("edition is still 1" in text for text in told)
        assert any("number 1 for good" in text for text in told)
        assert any("agent name 'a' is used 2 times" in text for text in told)


class TestSecrets:
    def test_what_hq_has_stays_whatever_the_desk_holds(self) -> None:
        estate = pier()
        held = Held(tills={(PIER, TillName("till 1")): "e" * 64}, cashier_salts={PIER: "9" * 32})
        made = plan(estate, wanted(branch("PIER", "a"), held=held))
        assert made.is_empty
        assert any("--renew PIER" in note for note in made.notes)

    def test_a_desk_that_insists_replaces_what_hq_has(self) -> None:
        estate = pier()
        held = Held(
            tills={(PIER, TillName("till 1")): "e" * 64}, cashier_salts={PIER: "9" * 32}, insists=True
        )
        made = plan(estate, wanted(branch("PIER", "a"), held=held))
        assert made.lines == (
            "~ branch PIER: till till 1 gets a new token",
            "~ branch PIER: cashier-1 gets a new PIN",
        )
        assert (made.lacks[0].tills, made.lacks[0].cashiers) == ((), ("cashier-1",))
        (step,) = made.steps
        assert isinstance(step, PutBranch)
        assert step.access.tills == (PairedTill(name=TillName("till 1"), token_sha256="e" * 64),)

    def test_what_the_desk_holds_already_fills_in_what_hq_lacks(self) -> None:
        held = Held(tills={(PIER, TillName("till 1")): "e" * 64}, members={MemberId("m"): "f" * 64})
        made = plan(Estate(), wanted(branch("PIER", "a"), members=[MemberId("m")], held=held))
        assert made.lacks[0].tills == ()
        assert made.members_lacking == ()
        estate = applied(Estate(), made)
        assert estate.branches[0].access.tills[0].token_sha256 == "e" * 64
        assert estate.members[0].code_sha256 == "f" * 64

    def test_renewed_branches_get_new_secrets(self) -> None:
        estate = pier()
        held = Held(tills={(PIER, TillName("till 1")): estate.branches[0].access.tills[0].token_sha256})
        made = plan(estate, wanted(branch("PIER", "a"), renewed=frozenset([PIER]), held=held))
        (lack,) = made.lacks
        assert (lack.tills, lack.cashiers, lack.is_renewal) == (("till 1",), ("cashier-1",), True)
        assert len(made.lines) == 2

    def test_a_till_that_goes_takes_its_token_along(self) -> None:
        estate = pier(tills=["till 1", "till 2"])
        made = plan(estate, wanted(branch("PIER", "a")))
        (step,) = made.steps
        assert isinstance(step, PutBranch)
        assert [till.name for till in step.access.tills] == ["till 1"]

    def test_a_branch_without_tills_needs_nobody(self) -> None:
        made = plan(Estate(), wanted(branch("PIER", "a", tills=[])))
        assert made.lacks == ()

    def test_members_are_put_all_together(self) -> None:
        estate = after(pier(), PutMembers(members=(member("m1"),)))
        made = plan(estate, wanted(branch("PIER", "a"), members=[MemberId("m1"), MemberId("m2")]))
        assert made.members_lacking == ("m2",)
        assert {each.id for each in applied(estate, made).members} == {"m1", "m2"}


class TestDrift:
    def test_agents_that_lag_or_never_came_are_told(self) -> None:
        estate = applied(pier(), plan(pier(), wanted(branch("PIER", "a", "b", "c"))))
        known = [
            AgentAtHq(name=AgentName("a"), branch=PIER, is_active=True, bundle_sequence=1),
            AgentAtHq(name=AgentName("b"), branch=PIER, is_active=True, bundle_sequence=2),
        ]
        notes = plan(estate, wanted(branch("PIER", "a", "b", "c")), *known).notes
        assert notes == (
            "agent a of branch PIER still works from bundle 1; the newest is 2",
            "not enrolled: c of branch PIER",
        )

    def test_campaigns_that_a_branch_loses_are_told(self) -> None:
        """By its zones, its currency or its list: else they would only be missed by shoppers who win nothing."""
        greets = shop.campaign(id="greets", number=20, trigger={"on": "welcome_back", "zone": "cafe"})
        plain, stopped = shop.campaign(), shop.campaign(id="over", number=21)
        estate = after(
            Estate(),
            *put(branch("PIER", "a", zones=["cafe", "door"])),
            *publish(plain, greets, stopped),
            StopCampaign(campaign=CampaignId("over")),
        )
        ends = "runs in no branch; to end it: beckon campaign stop"
        for changes, lost in (
            ({"zones": ["door"]}, {"greets": "its trigger needs zone 'cafe', which the branch lacks"}),
            (
                {"zones": ["cafe"], "currency": "EUR"},
                dict.fromkeys(("welcome", "greets"), "it is in CNY, the branch in EUR"),
            ),
            (
                {"zones": ["cafe"], "campaigns": []},
                dict.fromkeys(("welcome", "greets"), "the branch does not list it"),
            ),
        ):
            made = plan(estate, wanted(branch("PIER", "a", **changes)))
            assert [line for line in made.lines if "runs there no more" in line] == [
                f"~ branch PIER: campaign {id} runs there no more: {because}" for id, because in lost.items()
            ]
            assert [note for note in made.notes if "runs in no branch" in note] == [
                f"campaign {id} {ends} {id}" for id in lost
            ]
        assert not [
            note
            for note in plan(estate, wanted(branch("PIER", "a"), campaigns=None)).notes
            if ends in note and "over" in note
        ]

    def test_secrets_of_another_hq_are_told(self) -> None:
        cashier = Cashier(name=FIRST_CASHIER, salt="a" * 32, pin_scrypt="b" * 64)
        (mine,) = pier().branches
        access = mine.access.model_copy(update={"cashiers": (cashier,)})
        estate = pier().model_copy(
            update={"branches": (mine.model_copy(update={"access": access}),), "members": (member("m"),)}
        )
        till = (PIER, TillName("till 1"))
        held = Held(tills={till: "e" * 64}, cashier_salts={PIER: "f" * 32}, members={MemberId("m"): "f" * 64})
        renew = "is none that HQ knows; to draw new ones: --renew PIER"
        notes = plan(estate, wanted(branch("PIER", "a"), members=[MemberId("m")], held=held)).notes
        assert notes[:3] == (
            f"branch PIER: the desk's token of till till 1 {renew}",
            f"branch PIER: the desk's PIN of cashier-1 {renew}",
            "member m: the desk's code is none that HQ knows; to draw a new one: apply without the member, then with it",
        )
        own = Held(tills={till: access.tills[0].token_sha256}, cashier_salts={PIER: "a" * 32})
        assert not [
            note
            for note in plan(estate, wanted(branch("PIER", "a"), held=own)).notes
            if "none that HQ" in note
        ]

    def test_a_bundle_that_hq_does_not_remember_is_told(self) -> None:
        known = AgentAtHq(name=AgentName("a"), branch=PIER, is_active=True, bundle_sequence=900)
        assert plan(pier(), wanted(branch("PIER", "a")), known).notes == (
            "agent a of branch PIER works from bundle 900, which HQ does not remember making; it takes none before HQ's "
            "revision is higher",
        )

    def test_machines_that_would_get_no_bundle_any_more_are_told(self) -> None:
        """Moved, by a new code for their branch too, or taken off the list: before it is applied, and as long as it lasts."""
        estate = after(Estate(), *put(branch("PIER", "a", "b", "c", "d"), branch("PARK")))
        known = [
            AgentAtHq(name=AgentName(name), branch=PIER, is_active=name != "d", bundle_sequence=1)
            for name in "abcd"
        ]
        want = wanted(branch("PIER", "a"), branch("PARK", "b", "d"))
        moved = (
            "agent b was enrolled for branch PIER and takes no bundle of branch PARK: set its mini-PC up anew, with an "
            "empty home, and then: beckon enrol PARK b --replace"
        )
        made = plan(estate, want, *known)
        assert made.notes[:2] == (
            moved,
            "agent c of branch PIER is still in use; it keeps the bundle that it has, and hears of no stop: beckon "
            "agent revoke c",
        )
        again = plan(applied(estate, made), want, *known)
        assert (again.is_empty, again.notes[0]) == (True, moved)
        assert not [note for note in again.notes if "agent b of branch PARK still works" in note]

    def test_a_stopped_campaign_is_no_stray(self) -> None:
        estate = after(pier(), *publish(shop.campaign(id="old")), StopCampaign(campaign=CampaignId("old")))
        assert not [
            note for note in plan(estate, wanted(branch("PIER", "a"), campaigns=[])).notes if "old" in note
        ]

    def test_of_many_agents_some_are_named(self) -> None:
        names = [f"agent{number}" for number in range(30)]
        estate = after(Estate(), *put(branch("PIER", *names)))
        (note,) = plan(estate, wanted(branch("PIER", *names))).notes
        assert note.startswith("not enrolled: agent0 of branch PIER, ")
        assert note.endswith("agent4 of branch PIER and 25 more")
        later = after(estate, *put(branch("PIER", *names, name="Pier Road")))
        lagging = [
            AgentAtHq(name=AgentName(name), branch=PIER, is_active=True, bundle_sequence=1) for name in names
        ]
        notes = plan(later, wanted(branch("PIER", *names, name="Pier Road")), *lagging).notes
        assert len(notes) == 21
        assert notes[-1] == "and 10 agents more work from older bundles"
