"""Makes HQ know this mini-PC: a claim code, typed once, binds its key to its name. Then remembers that, and forgets the code.

No clock is asked: HQ's answer proves by the code itself that it is HQ's.
"""

import logging
from asyncio import sleep
from dataclasses import dataclass
from typing import Final, Protocol

from edge_agent.ports import Clock, Entropy, LineBusy, LineDown, LineRefused, Uplink
from edge_agent.services.backoff import backoff_s
from edge_agent.services.line import Line
from engagement.ids import AgentName
from engagement.line.answers import EnrolmentAnswer, EnrolmentRequest
from engagement.line.claim import (
    NONCE_BYTES,
    Claim,
    MalformedClaim,
    answer_mac,
    is_same_mac,
    parse_claim,
    request_mac,
)
from engagement.values import Value

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


class Enrolment(Value):
    """That HQ knows this key under this name, and the claim that it came by."""

    agent: AgentName
    public_key_hex: str
    claim_id: str


class EnrolmentFiles(Protocol):
    """Where the claim code is found and the enrolment kept. Every method may raise OSError."""

    def load(self) -> Enrolment | None: ...

    def save(self, enrolment: Enrolment) -> None:
        """Durable when this returns."""

    def claim_text(self) -> str | None:
        """What the claim file holds; None when there is none."""

    def drop_claim(self) -> None: ...


@dataclass
class Enrolling:
    """``public_key``: 32 bytes of the key that signs this agent's requests."""

    agent: AgentName
    public_key: bytes
    clock: Clock
    entropy: Entropy
    uplink: Uplink
    files: EnrolmentFiles
    line: Line

    def __post_init__(self) -> None:
        self._attempt = 0
        self._refused_text: str | None = None
        self._refused_until_s = 0.0
        self._enrolment = self._recall()
        if self._enrolment is not None:
            self.line.enrolled.set()

    def _recall(self) -> Enrolment | None:
        """None as well when it was for another key: that one is gone, and HQ does not know ours."""
        kept = self.files.load()
        is_ours = kept is not None and (kept.agent, kept.public_key_hex) == (
            self.agent,
            self.public_key.hex(),
        )
        return kept if is_ours else None

    async def run(self) -> None:
        """Watch for a claim code until cancelled; one that comes later enrols anew."""
        while True:
            again_s = await self.look()
            await sleep(again_s)

    async def look(self) -> float:
        """Use the claim code if there is one; answers after how many seconds to look again."""
        try:
            text = self.files.claim_text()
        except (OSError, UnicodeDecodeError) as failure:
            return self._say(f"the claim file cannot be read ({failure})", _LOOK_S)
        if text is None:
            return self._say("there is no claim code", _LOOK_S)
        if text == self._refused_text and self.clock.mono_s() < self._refused_until_s:
            return _LOOK_S
        try:
            claim = parse_claim(text)
        except MalformedClaim as malformed:
            return self._refuse(text, str(malformed))
        if self._enrolment is not None and claim.id == self._enrolment.claim_id:
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
            answer = await self.uplink.enrol(request)
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
        wanted = answer_mac(claim, public_key=self.public_key, nonce=nonce, agent=answer.agent)
        if not is_same_mac(bytes.fromhex(answer.mac_hex), wanted):
            return self._refuse(text, "what answered does not hold the claim code, so it is not HQ")
        if answer.agent != self.agent:
            return self._refuse(text, f"the claim code is for agent {answer.agent!r}, this is {self.agent!r}")
        enrolment = Enrolment(agent=self.agent, public_key_hex=self.public_key.hex(), claim_id=claim.id)
        try:
            self.files.save(enrolment)
        except OSError as failure:
            return self._say(f"the enrolment cannot be kept ({failure})", _LOOK_S)
        self._enrolment, self._attempt = enrolment, 0
        self._drop_claim()
        self.line.reached(self.clock.now())
        self.line.not_enrolled_because = None
        self.line.enrolled.set()
        _LOG.info("enrolled at HQ", extra={"agent": self.agent})
        return _LOOK_S

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
        if self._enrolment is None and self.line.not_enrolled_because != because:
            self.line.not_enrolled_because = because
            _LOG.warning("not enrolled at HQ", extra={"because": because})
        return again_s
