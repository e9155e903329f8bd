"""A claim code makes HQ know this mini-PC once; whatever goes wrong with it is said and costs nothing else."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

import pytest

from edge_agent.ports import HqDoor, LineBusy, LineDown, LineRefused, Uplink
from edge_agent.services.enrolling import Enrolling
from edge_agent.services.line import Enrolment, Line
from engagement.ids import AgentName
from engagement.line.answers import EnrolmentAnswer, EnrolmentRequest
from engagement.line.certificates import root_fingerprint
from engagement.line.claim import Claim, claim_for, claim_text, make_claim
from tests.fakes.enrolment_memory import MemoryEnrolment
from tests.fakes.hq_authority import make_root
from tests.fakes.ledger import SeededEntropy
from tests.fakes.line_to_hq import CalmLine, FakeHq
from tests.fakes.premises import LoopClock
from tests.fakes.virtual_loop import run_virtually

AGENT = AgentName("harbour-1")
KEY = sha256(b"the link key").digest()
CLAIM = make_claim(sha256(b"a claim").digest()[:15])
OTHER_CLAIM = make_claim(sha256(b"another claim").digest()[:15])
ROOT = make_root()
FULL_CLAIM = claim_for(CLAIM, address="hq.test:8600", root_fingerprint=root_fingerprint(ROOT.pem))


@dataclass
class Bench:
    """``uplink`` may be replaced before ``start()``."""

    hq: FakeHq
    files: MemoryEnrolment = field(default_factory=MemoryEnrolment)

    def __post_init__(self) -> None:
        self.clock = LoopClock()
        self.uplink: Uplink = CalmLine(self.hq)
        self.line = Line(self.clock.now())
        self.agent: AgentName | None = AGENT
        self.is_expected = True
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> Enrolling:
        enrolling = Enrolling(
            self.agent,
            KEY,
            self.clock,
            SeededEntropy(),
            self.uplink,
            self.files,
            self.line,
            is_expected=self.is_expected,
        )
        self._tasks.append(asyncio.ensure_future(enrolling.run()))
        return enrolling

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()

    @property
    def doors(self) -> list[HqDoor | None]:
        """Where enrolments were sent."""
        assert isinstance(self.uplink, CalmLine)
        return self.uplink.doors

    @property
    def because(self) -> str:
        """What health says of why the agent is not enrolled; empty when it is."""
        (said,) = [each.means for each in self.line.troubles(self.clock.now())] or [""]
        return said


def knowing(*claims: Claim, agent: AgentName = AGENT) -> FakeHq:
    hq = FakeHq()
    hq.claims = {claim.id: (claim, agent) for claim in claims}
    return hq


def on_bench(hq: FakeHq, story: Callable[[Bench], object]) -> None:
    async def run() -> None:
        outcome = story(Bench(hq))
        assert asyncio.iscoroutine(outcome)
        await outcome

    run_virtually(run())


def test_a_claim_code_enrols_once_is_forgotten_and_remembered_as_enrolment() -> None:
    hq = knowing(CLAIM)

    async def story(bench: Bench) -> None:
        bench.start()
        await asyncio.sleep(60)
        assert "no claim code" in bench.because
        assert not bench.line.enrolled.is_set()
        bench.files.claim = claim_text(CLAIM).lower()
        await asyncio.sleep(10)
        assert bench.line.enrolled.is_set()
        assert bench.because == ""
        assert bench.files.claim is None
        assert hq.enrolled == {CLAIM.id: KEY.hex()}
        bench.end()
        again = Bench(knowing(), bench.files)
        again.start()
        await asyncio.sleep(60)
        assert again.line.enrolled.is_set()
        assert again.because == ""

    on_bench(hq, story)


def test_an_hq_that_is_away_is_asked_again_until_it_answers() -> None:
    async def story(bench: Bench) -> None:
        line = CalmLine(bench.hq, enrolment_trouble=LineDown("no route"))
        bench.uplink, bench.files.claim = line, claim_text(CLAIM)
        bench.start()
        await asyncio.sleep(3600)
        assert "no route" in bench.because
        assert 100 < len(line.asked_at_s) < 260
        line.enrolment_trouble = LineBusy(20_000)
        await asyncio.sleep(60)
        line.enrolment_trouble = None
        await asyncio.sleep(31)
        assert bench.line.enrolled.is_set()

    on_bench(knowing(CLAIM), story)


def test_a_lost_answer_is_asked_for_again_with_the_same_key() -> None:
    async def story(bench: Bench) -> None:
        class LosesFirst(CalmLine):
            lost = False

            async def enrol(self, request: EnrolmentRequest, door: HqDoor | None) -> EnrolmentAnswer:
                answer = await super().enrol(request, door)
                if not self.lost:
                    self.lost = True
                    raise LineDown("lost")
                return answer

        bench.uplink, bench.files.claim = LosesFirst(bench.hq), claim_text(CLAIM)
        bench.start()
        await asyncio.sleep(5)
        assert bench.line.enrolled.is_set()

    on_bench(knowing(CLAIM), story)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("claim_unknown", "does not know this claim code"),
        ("claim_used", "used by another"),
        ("claim_expired", "has expired"),
        ("mac_wrong", "not the one"),
        ("new_in_a_later_version", "new_in_a_later_version"),
    ],
)
def test_a_refused_code_is_said_and_not_offered_again_soon(refused: str, said: str) -> None:
    async def story(bench: Bench) -> None:
        line = CalmLine(bench.hq, enrolment_trouble=LineRefused(refused))
        bench.uplink, bench.files.claim = line, claim_text(OTHER_CLAIM)
        bench.start()
        await asyncio.sleep(3600)
        assert said in bench.because
        assert len(line.asked_at_s) <= 7
        line.enrolment_trouble = None
        bench.files.claim = claim_text(CLAIM)
        await asyncio.sleep(10)
        assert bench.line.enrolled.is_set()

    on_bench(knowing(CLAIM), story)


def test_a_mistyped_code_is_never_sent() -> None:
    async def story(bench: Bench) -> None:
        line = CalmLine(bench.hq)
        text = claim_text(CLAIM)
        wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
        bench.uplink, bench.files.claim = line, wrong
        bench.start()
        await asyncio.sleep(3600)
        assert "mistyped" in bench.because
        assert line.asked_at_s == []
        assert bench.files.claim == wrong

    on_bench(knowing(CLAIM), story)


def test_whoever_answers_without_holding_the_code_is_not_hq() -> None:
    async def story(bench: Bench) -> None:
        class Impostor(CalmLine):
            async def enrol(self, request: EnrolmentRequest, door: HqDoor | None) -> EnrolmentAnswer:
                return EnrolmentAnswer(agent=AGENT, mac_hex="00" * 32)

        bench.uplink, bench.files.claim = Impostor(bench.hq), claim_text(CLAIM)
        bench.start()
        await asyncio.sleep(60)
        assert "not HQ" in bench.because
        assert not bench.line.enrolled.is_set()
        assert bench.files.enrolment is None
        assert bench.files.claim is not None

    on_bench(knowing(CLAIM), story)


def test_a_code_for_another_agent_is_not_used() -> None:
    async def story(bench: Bench) -> None:
        bench.files.claim = claim_text(CLAIM)
        bench.start()
        await asyncio.sleep(60)
        assert "kowloon-2" in bench.because
        assert not bench.line.enrolled.is_set()

    on_bench(knowing(CLAIM, agent=AgentName("kowloon-2")), story)


def test_an_enrolment_that_cannot_be_kept_is_tried_again_when_it_can() -> None:
    async def story(bench: Bench) -> None:
        bench.files.claim, bench.files.failure = claim_text(CLAIM), OSError("no space")
        bench.start()
        await asyncio.sleep(60)
        assert "no space" in bench.because
        bench.files.failure = None
        await asyncio.sleep(10)
        assert bench.line.enrolled.is_set()
        assert bench.files.claim is None

    on_bench(knowing(CLAIM), story)


def test_an_enrolment_of_another_key_or_name_does_not_count() -> None:
    async def story(bench: Bench) -> None:
        bench.files.enrolment = Enrolment(agent=AGENT, public_key_hex="00" * 32, claim_id=CLAIM.id)
        bench.start()
        await asyncio.sleep(60)
        assert not bench.line.enrolled.is_set()
        assert "another key" in bench.because

    on_bench(knowing(), story)


def test_an_enrolment_that_is_damaged_is_told_and_a_new_code_mends_it() -> None:
    async def story(bench: Bench) -> None:
        bench.files.is_damaged = True
        bench.start()
        await asyncio.sleep(60)
        assert not bench.line.enrolled.is_set()
        assert "damaged" in bench.because
        bench.files.claim = claim_text(CLAIM)
        await asyncio.sleep(10)
        assert bench.line.enrolled.is_set()

    on_bench(knowing(CLAIM), story)


def test_a_used_code_that_a_crash_left_behind_is_deleted_and_a_new_one_enrols_anew() -> None:
    async def story(bench: Bench) -> None:
        line = CalmLine(bench.hq)
        bench.uplink, bench.files.claim = line, claim_text(CLAIM)
        bench.files.enrolment = Enrolment(agent=AGENT, public_key_hex=KEY.hex(), claim_id=CLAIM.id)
        bench.start()
        await asyncio.sleep(10)
        assert bench.files.claim is None
        assert line.asked_at_s == []
        bench.files.claim = claim_text(OTHER_CLAIM)
        await asyncio.sleep(10)
        assert bench.hq.enrolled == {OTHER_CLAIM.id: KEY.hex()}
        assert bench.files.enrolment.claim_id == OTHER_CLAIM.id

    on_bench(knowing(OTHER_CLAIM), story)


def test_a_code_with_hqs_address_pins_hqs_root_and_where_it_is() -> None:
    async def story(bench: Bench) -> None:
        bench.hq.root_pem = ROOT.pem
        bench.files.claim = claim_text(FULL_CLAIM)
        bench.start()
        await asyncio.sleep(1)
        kept = bench.files.enrolment
        assert kept is not None
        assert (kept.hq_url, kept.root_pem) == ("https://hq.test:8600", ROOT.pem)
        assert bench.line.root_pem == ROOT.pem
        assert bench.doors == [HqDoor("hq.test:8600", root_fingerprint(ROOT.pem))]

    on_bench(knowing(FULL_CLAIM), story)


@pytest.mark.parametrize("root_pem", ["", "no certificate", make_root().pem])
def test_a_root_that_is_not_the_codes_own_enrols_nobody(root_pem: str) -> None:
    """Whoever holds the code could say anything; the fingerprint in it was typed from HQ's own screen."""

    async def story(bench: Bench) -> None:
        bench.hq.root_pem = root_pem
        bench.files.claim = claim_text(FULL_CLAIM)
        bench.start()
        await asyncio.sleep(1)
        assert "HQ's root is another" in bench.because
        assert bench.files.enrolment is None

    on_bench(knowing(FULL_CLAIM), story)


