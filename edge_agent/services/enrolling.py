"""Makes HQ know this mini-PC: a claim code, typed once, binds its key to its name. Then remembers that, and forgets the code.

No clock is asked: HQ's answer proves by the code itself that it is HQ's, and its root is the one whose fingerprint the
code carries. From then on that root is whom this agent believes.
"""

import logging
from asyncio import Event, timeout
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from edge_agent.ports import Clock, Entropy, HqDoor, LineBusy, LineDown, LineRefused, Uplink
from edge_agent.services.backoff import backoff_s
from edge_agent.services.line import Enrolment, Line
from engagement.ids import AgentName
from engagement.line.answers import EnrolmentAnswer, EnrolmentRequest
from engagement.line.certificates import CertificateWrong, root_fingerprint
from engagement.line.claim import (
    NONCE_BYTES,
    Claim,
    MalformedClaim,
    answer_mac,
    is_same_mac,
    parse_claim,
    request_mac,
)

_LOG = logging.getLogger(__name__)

# Somebody who has just typed a code waits beside the box.
_LOOK_S: Final = 5.0
# A code that HQ refused is refused again, unless HQ was being restored: seldom enough to be no guessing.
_REFUSED_S: Final = 600.0
_CAUSES: Final = {
    "claim_unknown": "HQ does not know this claim code",
    "claim_used": "this claim code was used by another mini-PC",
    "claim_expired": "this claim code has expired",
    "mac_wrong": "this claim code is not the one that HQ gave",
}


class EnrolmentDamaged(Exception):
    """An enrolment was kept here and cannot be read any more."""


class EnrolmentFiles(Protocol):
    """Where the claim code is found and the enrolment kept. Every method but load() may raise OSError."""

    def load(self) -> Enrolment | None:
        """None when there never was one. Errors: EnrolmentDamaged."""

    def save(self, enrolment: Enrolment) -> None:
        """Durable when this returns."""

    def claim_text(self) -> str | None:
        """What the claim file holds; None when there is none."""

    def put_claim(self, text: str) -> None:
        """Durable when this returns."""

    def drop_claim(self) -> None: ...


