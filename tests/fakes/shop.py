"""One shop's campaigns, coupons, keys and instants, as tests need them: everything fits unless a test changes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engagement.campaign.issue import IssueRequest, Mint, desk_keys, issue_rule
from engagement.campaign.model import Campaign
from engagement.clock.moment import Moment, to_ms
from engagement.coupon.coupon import CouponRecord
from engagement.ids import (
    CashierName,
    LocalDay,
    OrderId,
    RequestId,
    SubjectId,
    TillName,
    VisitorId,
    visitor_subject,
)
from engagement.refusal.refusal import Refusal
from engagement.till.attempt import (
    Accepted,
    Attempt,
    Target,
    Undone,
    UndoRequest,
    redeem_keys,
    redeem_rule,
    undo_keys,
    undo_rule,
)
from tests.fakes.dict_ledger import DictLedger

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOON_MS = to_ms(NOON)
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
TODAY = LocalDay("2026-11-21")
TILL = TillName("till 1")
OTHER_TILL = TillName("till 2")
CASHIER = CashierName("Li")
ANNA = visitor_subject(VisitorId("anna"))
BERT = visitor_subject(VisitorId("bert"))
AGENT_NUMBER = 77
LEASE_NUMBER = 4711

_SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MINT = Mint(
    agent_number=AGENT_NUMBER,
    key_index=1,
    lease_number=LEASE_NUMBER,
    sign=_SIGNING_KEY.sign,
    public_key=_SIGNING_KEY.public_key().public_bytes_raw(),
    tag_key=b"tag key" * 4,
    short_key=b"short key" * 3,
)


def verify(key_index: int, message: bytes, signature: bytes) -> bool:
    """Whether the shop's own key made the signature."""
    if key_index != MINT.key_index:
        return False
    try:
        _SIGNING_KEY.public_key().verify(signature, message)
    except InvalidSignature:
        return False
    return True


def moment(
    wall_ms: int = NOON_MS, *, error_ms: int = 0, boot: str = "boot-1", ran_ms: int | None = None
) -> Moment:
    """A reading of clocks. ``ran_ms``: what has passed of this boot since noon; else boottime runs with the wall."""
    since_noon_ms = wall_ms - NOON_MS if ran_ms is None else ran_ms
    return Moment(wall_ms=wall_ms, error_ms=error_ms, boot_id=boot, boottime_ms=since_noon_ms + 100 * DAY_MS)


def day_of(now: Moment) -> LocalDay:
    return LocalDay(now.at.date().isoformat())


def campaign_file(**changes: object) -> dict[str, Any]:
    """A campaign as it stands in HQ's file: 20.00 off from 100.00 on, for everyone who joins; 1000 coupons."""
    return {
        "version": 1,
        "id": "welcome",
        "number": 3,
        "name": "Welcome",
        "title": {"en": "20 off", "zh-Hans": "立减20元"},
        "terms": {"en": "From 100.", "zh-Hans": "满100可用。"},
        "trigger": {"on": "welcome"},
        "offer": {"kind": "cash", "value_minor": 2000, "min_spend_minor": 10_000},
        "budget": {"units": 1000, "spend_minor": 10_000_000},
        "window": {
            "opens_at": (NOON - timedelta(days=10)).isoformat(),
            "ends_at": (NOON + timedelta(days=10)).isoformat(),
            "use_days": 7,
        },
    } | changes


def campaign(**changes: object) -> Campaign:
    return Campaign.model_validate(campaign_file(**changes))


def shake_campaign(*, win_bps: int = 5000, **changes: object) -> Campaign:
    """A shake that wins half the time, as often as one likes."""
    return campaign(
        **{
            "id": "shake",
            "number": 4,
            "trigger": {"on": "shake"},
            "draw": {"mode": "odds", "win_bps": win_bps},
            "limits": {"issue": 100, "issue_per_day": 100, "plays_per_day": 100},
        }
        | changes
    )


def issue_request(
    to: SubjectId = ANNA,
    *,
    of: Campaign | None = None,
    now: Moment | None = None,
    is_leased: bool = False,
) -> IssueRequest:
    now = now or moment()
    return IssueRequest(
        campaign=of or campaign(),
        subject=to,
        now=now,
        day=day_of(now),
        coupon_secret="secretsecret",
        is_leased=is_leased,
    )


def give(
    ledger: DictLedger, to: SubjectId = ANNA, *, of: Campaign | None = None, now: Moment | None = None
) -> CouponRecord | Refusal:
    """Issue a coupon through the real rule."""
    request = issue_request(to, of=of, now=now)
    return ledger.decide(desk_keys(request), issue_rule(request, MINT))


def coupon(*, of: Campaign | None = None, to: SubjectId = ANNA, now: Moment | None = None) -> CouponRecord:
    """A coupon that the real rule has just issued into a ledger of its own."""
    made = give(DictLedger(), to, of=of, now=now)
    assert isinstance(made, CouponRecord), made
    return made


def target(of: CouponRecord) -> Target:
    return Target(of.serial, of.coupon, of.campaign, of.subject)


def redeem(
    ledger: DictLedger,
    presented: CouponRecord,
    *,
    request: str,
    order: str = "order-1",
    basket_minor: int = 10_000,
    till: TillName = TILL,
    now: Moment | None = None,
) -> Accepted | Undone | Refusal:
    """Redeem through the real rule. The redemption's secret is the request's id: another one each time."""
    now = now or moment()
    attempt = Attempt(
        till=till,
        cashier=CASHIER,
        request=RequestId(request),
        order=OrderId(order),
        basket_minor=basket_minor,
        currency="CNY",
        now=now,
        day=day_of(now),
        redemption_secret=f"{till}.{request}",
    )
    return ledger.decide(redeem_keys(attempt, target(presented)), redeem_rule(attempt, target(presented)))


def undo(
    ledger: DictLedger, accepted: Accepted, *, order: str = "order-1", now: Moment | None = None
) -> Undone | Refusal:
    """Undo through the real rule."""
    now = now or moment()
    request = UndoRequest(
        redemption=accepted.redemption,
        till=TILL,
        cashier=CASHIER,
        now=now,
        day=day_of(now),
        target=target(accepted.coupon),
        order_till=accepted.coupon.redemption.till if accepted.coupon.redemption else TILL,
        order=OrderId(order),
    )
    return ledger.decide(undo_keys(request), undo_rule(request))


def accepted(answer: object) -> Accepted:
    assert isinstance(answer, Accepted), answer
    return answer


def issued(answer: object) -> CouponRecord:
    assert isinstance(answer, CouponRecord), answer
    return answer
