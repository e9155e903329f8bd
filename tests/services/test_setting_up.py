"""A mini-PC that knows no store: it tells why, takes a code from the desk alone, and gets its first bundle. Virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from errno import ENOSPC
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.ports import LineDown, LineRefused
from edge_agent.services.enrolling import Enrolling
from edge_agent.services.line import Line
from edge_agent.services.setting_up import BoxKey, FirstBundle, SettingUp
from engagement.ids import AgentName
from engagement.line.certificates import root_fingerprint
from engagement.line.claim import MalformedClaim, claim_for, claim_text, make_claim
from engagement.line.setup import SealedClaim, SetupRefused, check_offer, key_fingerprint, seal_claim
from tests.fakes.desk import FakeDesk, KeptBundle
from tests.fakes.enrolment_memory import MemoryEnrolment
from tests.fakes.ledger import SeededEntropy
from tests.fakes.line_to_hq import CalmLine, FakeHq
from tests.fakes.premises import LoopClock, harbour_bundle
from tests.fakes.virtual_loop import run_virtually

AGENT = AgentName("harbour-1")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
FINGERPRINT = key_fingerprint(PUBLIC)
DESK_SECRET = bytes(range(32))


class Box:
    """In setup mode, beside an HQ that knows one claim and wants bundle 3."""

    def __init__(self, damaged_because: str | None = None, entropy_seed: int = 1) -> None:
        self.desk = FakeDesk()
        self.desk.want(harbour_bundle().model_copy(update={"sequence": 3}))
        claim = make_claim(bytes(range(15)))
        fingerprint = root_fingerprint(self.desk.root.pem)
        self.code = claim_text(claim_for(claim, address="hq.test", root_fingerprint=fingerprint))
        hq = FakeHq()
        hq.root_pem, hq.claims = self.desk.root.pem, {claim.id: (claim, AGENT)}
        clock, entropy = LoopClock(), SeededEntropy(entropy_seed)
        self.line, self.files, self.kept = Line(clock.now()), MemoryEnrolment(), KeptBundle()
        self.enrolling = Enrolling(None, PUBLIC, clock, entropy, CalmLine(hq), self.files, self.line)
        self.setting_up = SettingUp(
            key=BoxKey(PUBLIC, KEY.sign, FINGERPRINT),
            clock=clock,
            entropy=entropy,
            line=self.line,
            enrolling=self.enrolling,
            desk=self.desk,
            keeping=self.kept,
            root_pem=lambda: self.line.root_pem,
            damaged_because=damaged_because,
            version="0.1.0",
        )

    def sealed(self, text: str) -> SealedClaim:
        """As the desk seals it to the box that was compared."""
        return seal_claim(text, self.setting_up.offer(), fingerprint=FINGERPRINT, secret=DESK_SECRET)

    @property
    def said(self) -> str:
        (issue,) = self.setting_up.report().issues
        assert (issue.code, self.setting_up.report().status.value) == ("not_set_up", "degraded")
        return issue.means


@asynccontextmanager
async def at_work(box: Box) -> AsyncIterator["asyncio.Task[FirstBundle]"]:
    """``first_bundle`` as a task, beside the enrolling that it needs."""
    enrolling = asyncio.ensure_future(box.enrolling.run())
    first = asyncio.ensure_future(box.setting_up.first_bundle())
    try:
        yield first
    finally:
        for task in (enrolling, first):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def told(story: Any) -> None:
    async def run() -> None:
        await story(Box())

    run_virtually(run())


def test_a_code_from_the_desk_brings_name_and_bundle_within_seconds() -> None:
    async def story(box: Box) -> None:
        async with at_work(box) as first:
            await asyncio.sleep(60)
            assert "there is no claim code" in box.said
            assert FINGERPRINT in box.said
            box.setting_up.take_claim(box.sealed(box.code))
            bundle, sealed_by = await asyncio.wait_for(first, 2)
            assert (bundle.sequence, bundle.agent) == (3, AGENT)
            assert sealed_by == box.desk.root.pem
            assert box.kept.text == box.desk.text
            assert box.files.claim is None, "a used code is worth nothing"
            with pytest.raises(SetupRefused, match="set up already"):
                box.setting_up.take_claim(box.sealed(box.code))

    told(story)


def test_an_enrolled_box_that_waits_for_its_bundle_is_given_to_no_other_hq() -> None:
    """Anybody on its network can seal a code to it; that of its claim file comes from whoever has the box."""

    async def story(box: Box) -> None:
        box.desk.trouble = LineDown("no route")
        async with at_work(box):
            box.setting_up.take_claim(box.sealed(box.code))
            await asyncio.wait_for(box.line.enrolled.wait(), 5)
            other = claim_for(make_claim(bytes(15)), address="impostor.test", root_fingerprint=bytes(10))
            with pytest.raises(SetupRefused, match="enrolled already"):
                box.setting_up.take_claim(box.sealed(claim_text(other)))
            assert box.files.claim is None

    told(story)


def test_the_offer_proves_the_key_behind_the_fingerprint() -> None:
    async def story(box: Box) -> None:
        check_offer(box.setting_up.offer(), fingerprint=FINGERPRINT)

    told(story)


def test_a_claim_that_was_sealed_to_this_box_before_it_restarted_is_not_taken() -> None:
    async def story(box: Box) -> None:
        restarted = Box(entropy_seed=2)
        with pytest.raises(SetupRefused, match="before it was restarted"):
            restarted.setting_up.take_claim(box.sealed(box.code))
        assert restarted.files.claim is None

    told(story)


def test_a_mistyped_code_is_told_to_the_desk_and_not_kept() -> None:
    async def story(box: Box) -> None:
        with pytest.raises(MalformedClaim):
            box.setting_up.take_claim(box.sealed(box.code[:-1] + ("0" if box.code[-1] != "0" else "1")))
        assert box.files.claim is None

    told(story)


def test_what_keeps_the_bundle_away_is_said_and_tried_again() -> None:
    async def story(box: Box) -> None:
        async with at_work(box) as first:
            box.setting_up.take_claim(box.sealed(box.code))
            box.desk.trouble = LineDown("no route")
            await asyncio.sleep(60)
            assert "HQ cannot be reached (no route)" in box.said
            box.desk.trouble = LineRefused("agent_not_listed")
            await asyncio.sleep(60)
            assert "HQ gives it no bundle (agent_not_listed)" in box.said
            box.desk.trouble, right = None, box.desk.text
            box.desk.text = FakeDesk().seal(harbour_bundle())
            await asyncio.sleep(60)
            assert "it is not HQ's" in box.said

            def full() -> None:
                raise OSError(ENOSPC, "No space left on device")

            box.desk.text, box.kept.on_save = right, full
            await asyncio.sleep(60)
            assert "cannot be kept (No space left on device)" in box.said
            assert box.setting_up.offer().said.endswith("cannot be kept (No space left on device)")
            assert not first.done()
            box.kept.on_save = lambda: None
            assert (await asyncio.wait_for(first, 60)).bundle.sequence == 3

    told(story)


def test_a_bundle_that_was_kept_and_is_damaged_is_said_while_the_next_one_is_awaited() -> None:
    async def story(box: Box) -> None:
        async with at_work(box) as first:
            box.setting_up.take_claim(box.sealed(box.code))
            await first
        again = Box(damaged_because="it is cut short")
        again.line.enrolment = box.line.enrolment
        assert "the bundle that was kept cannot be used: it is cut short" in again.said

    told(story)
