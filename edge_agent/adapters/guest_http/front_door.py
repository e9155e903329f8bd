"""The welcome page before consent: the same bytes for everybody in a language, so it is made once and kept packed."""

from aiohttp import web

from edge_agent.adapters.guest_http.cards import campaign_offer
from edge_agent.adapters.guest_http.packing import Packed
from edge_agent.adapters.guest_http.site import Site
from edge_agent.adapters.wording import Wording
from engagement.estate.bundle import Bundle

# A campaign that begins, ends or is stopped here shows this late at most; rendering costs some milliseconds a minute.
# What HQ changes comes as another bundle, and shows at once.
_FRESH_S = 15.0


class FrontDoor:
    """At most one page per language, chosen or not, and problem sentence; all of them come from us."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._pages: dict[tuple[str, str | None, str], tuple[float, Bundle, Packed]] = {}

    async def page(self, wording: Wording, chosen: str | None, problem: str = "") -> Packed:
        key = (wording.language, chosen, problem)
        now_s, bundle = self._site.premises.clock.mono_s(), self._site.premises.bundle
        kept = self._pages.get(key)
        if kept is not None and kept[1] is bundle and now_s - kept[0] < _FRESH_S:
            return kept[2]
        page = Packed(await self._render(wording, chosen, problem))
        self._pages[key] = (now_s, bundle, page)
        return page

    async def _render(self, wording: Wording, chosen: str | None, problem: str) -> bytes:
        issuing = self._site.issuing
        gifts = [campaign_offer(campaign, wording) for campaign in await issuing.running_on("welcome")]
        plays = bool(await issuing.running_on("shake"))
        facts = {"gifts": gifts, "plays": plays, "problem": problem}
        return self._site.render("welcome.html", wording, chosen, facts)


FRONT_DOOR = web.AppKey("front_door", FrontDoor)
