"""What the staff side works with, and where its handlers find it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from aiohttp import web

from edge_agent.adapters.metrics import Metrics
from edge_agent.adapters.page_templates import PageTemplates
from edge_agent.adapters.wording import Catalogue
from edge_agent.services.board import Board
from edge_agent.services.cashiers import Cashiers, Session
from edge_agent.services.premises import Premises
from edge_agent.services.redeeming import Redeeming
from edge_agent.services.status import Health
from engagement.estate.bundle import Bundle
from engagement.ids import TillName

# (grey pixels, width, height) -> the texts of the codes that the frame shows.
ReadFrame = Callable[[bytes, int, int], Awaitable[list[str]]]


@dataclass(frozen=True)
class Parts:
    premises: Premises
    redeeming: Redeeming
    cashiers: Cashiers
    board: Board
    health: Health
    read_frame: ReadFrame
    metrics: Metrics
    catalogue: Catalogue
    templates: PageTemplates

    @property
    def bundle(self) -> Bundle:
        """The one that counts now."""
        return self.premises.bundle

    @property
    def zone(self) -> ZoneInfo:
        return self.premises.zone

    @property
    def languages(self) -> tuple[str, ...]:
        """Those the branch speaks, in its order of preference."""
        return self.bundle.branch.page_languages


@dataclass(frozen=True, slots=True)
class Doorway:
    """A device that was let in: which till it is, and who is signed in there."""

    till: TillName
    session: Session | None


PARTS = web.AppKey("parts", Parts)
