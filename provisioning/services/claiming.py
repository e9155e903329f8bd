"""Gives a claim code to the one new box that a person means, and sees that this very box became the agent.

The box is named by the fingerprint that it shows itself. What the LAN says only tells where to knock; who answers is
checked before HQ is asked for a code, and the code is sealed to it (engagement.line.setup). At the end HQ must know the
key that the person compared: a code that somebody else has used is noticed here at the latest.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from engagement.ids import AgentName, BranchCode
from engagement.line.claim import MalformedClaim, parse_claim
from engagement.line.setup import (
    SECRET_BYTES,
    SealedClaim,
    SetupOffer,
    SetupRefused,
    check_offer,
    is_same_fingerprint,
    key_fingerprint,
    seal_claim,
)
from provisioning.faults import WorkFailed
from provisioning.ports import HqSilent

# A box uses its code at once, and asks HQ again after its first waits, which are seconds.
_ENROLS_WITHIN_S = 90.0
_ASK_EVERY_S = 1.0
_SAID_CHARS_MAX = 200


class FoundBox(NamedTuple):
    """Where a new box is said to be. ``fingerprint``: as it was announced; None where a person gave the address."""

    host: str
    port: int
    fingerprint: str | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class BoxSilent(Exception):
    """Nothing answers there, or nothing that is a box in setup mode; the text says which."""


class Boxes(Protocol):
    """New boxes as one calls them; whoever answers may be anybody. Errors of every method: BoxSilent."""

    async def offer(self, box: FoundBox) -> SetupOffer: ...

    async def give(self, box: FoundBox, claim: SealedClaim) -> None:
        """Returns once the box has taken it."""


class HqOfClaims(Protocol):
    """HQ as one who enrols needs it. Errors of every method: HqSilent, HqRefused."""

    async def claim_code(self, branch: BranchCode, agent: AgentName) -> str:
        """A new one; any unused one before it is void."""

    async def enrolled_key(self, agent: AgentName) -> bytes | None:
        """Of the machine that is the agent now; None while none is."""


class MeantBox(NamedTuple):
    """A box that has proved to be the one with this fingerprint."""

    box: FoundBox
    offer: SetupOffer
    fingerprint: str

    @property
    def public_key(self) -> bytes:
        return bytes.fromhex(self.offer.public_key_hex)


@dataclass(frozen=True)
class Claiming:
    """``entropy``: so many unpredictable bytes."""

    hq: HqOfClaims
    boxes: Boxes
    entropy: Callable[[int], bytes]
    enrols_within_s: float = _ENROLS_WITHIN_S
    ask_every_s: float = _ASK_EVERY_S

    async def fingerprint_at(self, box: FoundBox) -> str:
        """What whoever answers there shows. Errors: WorkFailed."""
        try:
            offer = await self.boxes.offer(box)
        except BoxSilent as silent:
            raise WorkFailed(f"{box} is no box that waits to be set up: {silent}") from silent
        return key_fingerprint(bytes.fromhex(offer.public_key_hex))

    async def meant(self, found: Sequence[FoundBox], fingerprint: str) -> MeantBox:
        """The box that has this fingerprint in truth; several may say so. Errors: WorkFailed."""
        said = [
            box
            for box in found
            if box.fingerprint is None or is_same_fingerprint(fingerprint, box.fingerprint)
        ]
        if not said:
            raise WorkFailed(f"no box that was found has the fingerprint {fingerprint}")
        complaints: list[str] = []
        for answer in await asyncio.gather(*(self._checked(box, fingerprint) for box in said)):
            if isinstance(answer, MeantBox):
                return answer
            complaints.append(answer)
        raise WorkFailed("; ".join(complaints))

    async def _checked(self, box: FoundBox, fingerprint: str) -> MeantBox | str:
        """Why not, where it is another."""
        try:
            offer = await self.boxes.offer(box)
            check_offer(offer, fingerprint=fingerprint)
        except (BoxSilent, SetupRefused) as trouble:
            return f"{box}: {trouble}"
        return MeantBox(box, offer, key_fingerprint(bytes.fromhex(offer.public_key_hex)))

    async def enrol(self, branch: BranchCode, agent: AgentName, meant: MeantBox) -> None:
        """Return once HQ knows this very box as the agent. Errors: WorkFailed, HqSilent, HqRefused."""
        before = await self.hq.enrolled_key(agent)
        code = await self.hq.claim_code(branch, agent)
        _demand_reachable(code, meant.box)
        sealed = seal_claim(
            code, meant.offer, fingerprint=meant.fingerprint, secret=self.entropy(SECRET_BYTES)
        )
        try:
            await self.boxes.give(meant.box, sealed)
        except BoxSilent as silent:
            raise WorkFailed(f"{meant.box} has not taken the claim code: {silent}") from silent
        await self._await_enrolled(agent, meant, before)

    async def _await_enrolled(self, agent: AgentName, meant: MeantBox, before: bytes | None) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self.enrols_within_s
        while loop.time() < deadline_s:
            try:
                key = await self.hq.enrolled_key(agent)
            except HqSilent:
                key = before  # it was there a moment ago
            if key == meant.public_key:
                return
            if key not in (before, None):
                raise WorkFailed(
                    f"another machine than {meant.box} has used the claim code: the key that HQ got for {agent} has the "
                    f"fingerprint {key_fingerprint(key)}. Revoke {agent} at HQ, and find out what stands on the network"
                )
            await asyncio.sleep(self.ask_every_s)
        raise WorkFailed(
            f"{meant.box} took the claim code, but HQ does not know it after {self.enrols_within_s:g} s{await self._said(meant)}"
        )

    async def _said(self, meant: MeantBox) -> str:
        try:
            offer = await self.boxes.offer(meant.box)
        except BoxSilent as silent:
            return f", and {silent}"
        said = "".join(letter for letter in offer.said if letter.isprintable())
        return f"; it says: {said[:_SAID_CHARS_MAX]}" if said else ""


def _demand_reachable(code: str, box: FoundBox) -> None:
    """An HQ that was called by an address of this machine alone would send every other one to itself.

    Errors: WorkFailed.
    """
    try:
        address = parse_claim(code).address
    except MalformedClaim as strange:
        raise WorkFailed(f"HQ gave a claim code that cannot be read: {strange}") from strange
    if address is not None and is_loopback(_host_of(address)) and not is_loopback(box.host):
        raise WorkFailed(
            f"the claim code says that HQ is at {address}, which {box} cannot reach; call HQ by an address that stores "
            "reach (--hq), or set the cloud's public_url"
        )


def _host_of(address: str) -> str:
    return urlsplit(f"//{address}").hostname or ""


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
