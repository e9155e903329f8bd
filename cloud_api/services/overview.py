"""What HQ's people look at: branches, agents, campaigns, the funnel, and one coupon's life."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from cloud_api.ports.machine import Clock
from cloud_api.ports.storage import AgentState, KnownAgent, LaneState, MoneyLine, Storage
from cloud_api.services.chain_view import ChainView
from cloud_api.services.registry import Registry
from engagement.campaign.model import Campaign
from engagement.campaign.state import CampaignState, campaign_state
from engagement.clock.moment import Moment, from_ms
from engagement.coupon.code import SignedCode, read_code
from engagement.coupon.lifecycle import CouponState
from engagement.coupon.token import TokenBody, minute_of
from engagement.estate.branch import Branch
from engagement.ids import AgentName, BranchCode, CampaignId, CouponId, LocalDay
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.settlement.funnel import FunnelLine, funnel

_AFTER = {
    "coupon_issued": CouponState.ACTIVE,
    "coupon_redeemed": CouponState.REDEEMED,
    "redemption_undone": CouponState.ACTIVE,
}
Standing = Literal["active", "expired", "redeemed", "voided"]
# An open store has something to tell every few minutes; closed overnight it has not.
_FRESH_MS = 10 * 60_000
_QUIET_MS = 24 * 3600 * 1000
Contact = Literal["fresh", "quiet", "silent", "never", "revoked"]


@dataclass(frozen=True, slots=True)
class AgentView:
    """``state``: unclaimed while no claim was ever made for it; ``number``: None until HQ gave one."""

    name: AgentName
    branch: BranchCode
    number: int | None
    state: AgentState | Literal["unclaimed"]
    enrolled_ms: int | None
    last_contact_ms: int | None
    lanes: tuple[LaneState, ...]


@dataclass(frozen=True, slots=True)
class CouponView:
    """``lines``: its money events in the order they were decided; ``earlier``: coupons that had its serial before."""

    coupon: CouponId
    agent: KnownAgent
    standing: Standing
    lines: tuple[MoneyLine, ...]
    earlier: tuple[CouponId, ...]


class Overview:
    def __init__(self, *, storage: Storage, registry: Registry, chain: ChainView, clock: Clock) -> None:
        self._storage = storage
        self._registry = registry
        self._chain = chain
        self._clock = clock

    def branches(self) -> Sequence[Branch]:
        return self._chain.branches

    def today(self) -> LocalDay:
        """The day that most branches have now."""
        now = from_ms(self._clock.now_ms())
        zones = Counter(branch.time_zone for branch in self._chain.branches)
        days: Counter[LocalDay] = Counter()
        for zone, branches in zones.items():
            days[LocalDay(now.astimezone(ZoneInfo(zone)).date().isoformat())] += branches
        return max(days, key=lambda day: (days[day], day)) if days else LocalDay(now.date().isoformat())

    def since_ms(self, instant_ms: int) -> int:
        """How long ago something was, by HQ's clock."""
        return self._clock.now_ms() - instant_ms

    def contact(self, agent: AgentView) -> Contact:
        """``quiet`` is what a closed store is; ``silent`` is longer than any night."""
        if agent.state == "revoked":
            return "revoked"
        if agent.state != "active" or agent.last_contact_ms is None:
            return "never"
        since_ms = self.since_ms(agent.last_contact_ms)
        return "fresh" if since_ms < _FRESH_MS else "quiet" if since_ms < _QUIET_MS else "silent"

    def campaigns(self) -> Sequence[tuple[Campaign, CampaignState]]:
        """Each with what its window says of it."""
        now = Moment(wall_ms=self._clock.now_ms(), error_ms=0, boot_id="", boottime_ms=0)
        return [(campaign, campaign_state(campaign, None, now)) for campaign in self._chain.campaigns]

    async def agents(self) -> Sequence[AgentView]:
        """Those in the chain's file and those that ever had a claim, in order of branch and name."""
        lanes: dict[AgentName, list[LaneState]] = defaultdict(list)
        for lane in await self._storage.lanes():
            lanes[lane.key.agent].append(lane)
        views = {
            agent.name: AgentView(agent.name, branch.code, agent.number, "unclaimed", None, None, ())
            for branch in self._chain.branches
            for agent in branch.agents
        }
        for known in self._registry.all():
            views[known.name] = AgentView(
                name=known.name,
                branch=known.branch,
                number=known.number,
                state=known.state,
                enrolled_ms=known.enrolled_ms,
                last_contact_ms=known.last_contact_ms,
                lanes=tuple(lanes[known.name]),
            )
        return sorted(views.values(), key=lambda view: (view.branch, view.name))

    async def funnel(
        self, first: LocalDay, last: LocalDay, *, branch: BranchCode | None
    ) -> Sequence[FunnelLine]:
        """Of these days in each branch's own calendar, both inclusive."""
        return funnel(self._chain.campaigns, await self._storage.totals(first, last, branch=branch))

    async def coupon(self, text: str) -> CouponView | Refusal:
        """The coupon behind a short code or a QR text.

        A serial comes round again after years: a QR text names one coupon, a short code the newest of its serial,
        for its check can only be verified by the agent that made it.
        """
        code = read_code(text)
        if isinstance(code, Refusal):
            return code
        body = code.body if isinstance(code, SignedCode) else None
        named = code.body if isinstance(code, SignedCode) else code
        number, serial = named.agent_number, named.serial
        agent = self._registry.by_number(number)
        if agent is None:
            return Refusal(Reason.UNKNOWN_CODE)
        groups: dict[CouponId, list[MoneyLine]] = {}
        for line in await self._storage.coupon_lines(number, serial):
            if line.coupon is not None:
                groups.setdefault(line.coupon, []).append(line)
        names = {campaign.id: campaign.number for campaign in self._chain.campaigns}
        fitting = [coupon for coupon, lines in groups.items() if body is None or _is_of(body, lines, names)]
        if not fitting:
            return Refusal(Reason.UNKNOWN_CODE)
        coupon = fitting[-1]
        earlier = tuple(each for each in groups if each != coupon)
        lines = tuple(groups[coupon])
        return CouponView(coupon, agent, _standing(lines, self._clock.now_ms()), lines, earlier)


def _is_of(body: TokenBody, lines: Iterable[MoneyLine], numbers: dict[CampaignId, int]) -> bool:
    """Whether the token was made at this coupon's issue."""
    return any(
        line.what == "coupon_issued"
        and line.edition == body.edition
        and line.not_after_ms is not None
        and minute_of(line.not_after_ms) == body.not_after_min
        and numbers.get(line.campaign or CampaignId(""), body.campaign_number) == body.campaign_number
        for line in lines
    )


def _standing(lines: Sequence[MoneyLine], now_ms: int) -> Standing:
    state = CouponState.ACTIVE
    not_after_ms = None
    for line in lines:
        state = _AFTER.get(line.what, state)
        not_after_ms = line.not_after_ms or not_after_ms
    if state is CouponState.ACTIVE and not_after_ms is not None and not_after_ms < now_ms:
        return "expired"
    return state.value
