"""Turns new mini-PCs into agents: an operator makes a claim code, the machine proves that it has it, both know the other.

A claim is used once. The same machine asking again gets the same answer, for its first one may have been lost.
"""

import logging
from typing import NamedTuple

from cloud_api.ports.machine import Clock, Entropy
from cloud_api.ports.storage import KnownAgent, KnownClaim, NameTaken, Storage
from cloud_api.services.chain_view import ChainView
from cloud_api.services.refused import Refused
from cloud_api.services.registry import Registry
from engagement.estate.branch import AGENT_NUMBER_MAX
from engagement.ids import AgentName, BranchCode
from engagement.line.answers import EnrolmentAnswer, EnrolmentRequest
from engagement.line.claim import ENTROPY_BYTES, answer_mac, claim_text, is_same_mac, make_claim, request_mac

_LOG = logging.getLogger(__name__)

# Long enough to send the code along with the machine, short enough that a lost note is worth nothing.
CLAIM_MS = 7 * 24 * 3600 * 1000


class MadeClaim(NamedTuple):
    """``text``: the code as people type it."""

    text: str
    expires_ms: int


class Enrolling:
    def __init__(
        self, *, storage: Storage, registry: Registry, chain: ChainView, clock: Clock, entropy: Entropy
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._chain = chain
        self._clock = clock
        self._entropy = entropy

    async def make_claim(self, branch: BranchCode, agent: AgentName) -> MadeClaim:
        """A new code for an agent of the chain; any unused one before it is void. Errors: Refused."""
        listed = self._chain.agent(branch, agent)
        if listed is None:
            raise Refused(
                "agent_not_listed", f"branch {branch!r} with agent {agent!r} is not in the chain's file"
            )
        claim = make_claim(self._entropy.token(ENTROPY_BYTES))
        expires_ms = self._clock.now_ms() + CLAIM_MS
        number = listed.number or self._number_of(agent)
        known = KnownAgent(agent, branch, number, "claimed")
        try:
            await self._storage.put_claim(known, KnownClaim(claim, agent, expires_ms))
        except NameTaken as taken:
            raise Refused("agent_number_taken", f"{taken}; give agent {agent!r} another number") from taken
        await self._registry.load()
        _LOG.info("a claim was made", extra={"branch": branch, "agent": agent, "claim": claim.id})
        return MadeClaim(claim_text(claim), expires_ms)

    def _number_of(self, agent: AgentName) -> int:
        """The number it has, or the least that is free; those that the chain's file names are not."""
        known = self._registry.find(agent)
        if known is not None:
            return known.known.number
        taken = {each.number for each in self._registry.all()}
        taken |= {each.number for branch in self._chain.branches for each in branch.agents if each.number}
        return next(number for number in range(1, AGENT_NUMBER_MAX + 1) if number not in taken)

    async def enrol(self, request: EnrolmentRequest) -> EnrolmentAnswer:
        """Errors: Refused."""
        known = await self._storage.claim(request.claim_id)
        if known is None:
            raise Refused("claim_unknown", "no such claim; ask HQ for a new code")
        key, nonce = bytes.fromhex(request.agent_public_key_hex), bytes.fromhex(request.nonce_hex)
        wanted = request_mac(known.claim, public_key=key, nonce=nonce)
        if not is_same_mac(bytes.fromhex(request.mac_hex), wanted):
            raise Refused("mac_wrong", "the proof does not fit the claim; type the code again")
        if known.public_key is None:
            await self._use(known, key)
        elif known.public_key != key:
            raise _used()
        mac = answer_mac(known.claim, public_key=key, nonce=nonce, agent=known.agent)
        return EnrolmentAnswer(agent=known.agent, mac_hex=mac.hex())

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