def test_a_mini_pc_without_a_name_gets_the_one_that_hq_gave_the_code() -> None:
    async def story(bench: Bench) -> None:
        bench.agent, bench.files.claim = None, claim_text(CLAIM)
        bench.start()
        await asyncio.sleep(1)
        assert bench.line.enrolment is not None
        assert bench.line.enrolment.agent == AGENT

    on_bench(knowing(CLAIM), story)


def test_a_store_that_waits_for_no_hq_misses_no_code_and_takes_one_that_comes() -> None:
    async def story(bench: Bench) -> None:
        bench.is_expected = False
        bench.start()
        await asyncio.sleep(3600)
        assert bench.because == ""
        bench.files.claim = claim_text(CLAIM)
        await asyncio.sleep(10)
        assert bench.line.enrolled.is_set()

    on_bench(knowing(CLAIM), story)


def test_a_code_that_is_handed_over_does_not_wait_for_the_next_look() -> None:
    async def story(bench: Bench) -> None:
        enrolling = bench.start()
        await asyncio.sleep(1)
        enrolling.put_claim(claim_text(CLAIM))
        await asyncio.sleep(0.2)
        assert bench.line.enrolled.is_set()

    on_bench(knowing(CLAIM), story)


def test_an_enrolment_of_the_first_version_still_opens() -> None:
    text = '{"agent":"harbour-1","public_key_hex":"ab","claim_id":"0123456789"}'
    assert Enrolment.model_validate_json(text).root_pem == ""
