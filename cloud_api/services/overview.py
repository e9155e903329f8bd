"""What HQ's people look at: branches, agents, campaigns, the funnel, and one coupon's life."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from zoneinfo import ZoneInfo

from cloud_api.ports.estate import KeptReport
from cloud_api.ports.machine import Clock
from cloud_api.ports.storage import AgentState, KnownAgent, LaneState, MoneyLine, Storage
from cloud_api.services.estate_view import EstateView
from cloud_api.services.registry import Registry
from cloud_api.services.reporting import Reporting
from engagement.campaign.model import Campaign
from engagement.campaign.state import CampaignState, StopRecord, campaign_state
from engagement.clock.moment import Moment, from_ms
from engagement.coupon.code import SignedCode, read_code
from engagement.coupon.lifecycle import CouponState
from engagement.coupon.token import TokenBody, minute_of
from engagement.estate.branch import Agent, Branch
from engagement.estate.bundle import CampaignStop
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
    """``branch``: for which its claim was made, ``listed_in``: which lists it now, None when none does. ``state``:
    unclaimed while no claim was ever made for it; ``bundle_wanted``: the sequence of its newest bundle, None when no branch
    lists it; ``report``: what it last said of itself."""

    name: AgentName
    branch: BranchCode
    listed_in: BranchCode | None
    number: int | None
    state: AgentState | Literal["unclaimed"]
    enrolled_ms: int | None
    last_contact_ms: int | None
    public_key: bytes | None
    lanes: tuple[LaneState, ...]
    bundle_wanted: int | None
    report: KeptReport | None


@dataclass(frozen=True, slots=True)
class CouponView:
    """``lines``: its money events in the order they were decided; ``earlier``: coupons that had its serial before."""

    coupon: CouponId
    agent: KnownAgent
    standing: Standing
    lines: tuple[MoneyLine, ...]
    earlier: tuple[CouponId, ...]


class Overview:
    def __init__(
        self,
        *,
        storage: Storage,
        registry: Registry,
        estate: EstateView,
        reporting: Reporting,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._estate = estate
        self._reporting = reporting
        self._clock = clock

    def branches(self) -> Sequence[Branch]:
        return self._estate.branches

    def today(self) -> LocalDay:
        """The day that most branches have now."""
        now = from_ms(self._clock.now_ms())
        zones = Counter(branch.time_zone for branch in self._estate.branches)
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
        """Each with what its window says of it, and whether HQ stopped it."""
        now = Moment(wall_ms=self._clock.now_ms(), error_ms=0, boot_id="", boottime_ms=0)
        return [
            (campaign, campaign_state(campaign, self._stopped(campaign.id), now))
            for campaign in self._estate.campaigns
        ]

    def stop_of(self, campaign: CampaignId) -> CampaignStop | None:
        """How HQ stopped it; None while it has not."""
        return self._estate.stop_of(campaign)

    def _stopped(self, campaign: CampaignId) -> StopRecord | None:
        stop = self._estate.stop_of(campaign)
        if stop is None:
            return None
        return StopRecord(id=campaign, stopped_ms=stop.at_ms, by=stop.by, honour_issued=stop.honour_issued)

    async def agents(self) -> Sequence[AgentView]:
        """Those that a branch lists and those that ever had a claim, in order of branch and name."""
        lanes: dict[AgentName, list[LaneState]] = defaultdict(list)
        for lane in await self._storage.lanes():
            lanes[lane.key.agent].append(lane)
        views = [self._known(known, tuple(lanes[known.name])) for known in self._registry.all()]
        views += [
            self._unclaimed(branch, agent)
            for branch in self._estate.branches
            for agent in branch.agents
            if self._registry.find(agent.name) is None
        ]
        return sorted(views, key=lambda view: (view.branch, view.name))

    async def agent(self, name: AgentName) -> AgentView | None:
        """None for one that no branch lists and that never had a claim."""
        found = self._registry.find(name)
        if found is not None:
            return self._known(found.known, tuple(await self._storage.lanes(agent=name)))
        return next(
            (
                self._unclaimed(branch, agent)
                for branch in self._estate.branches
                for agent in branch.agents
                if agent.name == name
            ),
            None,
        )

    def _known(self, known: KnownAgent, lanes: tuple[LaneState, ...]) -> AgentView:
        """In the branch that its claim was made for, whichever lists it now."""
        report, place = self._reporting.last(known.name), self._estate.place(known.name)
        contacts_ms = [known.last_contact_ms, report.received_ms if report else None]
        return AgentView(
            name=known.name,
            branch=known.branch,
            listed_in=place.branch.branch.code if place is not None else None,
            number=known.number,
            state=known.state,
            enrolled_ms=known.enrolled_ms,
            last_contact_ms=max((each for each in contacts_ms if each is not None), default=None),
            public_key=known.public_key,
            lanes=lanes,
            bundle_wanted=self._estate.bundle_sequence(known.name),
            report=report,
        )

    def _unclaimed(self, branch: Branch, agent: Agent) -> AgentView:
        return replace(
            self.forgotten(agent.name),
            branch=branch.code,
            listed_in=branch.code,
            number=agent.number,
            bundle_wanted=self._estate.bundle_sequence(agent.name),
        )

    def forgotten(self, name: AgentName) -> AgentView:
        """One of which HQ knows no more than its name, as of those that enrolled after the backup that was restored."""
        return AgentView(
            name=name,
            branch=BranchCode(""),
            listed_in=None,
            number=None,
            state="unclaimed",
            enrolled_ms=None,
            last_contact_ms=None,
            public_key=None,
            lanes=(),
            bundle_wanted=None,
            report=None,
        )

    async def funnel(
        self, first: LocalDay, last: LocalDay, *, branch: BranchCode | None
    ) -> Sequence[FunnelLine]:
        """Of these days in each branch's own calendar, both inclusive."""
        return funnel(self._estate.campaigns, await self._storage.totals(first, last, branch=branch))

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
        names = {campaign.id: campaign.number for campaign in self._estate.campaigns}
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
