"""HQ as a home's operator reaches it, and the agent that takes its codes: what each knows of the other, set by the test."""

from dataclasses import dataclass, field

from typing_extensions import override

from engagement.ids import AgentName, BranchCode
from provisioning.ports import Health, Hq, HqRefused, HqSilent


@dataclass
class HqDesk(Hq):
    """``silent``: it does not answer; ``refusal``: why it gives no code."""

    state: str | None = "unclaimed"
    silent: bool = False
    refusal: str | None = None
    codes_given: int = 0

    @override
    async def agent_state(self, agent: AgentName) -> str | None:
        self._answer()
        return self.state

    @override
    async def claim_code(self, branch: BranchCode, agent: AgentName) -> str:
        self._answer()
        if self.refusal is not None:
            raise HqRefused(self.refusal)
        self.codes_given += 1
        return f"{branch}-{agent}-{self.codes_given}"

    def _answer(self) -> None:
        if self.silent:
            raise HqSilent("nobody is there")


@dataclass
class AgentBox:
    """``codes``: its issues; None while it does not answer. ``claims``: the codes that were put for it."""

    codes: frozenset[str] | None = None
    claims: list[str] = field(default_factory=list)

    async def health(self) -> Health | None:
        return None if self.codes is None else Health("ok", "recording:fake", (), self.codes)
