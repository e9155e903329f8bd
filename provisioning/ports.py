"""What the services need from outside: programs that can be started and asked how they are, somebody to tell, and HQ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from engagement.estate.branch import Branch
from engagement.estate.estate import Change, Estate
from engagement.estate.noting import AgentAtHq
from engagement.ids import AgentName, BranchCode, CampaignId


@dataclass(frozen=True, slots=True)
class Health:
    """What a program says about itself. ``status``: ok, degraded or failing; ``radio`` as shown to people, empty where
    a program has none; ``complaints``: one sentence per issue, with what to do; ``codes`` of the same issues; ``agent``:
    the name under which HQ knows it, empty where none does."""

    status: str
    radio: str
    complaints: tuple[str, ...]
    codes: frozenset[str] = frozenset()
    agent: str = ""

    @property
    def serves(self) -> bool:
        return self.status in ("ok", "degraded") and "not_set_up" not in self.codes


class Process(Protocol):
    """A program that was started."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int:
        """Its exit code once it has ended; minus the signal when one killed it."""

    def ask_to_stop(self) -> None: ...

    def kill(self) -> None: ...


class Program(Protocol):
    """A program that can be started, and asked how it is."""

    @property
    def name(self) -> str: ...

    async def start(self) -> Process: ...

    async def health(self) -> Health | None:
        """None while it does not answer."""

    async def answers(self) -> bool:
        """Whether anything at all comes back, be it nonsense or a refusal."""

    def last_words(self) -> str:
        """The end of its log, for people; empty when it said nothing."""


class Watcher(Protocol):
    """Who is told what happens to the program."""

    def serving(self, name: str, pid: int, health: Health) -> None:
        """It is healthy under this process id."""

    def gone(self, name: str) -> None:
        """It has not been healthy for so long that its process id must not be relied on."""

    def say(self, sentence: str) -> None: ...


class HqSilent(Exception):
    """HQ does not answer, or not as HQ does."""


class HqUnable(HqSilent):
    """HQ answers that it cannot, for now or until somebody did something; the text says why, for people."""


class HqRefused(Exception):
    """HQ answers that it will not; the text says why, for people."""


class HqMoved(HqRefused):
    """The estate changed since the plan was made; nothing of the change was taken."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"its estate is at revision {revision} now")
        self.revision = revision


class Standing(NamedTuple):
    """How HQ sees an agent. ``state``: unclaimed, claimed, active or revoked; ``works_from`` and ``wanted``: sequences of
    its bundle and of its newest one, None while it said nothing, and where no branch lists it."""

    state: str
    works_from: int | None = None
    wanted: int | None = None

    @property
    def is_settled(self) -> bool:
        return self.state == "active" and self.wanted is not None and self.works_from == self.wanted


class Hq(Protocol):
    """HQ as its operator reaches it. Errors of every method: HqSilent, HqRefused."""

    async def agent_standing(self, agent: AgentName) -> Standing | None:
        """None when HQ never heard of it."""

    async def claim_code(self, branch: BranchCode, agent: AgentName) -> str:
        """A new one; any unused one before it is void."""


class Certified(NamedTuple):
    """The certificate of HQ's key, and the root that issued it."""

    certificate_pem: str
    root_pem: str


class HqKey(NamedTuple):
    """What HQ says of its sealing key: a request for a certificate, and what it was certified with, if it was."""

    request_pem: str
    certified: Certified | None


class HqAuthority(Protocol):
    """HQ's sealing key as its operator certifies it. Errors of every method: HqSilent, HqRefused."""

    async def authority(self) -> HqKey: ...

    async def put_authority(self, certified: Certified, *, replace_root: bool) -> None:
        """``replace_root``: also where agents have pinned another root."""


class Root(Protocol):
    """The desk's root; its private key never leaves the desk."""

    @property
    def pem(self) -> str: ...

    def certify(self, request_pem: str) -> Certified:
        """Errors: HqRefused when that is no request."""


class CampaignAtHq(NamedTuple):
    """``state``: scheduled, running, ended or stopped."""

    id: str
    edition: int
    trigger: str
    state: str
    name: str


class Stopped(NamedTuple):
    """``honours_issued``: whether coupons given out are still redeemed; a stop of before may have said no for good."""

    revision: int
    honours_issued: bool


class HqEstate(Protocol):
    """What HQ wants, as its operator sees and changes it. Errors of every method: HqSilent, HqRefused."""

    async def estate(self, like: Mapping[BranchCode, Branch]) -> Estate:
        """``like``: branches that the estate's may share their values with, where they are equal."""

    async def agents(self) -> Sequence[AgentAtHq]:
        """All that HQ ever knew."""

    async def campaigns(self) -> Sequence[CampaignAtHq]: ...

    async def change(self, change: Change) -> int:
        """The revision that has all of it. Errors besides: HqMoved."""

    async def stop(self, campaign: CampaignId, *, honour_issued: bool) -> Stopped:
        """Everywhere, for good."""


class AgentTold(NamedTuple):
    """One agent as people look at it. ``last_contact``: as HQ writes it, None for never; ``issues``: codes of its health."""

    name: str
    branch: str
    state: str
    last_contact: str | None
    issues: tuple[str, ...]
    backlog: int


class HqAgents(Protocol):
    """HQ's agents as its operator sees to them. Errors of every method: HqSilent, HqRefused."""

    async def agents_told(self) -> Sequence[AgentTold]:
        """All that HQ ever knew, in order of branch and name."""

    async def awaited(self) -> Sequence[AgentName]:
        """Agents that a restored HQ must hear before it gives out rights again; none where it is not fenced."""

    async def revoke(self, agent: AgentName) -> None:
        """Its key opens nothing any more, until it enrols again."""

    async def write_off(self, agent: AgentName) -> None:
        """All that it holds counts as spent, until its machine gives it back."""
