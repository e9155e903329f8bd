"""Whether a subject gets a coupon of a campaign now, and the coupon.

Issuing uses up a unit of the budget and a serial in the same ruling that makes the code, so nothing is shown
that is not paid for on disk. The budget is HQ's lease where there is one, else the campaign's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import new as hmac_new
from typing import Any

from engagement.campaign.model import Campaign
from engagement.campaign.state import CampaignState, StopRecord, campaign_state, stop_key
from engagement.campaign.tally import (
    CampaignTally,
    SubjectTally,
    campaign_tally_key,
    subject_tally_key,
)
from engagement.clock.moment import Moment
from engagement.coupon.coupon import (
    CouponRecord,
    EditionRecord,
    HistoryLine,
    edition_key,
    serial_id,
)
from engagement.coupon.lifecycle import Step, step
from engagement.coupon.serials import SERIAL_KEY, SerialRecord
from engagement.coupon.short_code import make_short_code
from engagement.coupon.token import (
    MINUTE_MAX,
    MINUTE_MS,
    MINUTE_ZERO_MS,
    TokenBody,
    minute_of,
    minute_start_ms,
    pack_body,
    signed_bytes,
    token_text,
)
from engagement.ids import CouponId, LocalDay, SubjectId
from engagement.journal.event import CouponIssued
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.rights.lease import LeaseAccount, lease_key
from engagement.till.sheet import SheetLine, blank_line, sheet_key
from engagement.visitor.visitor import WALLET_MAX, WalletRecord, wallet_key

_DAY_MS = 86_400_000
COUPON_SECRET_CHARS = 12


@dataclass(frozen=True, slots=True)
class Mint:
    """What makes an agent's codes its own. ``sign``: Ed25519 over the given bytes, 64 bytes; deterministic.

    ``public_key`` (32 bytes) is for whoever checks what it signed; ``tag_key`` and ``short_key`` never leave the agent.
    """

    agent_number: int
    key_index: int
    lease_number: int
    sign: Callable[[bytes], bytes]
    public_key: bytes
    tag_key: bytes
    short_key: bytes


@dataclass(frozen=True, slots=True)
class IssueRequest:
    """``coupon_secret``: unpredictable characters that make the coupon's public id unguessable. ``is_leased``: the
    campaign's budget is the whole chain's, and this agent draws on its lease of it."""

    campaign: Campaign
    subject: SubjectId
    now: Moment
    day: LocalDay
    coupon_secret: str
    is_leased: bool = False


@dataclass(frozen=True, slots=True)
class LeaseShort(Refusal):
    """Sold out as far as this agent's lease goes: asking again passes once HQ has granted more."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The rows that issuing rests on, as they stand on the day."""

    stop: StopRecord | None
    tally: CampaignTally
    subject: SubjectTally
    serials: SerialRecord
    wallet: WalletRecord
    sheet: SheetLine
    edition: EditionRecord | None
    account: LeaseAccount | None
    is_leased: bool

    def covers_one(self, liability_minor: int) -> bool:
        """Whether one more coupon may be drawn from the lease; not where none has begun."""
        if self.account is None:
            return False
        left = self.account.left(self.tally)
        return left.units >= 1 and left.minor >= liability_minor


def desk_keys(request: IssueRequest) -> tuple[Key[Any], ...]:
    """Every key that ``lay_desk`` reads."""
    campaign = request.campaign
    return (
        stop_key(campaign.id),
        campaign_tally_key(campaign.id),
        subject_tally_key(campaign.id, request.subject),
        SERIAL_KEY,
        wallet_key(request.subject),
        sheet_key(request.day, campaign.id),
        edition_key(campaign.id, campaign.edition),
        lease_key(campaign.id),
    )


