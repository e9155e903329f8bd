"""Claims: for listed agents, for a week, for one machine; numbers are given where the file names none."""

import pytest

from cloud_api.ports.storage import Storage
from cloud_api.services.enrolling import CLAIM_MS, Enrolling
from cloud_api.services.refused import Refused
from cloud_api.services.sealing import Sealing
from engagement.estate.estate import Estate
from engagement.ids import AgentName, BranchCode
from engagement.line.answers import EnrolmentRequest
from engagement.line.certificates import root_fingerprint
from engagement.line.claim import answer_mac, parse_claim
from tests.fakes.authority_key import MemoryAuthorityKey, certified_by, certified_sealing
from tests.fakes.cloud_process import enrolment
from tests.fakes.estates import after, branch, put
from tests.fakes.hq import AGENT, HARBOUR, OTHER, PARK, Hq, public_key
from tests.fakes.hq_authority import make_root
from tests.fakes.memory_estate import MemoryEstate
from tests.fakes.memory_storage import MemoryStorage

ADDRESS = "hq.example:8600"
ROOT = make_root()


def enrolling_of(hq: Hq, sealing: Sealing | None = None) -> Enrolling:
    return Enrolling(
        storage=hq.storage,
        registry=hq.registry,
        estate=hq.estate,
        sealing=sealing or certified_sealing(ROOT),
        clock=hq.clock,
        entropy=hq.entropy,
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
    made = await enrolling.make_claim(HARBOUR, AGENT, address=ADDRESS)
    assert hq.registry.public_key_of(AGENT) is None
    await enrolling.enrol(EnrolmentRequest.model_validate(enrolment(made.text, AGENT)))
    assert hq.registry.public_key_of(AGENT) == public_key(AGENT)
    known = hq.registry.by_number(1)
    assert known is not None
    assert (known.name, known.branch, known.state) == (AGENT, HARBOUR, "active")


async def test_a_code_says_where_hq_is_and_how_it_is_known(hq: Hq) -> None:
    made = await enrolling_of(hq).make_claim(HARBOUR, AGENT, address=ADDRESS)
    claim = parse_claim(made.text)
    assert (claim.address, claim.root_fingerprint) == (ADDRESS, root_fingerprint(ROOT.certificate))
    with pytest.raises(ValueError, match="no address"):
        await enrolling_of(hq).make_claim(HARBOUR, AGENT, address="somewhere else")


async def test_the_answer_brings_root_and_certificate_and_proves_both(hq: Hq) -> None:
    sealing = certified_sealing(ROOT)
    enrolling = enrolling_of(hq, sealing)
    made = await enrolling.make_claim(HARBOUR, AGENT, address=ADDRESS)
    answer = await enrolling.enrol(EnrolmentRequest.model_validate(enrolment(made.text, AGENT)))
    assert answer.root_pem == ROOT.pem
    assert answer.certificate_pem == sealing.issue(AGENT, public_key(AGENT))
    wanted = answer_mac(
        parse_claim(made.text),
        public_key=public_key(AGENT),
        nonce=bytes(16),
        agent=AGENT,
        root_pem=ROOT.pem,
        certificate_pem=answer.certificate_pem,
    )
    assert answer.mac_hex == wanted.hex()


async def test_an_hq_that_is_not_certified_enrols_nobody_and_uses_no_claim_up(hq: Hq) -> None:
    key = MemoryAuthorityKey()
    sealing = Sealing(key)
    enrolling = enrolling_of(hq, sealing)
    with pytest.raises(Refused) as refused:
        await enrolling.make_claim(HARBOUR, AGENT, address=ADDRESS)
    assert refused.value.code == "not_certified"
    assert await hq.storage.agents() == []
    made = await enrolling_of(hq).make_claim(HARBOUR, AGENT, address=ADDRESS)
    asked = enrolment(made.text, AGENT)
    assert await refusal(enrolling, asked) == "not_certified"
    await sealing.certify(certified_by(ROOT, key.public_key), replace_root=False, by="hq")
    await enrolling.enrol(EnrolmentRequest.model_validate(asked))
    assert hq.registry.public_key_of(AGENT) == public_key(AGENT)


async def test_a_claim_ends_but_its_answer_stays(hq: Hq) -> None:
    enrolling = enrolling_of(hq)
    late, used = (
        await enrolling.make_claim(HARBOUR, AGENT, address=ADDRESS),
        await enrolling.make_claim(PARK, OTHER, address=ADDRESS),
    )
    asked = EnrolmentRequest.model_validate(enrolment(used.text, OTHER))
    first = await enrolling.enrol(asked)
    hq.clock.pass_ms(CLAIM_MS + 1)
    assert await refusal(enrolling, enrolment(late.text, AGENT)) == "claim_expired"
    assert await enrolling.enrol(asked) == first


async def test_a_new_code_voids_the_one_before_and_a_replaced_machine_is_out(hq: Hq) -> None:
    enrolling = enrolling_of(hq)
    lost = await enrolling.make_claim(HARBOUR, AGENT, address=ADDRESS)
    made = await enrolling.make_claim(HARBOUR, AGENT, address=ADDRESS)
    assert await refusal(enrolling, enrolment(lost.text, AGENT)) == "claim_unknown"
    await enrolling.enrol(EnrolmentRequest.model_validate(enrolment(made.text, OTHER)))
    again = await enrolling.make_claim(HARBOUR, AGENT, address=ADDRESS)
    assert hq.registry.public_key_of(AGENT) == public_key(OTHER)  # until the new machine is there
    await enrolling.enrol(EnrolmentRequest.model_validate(enrolment(again.text, AGENT)))
    assert hq.registry.public_key_of(AGENT) == public_key(AGENT)


async def test_an_agent_is_claimed_under_the_number_that_it_is_listed_with(hq: Hq) -> None:
    await hq.change(*put(branch("LAKE", "lake-1", "lake-2")))
    enrolling = enrolling_of(hq)
    await enrolling.make_claim(BranchCode("LAKE"), AgentName("lake-2"), address=ADDRESS)
    await enrolling.make_claim(PARK, OTHER, address=ADDRESS)
    assert await numbers(hq.storage) == {"lake-2": 4, OTHER: 2}


async def test_the_number_of_an_agent_that_is_not_listed_is_not_given_again(hq: Hq) -> None:
    enrolling = enrolling_of(hq)
    await enrolling.make_claim(HARBOUR, AGENT, address=ADDRESS)
    lost = Hq(hq.storage, store=MemoryEstate())
    await lost.registry.load()
    await lost.change(*put(branch("LAKE", "lake-1")))
    listed = lost.estate.agent(BranchCode("LAKE"), AgentName("lake-1"))
    assert listed is not None
    assert listed.number == 2


async def numbers(storage: Storage) -> dict[AgentName, int]:
    return {agent.name: agent.number for agent in await storage.agents()}


async def test_a_number_that_another_has_is_refused(hq: Hq) -> None:
    await enrolling_of(hq).make_claim(HARBOUR, AGENT, address=ADDRESS)
    other = MemoryEstate(after(Estate(), *put(branch("LAKE", "lake-1"))))
    with pytest.raises(Refused, match="number 1"):
        await enrolling_of(Hq(hq.storage, store=other)).make_claim(
            BranchCode("LAKE"), AgentName("lake-1"), address=ADDRESS
        )
