"""The draw: a play wins or not, provably decided by a seed that was fixed before the phone chose its nonce.

Each day of a campaign has a secret seed, whose SHA-256 (the commitment) stands in every receipt. A play's outcome is
HMAC(seed, play number | nonce | head before it); receipts chain through the head. When the day is over the seed
is shown, and anybody can recompute every receipt (``verify_day``): gapless play numbers show that none was dropped.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import new as hmac_new
from typing import Any, ClassVar

from engagement.campaign.issue import (
    Desk,
    IssueRequest,
    Mint,
    desk_keys,
    issue,
    judge_issue,
    lay_desk,
)
from engagement.campaign.model import Campaign
from engagement.coupon.coupon import CouponRecord
from engagement.ids import CampaignId, CouponId, LocalDay, SubjectId
from engagement.journal.event import Played
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal
from engagement.values import Value

NONCE_BYTES = 16
SEED_BYTES = 32
CHAIN_START = bytes(32)
RECEIPT_DOMAIN = b"beckon play receipt v1\x00"


class DrawDay(Record):
    """One campaign's draw on one day. ``seed_hex`` is told to nobody until the day is over; once ``is_revealed``,
    nobody plays on it any more, whatever day a clock says it is."""

    kind: ClassVar[str] = "draw_day"
    seed_hex: str
    plays: int = 0
    head_hex: str = CHAIN_START.hex()
    is_revealed: bool = False

    @property
    def edition(self) -> int:
        return int(self.id.rpartition("|")[0].rpartition("@")[2])

    @property
    def commitment_hex(self) -> str:
        return sha256(bytes.fromhex(self.seed_hex)).hexdigest()


class Receipt(Value):
    """What a player holds: enough, with the day's seed, to recompute the outcome. ``signature_hex``: the agent's
    Ed25519 over the JSON of the receipt with an empty signature."""

    campaign: CampaignId
    day: LocalDay
    play: int
    nonce: str
    won: bool
    head: str
    commitment: str
    signature_hex: str = ""


class PlayRecord(Record):
    """The answer to one play, so that the same play asked again is answered the same."""

    kind: ClassVar[str] = "play"
    won: bool
    coupon: CouponId | None
    receipt: Receipt
    played_ms: int


@dataclass(frozen=True, slots=True)
class PlayAnswer:
    """``coupon`` is the coupon's record when this very call won it, None on a loss and on a repeat."""

    record: PlayRecord
    coupon: CouponRecord | None


@dataclass(frozen=True, slots=True)
class PlayRequest:
    """``nonce``: 16 bytes that the phone chose. ``fresh_seed`` is used when this is the day's first play."""

    issue: IssueRequest
    nonce: bytes
    fresh_seed: bytes


def draw_id(campaign: CampaignId, edition: int, day: LocalDay) -> str:
    return f"{campaign}@{edition}|{day}"


def draw_day_key(campaign: Campaign, day: LocalDay) -> Key[DrawDay]:
    return Key(DrawDay, draw_id(campaign.id, campaign.edition, day))


def draw_keys(campaign: CampaignId, *, edition_last: int, day: LocalDay) -> tuple[Key[DrawDay], ...]:
    """Of every draw that a day may have had: each edition draws by itself. The newest edition's last."""
    return tuple(Key(DrawDay, draw_id(campaign, each, day)) for each in range(1, edition_last + 1))


def play_key(campaign: CampaignId, subject: SubjectId, nonce: bytes) -> Key[PlayRecord]:
    return Key(PlayRecord, f"{campaign}|{subject}|{nonce.hex()}")


def play_keys(request: PlayRequest) -> tuple[Key[Any], ...]:
    campaign = request.issue.campaign
    return (
        *desk_keys(request.issue),
        draw_day_key(campaign, request.issue.day),
        play_key(campaign.id, request.issue.subject, request.nonce),
    )


def is_win(seed: bytes, play: int, nonce: bytes, head: bytes, win_bps: int) -> bool:
    """The outcome of a play; the modulo of 64 bits by 10,000 is even to 1 part in 10**15."""
    digest = hmac_new(seed, play.to_bytes(8, "big") + nonce + head, sha256).digest()
    return int.from_bytes(digest[:8], "big") % 10_000 < win_bps


def next_head(head: bytes, play: int, nonce: bytes, won: bool) -> bytes:
    """The chain's head after a play: SHA-256(head | play number, 8 bytes | nonce | 1 or 0)."""
    return sha256(head + play.to_bytes(8, "big") + nonce + (b"\x01" if won else b"\x00")).digest()


