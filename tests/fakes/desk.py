"""HQ's desk as an agent meets it: takes reports, and gives the sealed bundle that the test laid there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from edge_agent.ports import Desk
from edge_agent.services.reporting import BundleKeeping
from engagement.estate.bundle import Bundle
from engagement.line.answers import AgentReport, ReportAnswer
from engagement.line.seal import SealKind, seal
from tests.fakes.hq_authority import Root, make_authority, make_root

T = TypeVar("T")


@dataclass
class FakeDesk(Desk):
    """``text``: what it hands out as the bundle numbered ``sequence``; ``trouble``: raised instead of any answer."""

    root: Root = field(default_factory=make_root)
    sequence: int = 0
    text: str = ""
    again_ms: int = 10_000
    trouble: Exception | None = None
    reports: list[AgentReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._authority = make_authority(self.root)

    def want(self, bundle: Bundle) -> None:
        self.sequence, self.text = bundle.sequence, self.seal(bundle)

    def seal(self, bundle: Bundle) -> str:
        return seal(SealKind.BUNDLE, bundle.model_dump_json(), self._authority)

    async def report(self, report: AgentReport) -> ReportAnswer:
        if self.trouble is not None:
            raise self.trouble
        self.reports.append(report)
        return ReportAnswer(bundle_sequence=self.sequence, again_ms=self.again_ms)

    async def bundle(self) -> str:
        if self.trouble is not None:
            raise self.trouble
        return self.text


@dataclass
class KeptBundle(BundleKeeping):
    """The file, in memory. ``on_save`` runs before it is replaced, and may fail."""

    text: str | None = None
    on_save: Callable[[], None] = lambda: None

    def load(self, read: Callable[[str], T]) -> T | None:
        return None if self.text is None else read(self.text)

    async def save(self, text: str) -> None:
        self.on_save()
        self.text = text
