"""Claims: for listed agents, for a week, for one machine; numbers are given where the file names none."""

import pytest

from cloud_api.ports.storage import Storage
from cloud_api.services.enrolling import CLAIM_MS, Enrolling
from cloud_api.services.refused import Refused
from engagement.estate.chain import Chain
from engagement.ids import AgentName
from engagement.line.answers import EnrolmentRequest
from tests.fakes.cloud_process import enrolment
from tests.fakes.hq import AGENT, CHAIN, HARBOUR, OTHER, PARK, Hq, public_key
from tests.fakes.memory_storage import MemoryStorage


def enrolling_of(hq: Hq) -> Enrolling:
    return Enrolling(
        storage=hq.storage, registry=hq.registry, chain=hq.chain, clock=hq.clock, entropy=hq.entropy
    )


@pytest.fixture
def hq() -> Hq:
    return Hq(MemoryStorage())


async def refusal(enrolling: Enrolling, asked: dict[str, str]) -> str:
    with pytest.raises(Refused) as refused:
        await enrolling.enrol(EnrolmentRequest.model_validate(asked))
    return refused.value.code


async def test_an_enrolled_agents_key_opens_at_once(hq: Hq) -> None:
    enrolling = enrolling_of(hq)
    made = await enrolling.make_claim(HARBOUR, AGENT)
    assert hq.registry.public_key_of(AGENT) is None
    await enrolling.enrol(EnrolmentRequest.model_validate(enrolment(made.text, AGENT)))
    assert hq.registry.public_key_of(AGENT) == public_key(AGENT)
    known = hq.registry.by_number(1)
    assert known is not None
    assert (known.name, known.branch, known.state) == (AGENT, HARBOUR, "active")


async def test_a_claim_ends_but_its_answer_stays(hq: Hq) -> None:
    enrolling = enrolling_of(hq)
    late, used = await enrolling.make_claim(HARBOUR, AGENT), await enrolling.make_claim(PARK, OTHER)
    asked = EnrolmentRequest.model_validate(enrolment(used.text, OTHER))
    first = await enrolling.enrol(asked)
    hq.clock.pass_ms(CLAIM_MS + 1)
    assert await refusal(enrolling, enrolment(late.text, AGENT)) == "claim_expired"
    assert await enrolling.enrol(asked) == first


async def test_a_new_code_voids_the_one_before_and_a_replaced_machine_is_out(hq: Hq) -> None:
    enrolling = enrolling_of(hq)
    lost = await enrolling.make_claim(HARBOUR, AGENT)
    made = await enrolling.make_claim(HARBOUR, AGENT)
    assert await refusal(enrolling, enrolment(lost.text, AGENT)) == "claim_unknown"
    await enrolling.enrol(EnrolmentRequest.model_validate(enrolment(made.text, OTHER)))
    again = await enrolling.make_claim(HARBOUR, AGENT)
    assert hq.registry.public_key_of(AGENT) == public_key(OTHER)  # until the new machine is there
    await enrolling.enrol(EnrolmentRequest.model_validate(enrolment(again.text, AGENT)))
    assert hq.registry.public_key_of(AGENT) == public_key(AGENT)


async def test_numbers_are_given_where_the_file_has_none() -> None:
    plain = CHAIN.model_dump(mode="json")
    for branch in plain["branches"]:
        branch["agents"][0]["number"] = None
    plain["branches"][1]["agents"].append({"name": "park-2", "number": 1})
    hq = Hq(MemoryStorage())
    hq.source.next = Chain.model_validate(plain)
    hq.chain.refresh()
    enrolling = enrolling_of(hq)
    await enrolling.make_claim(HARBOUR, AGENT)
    await enrolling.make_claim(PARK, OTHER)
    await enrolling.make_claim(HARBOUR, AGENT)
    assert await numbers(hq.storage) == {AGENT: 2, OTHER: 3}


async def numbers(storage: Storage) -> dict[AgentName, int]:
    return {agent.name: agent.number for agent in await storage.agents()}


async def test_a_number_that_another_has_is_refused(hq: Hq) -> None:
    enrolling = enrolling_of(hq)
    await enrolling.make_claim(HARBOUR, AGENT)
    plain = CHAIN.model_dump(mode="json")
    plain["branches"] = plain["branches"][1:]
    plain["branches"][0]["agents"][0]["number"] = 1
    hq.source.next = Chain.model_validate(plain)
    hq.chain.refresh()
    with pytest.raises(Refused, match="number 1"):
        await enrolling.make_claim(PARK, OTHER)
