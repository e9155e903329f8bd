"""HQ as a home's operator reaches it, and the agent that takes its codes: what each knows of the other, set by the test."""

from dataclasses import dataclass, field

from typing_extensions import override

from engagement.ids import AgentName, BranchCode
from provisioning.ports import Certified, Health, Hq, HqAuthority, HqKey, HqRefused, HqSilent, Root, Standing
from provisioning.services.enrolling import LaysOut


@dataclass
class HandRoot(Root):
    """``name``: which root it is; its certificates say what they were asked for."""

    name: str = "the home's root"

    @property
    @override
    def pem(self) -> str:
        return self.name

    @override
    def certify(self, request_pem: str) -> Certified:
        return Certified(f"{self.name} certifies: {request_pem}", self.name)


@dataclass
class HqDesk(Hq, HqAuthority):
    """``silent``: it does not answer; ``refusal``: why it gives no code; ``pins``: the root that it will
    not change unforced; None for any."""

    state: str | None = "unclaimed"
    works_from: int | None = 1
    silent: bool = False
    refusal: str | None = None
    codes_given: int = 0
    certified: Certified | None = None
    times_certified: int = 0
    pins: str | None = None

    @override
    async def agent_standing(self, agent: AgentName) -> Standing | None:
        self._answer()
        return None if self.state is None else Standing(self.state, self.works_from, wanted=1)

    @override
    async def authority(self) -> HqKey:
        self._answer()
        return HqKey("HQ's request", self.certified)

    @override
    async def put_authority(self, certified: Certified, *, replace_root: bool) -> None:
        self._answer()
        if self.pins not in (None, certified.root_pem) and not replace_root:
            raise HqRefused("agents have pinned another root")
        self.certified = certified
        self.times_certified += 1

    @override
    async def claim_code(self, branch: BranchCode, agent: AgentName) -> str:
        self._answer()
        if self.certified is None:
            raise HqSilent("HQ is not certified")
        if self.refusal is not None:
            raise HqRefused(self.refusal)
        self.codes_given += 1
        return f"{branch}-{agent}-{self.codes_given}"

    def _answer(self) -> None:
        if self.silent:
            raise HqSilent("nobody is there")


@dataclass
class HandFiles(LaysOut):
    """Lists the agent at HQ when HQ has lost it. ``times``: that HQ was told; ``refusals``: raised one after the other."""

    hq: HqDesk
    times: int = 0
    refusals: list[Exception] = field(default_factory=list)

    @override
    async def lay_out(self, *, is_lost: bool = False) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        if is_lost or not self.times:
            self.times += 1
            self.hq.state = self.hq.state or "unclaimed"


@dataclass
class AgentBox:
    """``codes``: its issues; None while it does not answer. ``claims``: the codes that were put for it."""

    codes: frozenset[str] | None = None
    claims: list[str] = field(default_factory=list)

    async def health(self) -> Health | None:
        return None if self.codes is None else Health("ok", "recording:fake", (), self.codes)
