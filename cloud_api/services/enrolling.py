"""Turns new mini-PCs into agents: an operator makes a claim code, the machine proves that it has it, both know the other.

A claim is used once. The same machine asking again gets the same answer, for its first one may have been lost.
"""

import logging
from typing import NamedTuple

from cloud_api.ports.machine import Clock, Entropy
from cloud_api.ports.storage import KnownAgent, KnownClaim, NameTaken, Storage
from cloud_api.services.estate_view import EstateView
from cloud_api.services.refused import Refused
from cloud_api.services.registry import Registry
from cloud_api.services.sealing import Sealing
from engagement.ids import AgentName, BranchCode
from engagement.line.answers import EnrolmentAnswer, EnrolmentRequest
from engagement.line.claim import (
    ENTROPY_BYTES,
    answer_mac,
    claim_for,
    claim_text,
    is_same_mac,
    make_claim,
    request_mac,
)

_LOG = logging.getLogger(__name__)

# Long enough to send the code along with the machine, short enough that a lost note is worth nothing.
CLAIM_MS = 7 * 24 * 3600 * 1000


class MadeClaim(NamedTuple):
    """``text``: the code as people type it."""

    text: str
    expires_ms: int


class Enrolling:
    def __init__(
        self,
        *,
        storage: Storage,
        registry: Registry,
        estate: EstateView,
        sealing: Sealing,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._estate = estate
        self._sealing = sealing
        self._clock = clock
        self._entropy = entropy

    async def make_claim(self, branch: BranchCode, agent: AgentName, *, address: str) -> MadeClaim:
        """A new code for an agent of the chain; any unused one before it is void.

        ``address``: where the agent will find HQ. Errors: Refused; ValueError when it is no address.
        """
        listed = self._estate.agent(branch, agent)
        if listed is None:
            raise Refused("agent_not_listed", f"there is no branch {branch!r} with agent {agent!r}")
        assert listed.number is not None
        claim = make_claim(self._entropy.token(ENTROPY_BYTES))
        told = claim_for(claim, address=address, root_fingerprint=self._sealing.root_fingerprint)
        expires_ms = self._clock.now_ms() + CLAIM_MS
        known = KnownAgent(agent, branch, listed.number, "claimed")
        try:
            await self._storage.put_claim(known, KnownClaim(claim, agent, expires_ms))
        except NameTaken as taken:
            raise Refused("agent_number_taken", f"{taken}; give agent {agent!r} another number") from taken
        await self._registry.load()
        _LOG.info("a claim was made", extra={"branch": branch, "agent": agent, "claim": claim.id})
        return MadeClaim(claim_text(told), expires_ms)

    async def enrol(self, request: EnrolmentRequest) -> EnrolmentAnswer:
        """Errors: Refused."""
        known = await self._storage.claim(request.claim_id)
        if known is None:
            raise Refused("claim_unknown", "no such claim; ask HQ for a new code")
        key, nonce = bytes.fromhex(request.agent_public_key_hex), bytes.fromhex(request.nonce_hex)
        wanted = request_mac(known.claim, public_key=key, nonce=nonce)
        if not is_same_mac(bytes.fromhex(request.mac_hex), wanted):
            raise Refused("mac_wrong", "the proof does not fit the claim; type the code again")
        # Before the claim is used up: an agent that is told to come again has lost nothing.
        certificate_pem, root_pem = self._sealing.issue(known.agent, key), self._sealing.root_pem
        if known.public_key is None:
            await self._use(known, key)
        elif known.public_key != key:
            raise _used()
        mac = answer_mac(
            known.claim,
            public_key=key,
            nonce=nonce,
            agent=known.agent,
            root_pem=root_pem,
            certificate_pem=certificate_pem,
        )
        return EnrolmentAnswer(
            agent=known.agent, mac_hex=mac.hex(), root_pem=root_pem, certificate_pem=certificate_pem
        )

    async def _use(self, known: KnownClaim, key: bytes) -> None:
        now_ms = self._clock.now_ms()
        if now_ms > known.expires_ms:
            raise Refused("claim_expired", "the claim has expired; ask HQ for a new code")
        if not await self._storage.enrol(known.claim.id, public_key=key, at_ms=now_ms):
            again = await self._storage.claim(known.claim.id)
            if again is None or again.public_key != key:
                raise _used()
        await self._registry.load()
        _LOG.info("an agent enrolled", extra={"agent": known.agent, "claim": known.claim.id})


def _used() -> Refused:
    return Refused("claim_used", "another machine has used this claim; ask HQ for a new code")