def lay_desk(rows: Rows, request: IssueRequest) -> Desk:
    campaign, day = request.campaign, request.day
    tally_key = campaign_tally_key(campaign.id)
    subject_key = subject_tally_key(campaign.id, request.subject)
    return Desk(
        stop=rows.get(stop_key(campaign.id)),
        tally=(rows.get(tally_key) or CampaignTally(id=tally_key.id)).on(day),
        subject=(rows.get(subject_key) or SubjectTally(id=subject_key.id)).on(day),
        serials=rows.get(SERIAL_KEY) or SerialRecord(id=SERIAL_KEY.id),
        wallet=rows.get(wallet_key(request.subject)) or WalletRecord(id=request.subject),
        sheet=rows.get(sheet_key(day, campaign.id)) or blank_line(day, campaign.id, campaign.offer.currency),
        edition=rows.get(edition_key(campaign.id, campaign.edition)),
        account=rows.get(lease_key(campaign.id)),
        is_leased=request.is_leased,
    )


def judge_issue(campaign: Campaign, desk: Desk, now: Moment) -> Refusal | None:
    """The refusals in order; None when a coupon may be issued. What runs out for all is said before what one has."""
    state = campaign_state(campaign, desk.stop, now)
    if state is CampaignState.STOPPED:
        return Refusal(Reason.CAMPAIGN_STOPPED)
    if state is not CampaignState.RUNNING or not _can_state_times(campaign, now):
        return Refusal(Reason.NOT_RUNNING)
    if _is_sold_out(campaign, desk):
        return Refusal(Reason.SOLD_OUT)
    limits = campaign.limits
    if desk.subject.issued >= limits.issue:
        return Refusal(Reason.LIMIT_REACHED)
    if desk.subject.issued_today >= limits.issue_per_day:
        # Who won today may win again tomorrow, and is told so.
        is_game = campaign.trigger.on == "shake"
        return Refusal(Reason.PLAYED_ENOUGH if is_game else Reason.LIMIT_REACHED)
    # Last, because HQ can mend it: nobody is kept waiting for rights that would not help.
    if desk.is_leased and not desk.covers_one(campaign.offer.liability_minor):
        return LeaseShort(Reason.SOLD_OUT)
    return None


def _is_sold_out(campaign: Campaign, desk: Desk) -> bool:
    budget, tally = campaign.budget, desk.tally
    if desk.serials.left <= 0 or (
        budget.units_per_day is not None and tally.units_today >= budget.units_per_day
    ):
        return True
    if desk.is_leased:
        return False
    return (
        tally.units >= budget.units or tally.spend_minor + campaign.offer.liability_minor > budget.spend_minor
    )


def issue(request: IssueRequest, desk: Desk, mint: Mint) -> Ruling[CouponRecord]:
    """Make the coupon and everything that changes with it. The caller has asked judge_issue."""
    campaign, now = request.campaign, request.now
    coupon = _make_coupon(request, desk.serials.next, mint)
    liability_minor = campaign.offer.liability_minor
    writes: list[Record] = [
        coupon,
        desk.serials.model_copy(update={"next": desk.serials.next + 1}),
        desk.tally.model_copy(
            update={
                "units": desk.tally.units + 1,
                "units_today": desk.tally.units_today + 1,
                "spend_minor": desk.tally.spend_minor + liability_minor,
            }
        ),
        desk.subject.model_copy(
            update={"issued": desk.subject.issued + 1, "issued_today": desk.subject.issued_today + 1}
        ),
        desk.wallet.model_copy(update={"serials": (*desk.wallet.serials, coupon.serial)[-WALLET_MAX:]}),
        desk.sheet.with_issue(liability_minor),
    ]
    if desk.account is not None and not desk.is_leased:
        writes.append(desk.account.without_drawing(liability_minor))
    if desk.edition is None:
        writes.append(EditionRecord(id=edition_key(campaign.id, campaign.edition).id, campaign=campaign))
    event = CouponIssued(
        moment=now,
        coupon=coupon.coupon,
        campaign=campaign.id,
        edition=campaign.edition,
        subject=request.subject,
        liability_minor=liability_minor,
        currency=campaign.offer.currency,
        not_after_ms=coupon.not_after_ms,
    )
    return Ruling(coupon, writes=tuple(writes), events=(event,))