@dataclass
class Enrolling:
    """``public_key``: 32 bytes of the key that signs this agent's requests. ``agent``: the name that it has already, by
    its bundle; None when HQ is to give it one. ``is_expected``: a store that waits for no HQ does not miss a code."""

    agent: AgentName | None
    public_key: bytes
    clock: Clock
    entropy: Entropy
    uplink: Uplink
    files: EnrolmentFiles
    line: Line
    is_expected: bool = True

    def __post_init__(self) -> None:
        self._attempt = 0
        self._wanted = Event()
        self._lack = "there is no claim code"
        self._refused_text: str | None = None
        self._refused_until_s = 0.0
        self.line.enrolment = self._recall()
        if self.line.enrolment is not None:
            self.line.enrolled.set()

    def _recall(self) -> Enrolment | None:
        """None as well when it was for another key: that one is gone, and HQ does not know ours."""
        try:
            kept = self.files.load()
        except EnrolmentDamaged as damaged:
            self._lack = f"what was kept of its enrolment is damaged ({damaged})"
            return None
        if kept is None:
            return None
        is_ours = kept.public_key_hex == self.public_key.hex() and self.agent in (None, kept.agent)
        if not is_ours:
            self._lack = "its enrolment is for another key, or for another agent"
        return kept if is_ours else None

    async def run(self) -> None:
        """Watch for a claim code until cancelled; one that comes later enrols anew."""
        while True:
            again_s = await self.look()
            with suppress(TimeoutError):
                async with timeout(again_s):
                    await self._wanted.wait()
            self._wanted.clear()

    def put_claim(self, text: str) -> None:
        """Take a code from somebody who waits. Errors: OSError."""
        self.files.put_claim(text)
        self._wanted.set()

    async def look(self) -> float:
        """Use the claim code if there is one; answers after how many seconds to look again."""
        try:
            text = self.files.claim_text()
        except (OSError, UnicodeDecodeError) as failure:
            return self._say(f"the claim file cannot be read ({failure})", _LOOK_S)
        if text is None:
            return self._say(self._lack, _LOOK_S) if self.is_expected else _LOOK_S
        if text == self._refused_text and self.clock.mono_s() < self._refused_until_s:
            return _LOOK_S
        try:
            claim = parse_claim(text)
        except MalformedClaim as malformed:
            return self._refuse(text, str(malformed))
        if self.line.enrolment is not None and claim.id == self.line.enrolment.claim_id:
            self._drop_claim()
            return _LOOK_S
        return await self._ask(claim, text)

    async def _ask(self, claim: Claim, text: str) -> float:
        nonce = self.entropy.token(NONCE_BYTES)
        request = EnrolmentRequest(
            claim_id=claim.id,
            agent_public_key_hex=self.public_key.hex(),
            nonce_hex=nonce.hex(),
            mac_hex=request_mac(claim, public_key=self.public_key, nonce=nonce).hex(),
        )
        try:
            answer = await self.uplink.enrol(request, _door(claim))
        except LineDown as down:
            self._attempt += 1
            return self._say(
                f"HQ cannot be reached ({down.cause})", backoff_s(self._attempt, self.entropy.token(1))
            )
        except LineBusy as busy:
            return busy.slot_ms / 1000
        except LineRefused as refused:
            return self._refuse(
                text, _CAUSES.get(refused.code, f"HQ refuses the claim code ({refused.code})")
            )
        return self._conclude(claim, text, nonce, answer)

    def _conclude(self, claim: Claim, text: str, nonce: bytes, answer: EnrolmentAnswer) -> float:
        because = self._objection(claim, nonce, answer)
        if because is not None:
            return self._refuse(text, because)
        enrolment = Enrolment(
            agent=answer.agent,
            public_key_hex=self.public_key.hex(),
            claim_id=claim.id,
            hq_url="" if claim.address is None else f"https://{claim.address}",
            root_pem=answer.root_pem,
            certificate_pem=answer.certificate_pem,
        )
        try:
            self.files.save(enrolment)
        except OSError as failure:
            return self._say(f"the enrolment cannot be kept ({failure})", _LOOK_S)
        self._attempt = 0
        self._drop_claim()
        self.line.enrolment = enrolment
        self.line.reached(self.clock.now())
        self.line.not_enrolled_because = None
        self.line.enrolled.set()
        self.line.enrolled_anew.set()
        _LOG.info("enrolled at HQ", extra={"agent": answer.agent})
        return _LOOK_S

    def _objection(self, claim: Claim, nonce: bytes, answer: EnrolmentAnswer) -> str | None:
        """Why this answer does not enrol this agent; None when it does."""
        wanted = answer_mac(
            claim,
            public_key=self.public_key,
            nonce=nonce,
            agent=answer.agent,
            root_pem=answer.root_pem,
            certificate_pem=answer.certificate_pem,
        )
        if not is_same_mac(bytes.fromhex(answer.mac_hex), wanted):
            return "what answered does not hold the claim code, so it is not HQ"
        if self.agent is not None and answer.agent != self.agent:
            return f"the claim code is for agent {answer.agent!r}, this is {self.agent!r}"
        if claim.root_fingerprint is not None and not _is_root(answer.root_pem, claim.root_fingerprint):
            return "HQ's root is another than the one that the claim code names"
        return None

    def _drop_claim(self) -> None:
        try:
            self.files.drop_claim()
        except OSError as failure:
            _LOG.warning("the used claim code cannot be deleted", extra={"cause": str(failure)})

    def _refuse(self, text: str, because: str) -> float:
        self._refused_text, self._refused_until_s = text, self.clock.mono_s() + _REFUSED_S
        return self._say(because, _LOOK_S)

    def _say(self, because: str, again_s: float) -> float:
        """Said once; an agent that is enrolled already goes on as it is."""
        if self.line.enrolment is None and self.line.not_enrolled_because != because:
            self.line.not_enrolled_because = because
            _LOG.warning("not enrolled at HQ", extra={"because": because})
        return again_s


def _door(claim: Claim) -> HqDoor | None:
    if claim.address is None or claim.root_fingerprint is None:
        return None
    return HqDoor(claim.address, claim.root_fingerprint)


def _is_root(root_pem: str, fingerprint: bytes) -> bool:
    try:
        return root_fingerprint(root_pem) == fingerprint
    except CertificateWrong:
        return False
