"""`beckon enrol` at the desk: only the box that is meant can read the code, and only its own key ends the work."""

import pytest

from engagement.ids import AgentName, BranchCode
from engagement.line.claim import claim_for, claim_text, make_claim
from provisioning.faults import WorkFailed
from provisioning.ports import HqRefused
from provisioning.services.claiming import Claiming, FoundBox, MeantBox, is_loopback
from tests.fakes.ledger import SeededEntropy
from tests.fakes.new_box import CODE, HqOfAgents, Liar, Network, NewBox, Relay
from tests.fakes.virtual_loop import run_virtually

BRANCH, AGENT = BranchCode("HARBOUR"), AgentName("harbour-1")
HERE, THERE = "192.168.1.20", "192.168.1.66"
BOX, OTHER = NewBox(1), NewBox(2)


class Story:
    """``box``: the one that is meant, at HERE; it enrols with any code that it can read."""

    def __init__(self, **others: NewBox) -> None:
        self.hq = HqOfAgents()
        self.box = NewBox(1, use=lambda code, key: self.hq.keys.update({AGENT: key}))
        self.network = Network({HERE: self.box} | others)
        self.claiming = Claiming(self.hq, self.network, SeededEntropy().token)

    def found(self, *hosts: str) -> list[FoundBox]:
        """All announce the fingerprint of the box that is meant."""
        return [FoundBox(host, 8612, self.box.fingerprint) for host in hosts or (HERE,)]

    async def _whole(self, found: list[FoundBox], fingerprint: str) -> MeantBox:
        meant = await self.claiming.meant(found, fingerprint)
        await self.claiming.enrol(BRANCH, AGENT, meant)
        return meant

    def enrol(self, *hosts: str) -> MeantBox:
        return run_virtually(self._whole(self.found(*hosts), self.box.fingerprint))


def test_the_box_gets_its_code_and_hq_knows_its_key() -> None:
    story = Story()
    assert story.enrol().public_key == story.box.public_key
    assert story.box.codes == [CODE]
    assert story.hq.keys == {AGENT: story.box.public_key}


def test_hq_may_be_silent_for_a_while() -> None:
    story = Story()
    story.hq.silent_for = 20
    story.enrol()
    assert story.hq.silent_for == 0


def test_a_fingerprint_that_nobody_announced_is_none() -> None:
    story = Story()
    with pytest.raises(WorkFailed, match="no box that was found"):
        run_virtually(story.claiming.meant(story.found(), OTHER.fingerprint))
    assert story.hq.codes_given == 0


def test_an_address_alone_is_enough_where_the_fingerprint_is_compared() -> None:
    story = Story()
    where = FoundBox(HERE, 8612)
    assert run_virtually(story.claiming.fingerprint_at(where)) == story.box.fingerprint
    meant = run_virtually(story.claiming.meant([where], story.box.fingerprint.lower()))
    assert meant.box == where
    with pytest.raises(WorkFailed, match="does not answer"):
        run_virtually(story.claiming.fingerprint_at(FoundBox(THERE, 8612)))


def test_whoever_announces_anothers_fingerprint_is_passed_over() -> None:
    story = Story(**{THERE: OTHER})
    assert story.enrol(THERE, HERE).box.host == HERE
    assert OTHER.codes == []


def test_an_impostor_alone_gets_no_code_made() -> None:
    for impostor in (NewBox(2), Liar(BOX)):
        story = Story(**{THERE: impostor})
        with pytest.raises(WorkFailed, match=r"another fingerprint|does not hold the key"):
            story.enrol(THERE)
        assert (impostor.codes, story.hq.codes_given) == ([], 0)


def test_a_relay_reads_nothing_and_what_it_swallows_is_noticed() -> None:
    relay = Relay(BOX)
    story = Story(**{THERE: relay})
    with pytest.raises(
        WorkFailed, match=r"192\.168\.1\.66:8612 took the claim code, but HQ does not know it"
    ):
        story.enrol(THERE)
    assert len(relay.seen) == 1
    assert relay.codes == []
    assert CODE not in relay.seen[0].model_dump_json()


def test_another_machine_that_used_the_code_is_noticed_and_named() -> None:
    story = Story()
    story.box.use = lambda code, key: story.hq.keys.update({AGENT: OTHER.public_key})
    with pytest.raises(WorkFailed, match=f"another machine .*fingerprint {OTHER.fingerprint}.*Revoke"):
        story.enrol()


def test_a_machine_that_is_to_be_replaced_is_not_taken_for_the_new_one() -> None:
    story = Story()
    story.hq.keys[AGENT] = OTHER.public_key
    assert story.enrol().public_key == story.box.public_key
    assert story.hq.keys[AGENT] == story.box.public_key


def test_what_the_box_says_of_its_trouble_is_told_and_nothing_that_moves_the_cursor() -> None:
    story = Story()
    story.box.use = lambda code, key: None
    story.box.said = "HQ cannot be reached\x1b[2J (no route)" + "x" * 300
    with pytest.raises(WorkFailed) as failed:
        story.enrol()
    assert "it says: HQ cannot be reached[2J (no route)" in str(failed.value)
    assert "\x1b" not in str(failed.value)
    assert len(str(failed.value)) < 500


def test_a_box_that_restarted_in_between_says_so() -> None:
    story = Story()
    meant = run_virtually(story.claiming.meant(story.found(), story.box.fingerprint))
    story.box.secret = bytes(31) + b"\x07"
    with pytest.raises(WorkFailed, match=r"has not taken the claim code.*restarted"):
        run_virtually(story.claiming.enrol(BRANCH, AGENT, meant))


def test_hqs_refusal_reaches_the_person_and_the_box_gets_nothing() -> None:
    story = Story()
    story.hq.refusal = "no such agent"
    with pytest.raises(HqRefused, match="no such agent"):
        story.enrol()
    assert story.box.codes == []


@pytest.mark.parametrize("address", ["127.0.0.1:8600", "localhost", "[::1]:8600"])
def test_a_code_that_leads_a_box_to_itself_is_not_sent(address: str) -> None:
    story = Story()
    story.hq.code = claim_text(claim_for(make_claim(bytes(15)), address=address, root_fingerprint=bytes(10)))
    with pytest.raises(WorkFailed, match="cannot reach"):
        story.enrol()
    assert story.box.codes == []


def test_what_is_this_machine_alone() -> None:
    hosts = ("127.0.0.1", "127.9.9.9", "::1", "localhost", "10.0.0.1", "hq.example")
    assert [is_loopback(host) for host in hosts] == [True, True, True, True, False, False]