def issue_rule(request: IssueRequest, mint: Mint) -> Rule[CouponRecord | Refusal]:
    """Issue one coupon to a subject, or say why not."""

    def rule(rows: Rows) -> Ruling[CouponRecord | Refusal]:
        desk = lay_desk(rows, request)
        refusal = judge_issue(request.campaign, desk, request.now)
        if refusal is not None:
            return Ruling(refusal)
        issued = issue(request, desk, mint)
        return Ruling(issued.answer, writes=issued.writes, events=issued.events)

    return rule


def terms_check(campaign: Campaign) -> bytes:
    """Two bytes that tie a token to the exact terms of its edition."""
    return sha256(campaign.model_dump_json().encode()).digest()[:2]


def subject_tag(tag_key: bytes, campaign_number: int, subject: SubjectId) -> bytes:
    """Six bytes that are the same for one subject in one campaign, and unrelated across campaigns."""
    return hmac_new(tag_key, b"%d|" % campaign_number + subject.encode(), sha256).digest()[:6]


def _can_state_times(campaign: Campaign, now: Moment) -> bool:
    """Whether a token can carry a coupon's times; a clock that lost its battery may say 1970."""
    return now.wall_ms >= MINUTE_ZERO_MS and _not_after_min(campaign, now) <= MINUTE_MAX


def _not_after_min(campaign: Campaign, now: Moment) -> int:
    window = campaign.window
    issued_min = (now.wall_ms - MINUTE_ZERO_MS) // MINUTE_MS
    return issued_min + window.use_after_minutes + window.use_days * _DAY_MS // MINUTE_MS


def _make_coupon(request: IssueRequest, serial: int, mint: Mint) -> CouponRecord:
    campaign, now = request.campaign, request.now
    offer, window = campaign.offer, campaign.window
    # Valid from the earliest minute that this may be, so that a coupon issued now is usable now, also when the
    # clock proves to have been ahead by its error.
    earliest_min = minute_of(max(now.earliest_ms, MINUTE_ZERO_MS))
    not_before_min = earliest_min + window.use_after_minutes
    not_after_min = _not_after_min(campaign, now)
    body = pack_body(
        TokenBody(
            kind=offer.kind,
            key_index=mint.key_index,
            agent_number=mint.agent_number,
            campaign_number=campaign.number,
            edition=campaign.edition,
            lease_number=mint.lease_number,
            serial=serial,
            not_before_min=not_before_min,
            not_after_min=not_after_min,
            value=offer.value_minor if offer.kind == "cash" else offer.off_bps,
            min_spend_minor=offer.min_spend_minor,
            subject_tag=subject_tag(mint.tag_key, campaign.number, request.subject),
            terms_check=terms_check(campaign),
        )
    )
    short_code = make_short_code(
        key=mint.short_key,
        agent_number=mint.agent_number,
        lease_number=mint.lease_number,
        serial=serial,
        not_before_min=not_before_min,
    )
    return CouponRecord(
        id=serial_id(serial),
        coupon=CouponId(f"{serial_id(serial)}-{request.coupon_secret}"),
        serial=serial,
        campaign=campaign.id,
        edition=campaign.edition,
        subject=request.subject,
        state=step(None, Step.ISSUE),
        offer=offer,
        stacking=campaign.stacking,
        redeem_limit=campaign.limits.redeem,
        issued_ms=now.wall_ms,
        not_before_ms=minute_start_ms(not_before_min),
        not_after_ms=minute_start_ms(not_after_min + 1) - 1,
        code=token_text(body, mint.sign(signed_bytes(body))),
        short_code=short_code,
        history=(HistoryLine(what="issued", at_ms=now.wall_ms),),
    )
