"""Gives coupons out: the welcome offer, the shake's prize, the welcome-back offer."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from edge_agent.ports import StoreFull
from edge_agent.services.premises import Premises
from edge_agent.services.rights import Rights
from engagement.campaign.issue import (
    COUPON_SECRET_CHARS,
    IssueRequest,
    desk_keys,
    issue_rule,
    judge_issue,
    lay_desk,
)
from engagement.campaign.model import EDITION_MAX, Campaign
from engagement.campaign.play import (
    NONCE_BYTES,
    SEED_BYTES,
    DrawDay,
    PlayAnswer,
    PlayRecord,
    PlayRequest,
    draw_keys,
    play_key,
    play_keys,
    play_rule,
    reveal_rule,
)
from engagement.campaign.state import CampaignState, campaign_state, stop_key
from engagement.coupon.coupon import CouponRecord
from engagement.ids import CampaignId, LocalDay, SubjectId
from engagement.ledger.group import RecordUnreadable
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


class Issuing:
    """Every coupon that leaves this agent passes here; it is on disk before it is returned.

    ``rights``: where more comes from when a lease is short; without them it is sold out at once.
    """

    def __init__(self, premises: Premises, rights: Rights | None = None) -> None:
        self._premises = premises
        self._rights = rights or Rights(premises.clock)
        # Told once each; there are never more than bundles brought campaigns.
        self._unreadable: set[CampaignId] = set()

    def campaigns_on(self, trigger: str) -> list[Campaign]:
        """The bundle's campaigns with this trigger, in the bundle's order."""
        return [campaign for campaign in self._premises.bundle.campaigns if campaign.trigger.on == trigger]

    async def running_on(self, trigger: str) -> list[Campaign]:
        """Those of them that run now, for announcing; whether one still has coupons is said when it is asked for."""
        return [campaign for campaign in self.campaigns_on(trigger) if await self._is_running(campaign)]

    async def _is_running(self, campaign: Campaign) -> bool:
        key, now = stop_key(campaign.id), self._premises.clock.now()
        try:
            stop = (await self._premises.store.fetch([key])).get(key)
        except RecordUnreadable:
            return False
        return campaign_state(campaign, stop, now) is CampaignState.RUNNING

    async def give(self, campaign: Campaign, subject: SubjectId) -> CouponRecord | Refusal:
        """One coupon to a subject, or why not; a subject at its limit keeps what it has."""

        async def attempt() -> CouponRecord | Refusal:
            request = self._request(campaign, subject)
            return await self._premises.store.decide(
                desk_keys(request), issue_rule(request, self._premises.mint)
            )

        answer = await self._draw(campaign.id, attempt)
        if isinstance(answer, CouponRecord):
            self._rights.gave(campaign.id)
        return answer

    async def play(self, campaign_id: CampaignId, subject: SubjectId, nonce: bytes) -> PlayAnswer | Refusal:
        """One shake or held button. Errors: ValueError when the nonce is not 16 bytes."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"nonce: {len(nonce)} bytes, must be {NONCE_BYTES}")
        campaign = self._premises.campaigns.get(campaign_id)
        if campaign is None or campaign.trigger.on != "shake":
            return Refusal(Reason.UNKNOWN_CAMPAIGN)
        fresh_seed = self._premises.entropy.token(SEED_BYTES)

        async def attempt() -> PlayAnswer | Refusal:
            request = PlayRequest(self._request(campaign, subject), nonce, fresh_seed)
            return await self._premises.store.decide(
                play_keys(request), play_rule(request, self._premises.mint)
            )

        answer = await self._draw(campaign_id, attempt)
        if isinstance(answer, PlayAnswer) and answer.coupon is not None:
            self._rights.gave(campaign_id)
        return answer

    async def plays_left(self, campaign: Campaign, subject: SubjectId) -> int | Refusal:
        """How often the subject may still play today, at least 1, or why it may not; nothing is written."""

        async def attempt() -> int | Refusal:
            request = self._request(campaign, subject)
            desk = lay_desk(await self._premises.store.fetch(desk_keys(request)), request)
            refusal = judge_issue(campaign, desk, request.now)
            if refusal is not None:
                return refusal
            left = campaign.limits.plays_per_day - desk.subject.plays_today
            return left if left > 0 else Refusal(Reason.PLAYED_ENOUGH)

        return await self._draw(campaign.id, attempt)

    async def played(self, campaign: CampaignId, subject: SubjectId, nonce: bytes) -> PlayRecord | None:
        """The answer that a play got; None when it was never played."""
        key = play_key(campaign, subject, nonce)
        return (await self._premises.store.fetch([key])).get(key)

    async def revealed_draw(
        self, campaign_id: CampaignId, day: LocalDay, *, commitment: str | None = None
    ) -> DrawDay | None:
        """A past day's draw with its seed; None when it has not been drawn or the day is not certainly over.

        Also of an edition or a campaign that is no longer given out here. A day on which the edition rose had several draws:
        ``commitment`` picks the one that a receipt names; the newest edition's by default.
        """
        premises = self._premises
        if day >= premises.day_at(premises.clock.now().earliest_ms):
            return None
        campaign = premises.campaigns.get(campaign_id)
        edition_last = EDITION_MAX if campaign is None else campaign.edition
        keys = draw_keys(campaign_id, edition_last=edition_last, day=day)
        rows = await premises.store.fetch(keys)
        drawn = {key: draw for key in keys if (draw := rows.get(key)) is not None}
        fitting = [key for key, draw in drawn.items() if commitment in (None, draw.commitment_hex)]
        if not fitting:
            return None
        return await premises.store.decide([fitting[-1]], reveal_rule(fitting[-1]), essential=True)

    async def _draw(self, campaign: CampaignId, attempt: Callable[[], Awaitable[T | Refusal]]) -> T | Refusal:
        try:
            return await self._rights.draw(campaign, attempt)
        except StoreFull:
            return Refusal(Reason.STORE_FULL)
        except RecordUnreadable as unreadable:
            # One campaign's row that cannot be read takes no page and no other campaign down.
            if campaign not in self._unreadable:
                self._unreadable.add(campaign)
                extra = {"campaign": campaign, "cause": str(unreadable)}
                _LOG.error("a campaign's rows cannot be read; nothing is given of it", extra=extra)
            return Refusal(Reason.NOT_RUNNING)

    def _request(self, campaign: Campaign, subject: SubjectId) -> IssueRequest:
        now = self._premises.clock.now()
        return IssueRequest(
            campaign=campaign,
            subject=subject,
            now=now,
            day=self._premises.day_of(now),
            coupon_secret=self._premises.secret(COUPON_SECRET_CHARS),
            is_leased=self._premises.bundle.is_leased,
        )