def play_rule(request: PlayRequest, mint: Mint) -> Rule[PlayAnswer | Refusal]:
    """One shake: the same answer for a nonce seen before, a refusal, a loss, or a win with its coupon."""
    campaign, subject = request.issue.campaign, request.issue.subject

    def rule(rows: Rows) -> Ruling[PlayAnswer | Refusal]:
        before = rows.get(play_key(campaign.id, subject, request.nonce))
        if before is not None:
            return Ruling(PlayAnswer(before, None))
        desk = lay_desk(rows, request.issue)
        refusal = judge_issue(campaign, desk, request.issue.now)
        if refusal is not None:
            return Ruling(refusal)
        if desk.subject.plays_today >= campaign.limits.plays_per_day:
            return Ruling(Refusal(Reason.PLAYED_ENOUGH))
        day_key = draw_day_key(campaign, request.issue.day)
        draw = rows.get(day_key) or DrawDay(id=day_key.id, seed_hex=request.fresh_seed.hex())
        if draw.is_revealed:
            return Ruling(Refusal(Reason.NOT_RUNNING))
        return _play(request, mint, draw, desk)

    return rule


def _play(request: PlayRequest, mint: Mint, draw: DrawDay, desk: Desk) -> Ruling[PlayAnswer | Refusal]:
    asked = request.issue
    campaign, head, number = asked.campaign, bytes.fromhex(draw.head_hex), draw.plays + 1
    won = is_win(bytes.fromhex(draw.seed_hex), number, request.nonce, head, campaign.draw.win_bps)
    after = draw.model_copy(
        update={"plays": number, "head_hex": next_head(head, number, request.nonce, won).hex()}
    )
    played = desk.subject.model_copy(update={"plays_today": desk.subject.plays_today + 1})
    issued = issue(asked, replace(desk, subject=played), mint) if won else None
    record = PlayRecord(
        id=play_key(campaign.id, asked.subject, request.nonce).id,
        won=won,
        coupon=issued.answer.coupon if issued else None,
        receipt=_receipt(request, after, won, mint),
        played_ms=asked.now.wall_ms,
    )
    event = Played(moment=asked.now, campaign=campaign.id, subject=asked.subject, play=number, won=won)
    return Ruling(
        PlayAnswer(record, issued.answer if issued else None),
        writes=(record, after, *(issued.writes if issued else (played,))),
        events=(event, *(issued.events if issued else ())),
    )


def reveal_rule(key: Key[DrawDay]) -> Rule[DrawDay | None]:
    """Close a day's draw for good and show it; None when nobody played. The caller knows that the day is over."""

    def rule(rows: Rows) -> Ruling[DrawDay | None]:
        draw = rows.get(key)
        if draw is None or draw.is_revealed:
            return Ruling(draw)
        revealed = draw.model_copy(update={"is_revealed": True})
        return Ruling(revealed, writes=(revealed,))

    return rule


def _receipt(request: PlayRequest, after: DrawDay, won: bool, mint: Mint) -> Receipt:
    blank = Receipt(
        campaign=request.issue.campaign.id,
        day=request.issue.day,
        play=after.plays,
        nonce=request.nonce.hex(),
        won=won,
        head=after.head_hex,
        commitment=after.commitment_hex,
    )
    return blank.model_copy(update={"signature_hex": mint.sign(receipt_bytes(blank)).hex()})


def receipt_bytes(receipt: Receipt) -> bytes:
    """What the agent signs: a domain, and the receipt's JSON with an empty signature."""
    return RECEIPT_DOMAIN + receipt.model_copy(update={"signature_hex": ""}).model_dump_json().encode()


def verify_day(draw: DrawDay, win_bps: int, receipts: Iterable[Receipt]) -> str | None:
    """Recompute a day from its revealed draw and all its receipts; None when all is right, else what is wrong.

    Signatures are not looked at: whoever holds a receipt compares it with the one of that number.
    """
    seed, head, number = bytes.fromhex(draw.seed_hex), CHAIN_START, 0
    for number, receipt in enumerate(sorted(receipts, key=lambda receipt: receipt.play), start=1):
        if receipt.play != number:
            return f"play {min(number, receipt.play)} is missing or there twice"
        if receipt.commitment != draw.commitment_hex:
            return f"play {number} was committed to another seed"
        try:
            nonce = bytes.fromhex(receipt.nonce)
        except ValueError:
            return f"play {number} has a nonce that is not hexadecimal"
        won = is_win(seed, number, nonce, head, win_bps)
        if receipt.won != won:
            return f"play {number} should have {'won' if won else 'lost'}"
        head = next_head(head, number, nonce, won)
        if receipt.head != head.hex() or receipt.nonce != nonce.hex():
            return f"play {number} does not follow the one before it"
        if draw_id(receipt.campaign, draw.edition, receipt.day) != draw.id:
            return f"play {number} is of another campaign or day"
    if (number, head.hex()) != (draw.plays, draw.head_hex):
        return f"{number} plays do not end where the day ended, after {draw.plays}"
    return None
