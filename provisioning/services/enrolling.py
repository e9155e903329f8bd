"""Makes HQ know this home's store, and know it again when either side has lost what it knew of the other.

HQ's key is certified first, and again when HQ has lost it or the root was issued anew; then HQ is told what the home's files
say. Decides when the agent needs a claim code, and asks HQ for it; the agent enrols itself with it. An agent that HQ's people
have revoked is left alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from engagement.ids import AgentName, BranchCode
from provisioning.faults import WorkFailed
from provisioning.ports import Health, Hq, HqAuthority, HqMoved, HqRefused, HqSilent, Root, Standing
from provisioning.services.certifying import certify

# While something is to be done; the agent looks for a code every 5 s.
_SOON_S = 0.5
# While all is well.
_CALM_S = 10.0
# A code that changes nothing is followed by another, ever more rarely: HQ may refuse the agent for another reason.
_AGAIN_S, _AGAIN_S_MAX = 60.0, 3600.0


class HqAtHome(Hq, HqAuthority, Protocol):
    """HQ as a home's own operator reaches it."""


class LaysOut(Protocol):
    async def lay_out(self, *, is_lost: bool = False) -> None:
        """Bring HQ to want what the home's files say, if it does not; ``is_lost``: it does not know the store. Errors: HqSilent, HqRefused; ConfigurationWrong when
        the files cannot be had."""


@dataclass
class Enrolling:
    """``root``: certifies HQ, which enrols nobody before; ``agent_health``: None while the agent does not answer;
    ``put_claim`` puts a code where the agent finds it.

    ``answered``: set once HQ was asked about the agent, and a code was put if it needs one. ``settled``: set once the agent
    works from all that HQ wants of it, or will not for now.
    """

    branch: BranchCode
    agent: AgentName
    hq: HqAtHome
    root: Root
    files: LaysOut
    agent_health: Callable[[], Awaitable[Health | None]]
    put_claim: Callable[[str], None]
    say: Callable[[str], None]
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: int = field(default=0, init=False)
    _not_before_s: float = field(default=0.0, init=False)
    _said: str = field(default="", init=False)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            again_s = await self.look()
            await asyncio.sleep(again_s)

    async def look(self) -> float:
        """Put a claim code if the agent needs one; answers after how many seconds to look again."""
        try:
            again_s = await self._look()
        except (HqSilent, HqMoved):
            return _SOON_S
        except (HqRefused, WorkFailed) as trouble:
            self._tell(f"{self.agent} cannot be enrolled at HQ: {trouble}")
            self.settled.set()
            again_s = _CALM_S
        self.answered.set()
        return again_s

    async def _look(self) -> float:
        # Whose home this is may also give it another root; agents that pinned the one before then refuse what HQ seals.
        await certify(self.hq, self.root, replace_root=True)
        await self.files.lay_out()
        standing = await self.hq.agent_standing(self.agent)
        if standing is None:
            await self.files.lay_out(is_lost=True)
            standing = await self.hq.agent_standing(self.agent)
        health = await self.agent_health()
        if standing is not None and standing.state == "revoked":
            self._tell(f"HQ has revoked {self.agent}; the store works on and keeps what happens")
            self.settled.set()
            return _CALM_S
        because = why_a_claim(standing, health)
        if because is None:
            if standing is not None and standing.is_settled:
                self.settled.set()
            if self._asked:
                self._tell(f"{self.agent} is enrolled at HQ.")
            self._asked, self._not_before_s, self._said = 0, 0.0, ""
            # An agent that is starting may have lost what HQ takes it to know.
            return _CALM_S if health and self.settled.is_set() else _SOON_S
        if asyncio.get_running_loop().time() >= self._not_before_s:
            await self._ask(because)
        return _SOON_S

    async def _ask(self, because: str) -> None:
        self.put_claim(await self.hq.claim_code(self.branch, self.agent))
        pause_s = min(_AGAIN_S * 2.0 ** min(self._asked, 30), _AGAIN_S_MAX)
        self._asked += 1
        self._not_before_s = asyncio.get_running_loop().time() + pause_s
        self._tell(f"{because}; it gets a claim code and enrols itself.")

    def _tell(self, sentence: str) -> None:
        """Once, until something else is to be said."""
        if sentence != self._said:
            self._said = sentence
            self.say(sentence)


def why_a_claim(standing: Standing | None, health: Health | None) -> str | None:
    """What HQ knows of the agent, and what the agent complains of: why it needs a claim code; None when it does not."""
    if standing is None or standing.state != "active":
        return "HQ does not know this store's agent"
    codes = health.codes if health else frozenset[str]()
    if "not_enrolled" in codes or (health and "not_set_up" in codes and not health.agent):
        return "This store's agent has lost its enrolment"
    if "line_refused" in codes:
        return "HQ refuses this store's agent"
    if "bundle_refused" in codes:
        return "This store's agent refuses what HQ sends"
    return None
