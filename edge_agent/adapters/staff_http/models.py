"""The API's requests and answers, as the outside contract has them. ``/openapi.json`` is made from these.

Unknown fields are ignored, so that tills may send more than we know: every field that matters is mandatory, and a
mistyped one is an error all the same.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from engagement.campaign.state import CampaignState
from engagement.coupon.coupon import Standing
from engagement.ids import FOREIGN_ID, LABEL, CashierName, OrderId, RequestId
from engagement.money import BASKET_MINOR_MAX, Currency
from engagement.refusal.reason import Reason

# Longer than any code that a scanner sends; what is longer than our own codes is refused as not_ours.
CODE_CHARS_MAX = 4096
# As many as one order takes.
CODES_MAX = 20

Code = Annotated[
    str, Field(max_length=CODE_CHARS_MAX, description="QR text or 20-digit short code, as read.")
]
Basket = Annotated[
    int, Field(strict=True, ge=0, le=BASKET_MINOR_MAX, description="Minor units (fen, cents) before coupons.")
]
Decision = Literal["accepted", "refused"]


class Asking(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Answering(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RedemptionRequest(Asking):
    request_id: Annotated[
        RequestId, FOREIGN_ID, Field(description="The till's own; send it again to ask again.")
    ]
    code: Code
    order_id: Annotated[OrderId, FOREIGN_ID]
    basket_minor: Basket
    currency: Currency
    cashier: Annotated[CashierName, LABEL]


class UndoRequest(Asking):
    request_id: Annotated[RequestId, FOREIGN_ID]
    cashier: Annotated[CashierName, LABEL]


class QuoteRequest(Asking):
    codes: Annotated[list[Code], Field(max_length=CODES_MAX)]
    basket_minor: Basket
    currency: Currency
    order_id: Annotated[OrderId, FOREIGN_ID] | None = None


class OrderRequest(Asking):
    order_id: Annotated[OrderId, FOREIGN_ID]
    basket_minor: Basket
    currency: Currency
    cashier: Annotated[CashierName, LABEL]
    codes: Annotated[list[Code], Field(max_length=CODES_MAX)] = []


class StopRequest(BaseModel):
    """``request_id`` is taken, for tills send one with everything; stopping twice is stopping once without it.

    All are optional: a switch that is pulled in an emergency must not fail on a field.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    request_id: Annotated[RequestId, FOREIGN_ID] | None = None
    cashier: Annotated[CashierName, LABEL] | None = None
    # In either spelling: what a slip here would lose cannot be taken back.
    honour_issued: Annotated[
        bool,
        Field(
            strict=True,
            validation_alias=AliasChoices("honour_issued", "honor_issued"),
            description="Whether coupons already given out are still redeemed.",
        ),
    ] = False


class Say(Answering):
    """What to tell each of them, in the language of ``Accept-Language``."""

    cashier: str
    shopper: str


class RedemptionAnswer(Answering):
    """``reason`` is null unless refused; ``coupon`` is the coupon's id, null when the code names none."""

    decision: Literal["accepted", "refused", "undone"]
    reason: Reason | None
    redemption_id: str | None
    discount_minor: int
    coupon: str | None
    say: Say
    would_pass_if: Annotated[str | None, Field(description="What would make the same request pass.")]


class QuoteLine(Answering):
    code: str
    decision: Decision
    reason: Reason | None
    discount_minor: int
    coupon: str | None
    say: Say
    would_pass_if: str | None


class QuoteAnswer(Answering):
    """``lines`` in the order in which the coupons would be applied."""

    basket_minor: int
    discount_minor: int
    due_minor: int
    currency: str
    lines: list[QuoteLine]


class OrderLine(RedemptionAnswer):
    code: str


class OrderAnswer(Answering):
    """Refused as a whole only when the order was closed before with another basket."""

    decision: Decision
    reason: Reason | None
    order_id: str
    basket_minor: int
    discount_minor: int
    due_minor: int
    currency: str
    closed_at: datetime | None
    lines: list[OrderLine]
    say: Say | None
    would_pass_if: str | None


class OfferAnswer(Answering):
    kind: Literal["cash", "percent"]
    value_minor: int
    off_bps: int
    cap_minor: int
    min_spend_minor: int
    currency: str


class MadeRedemption(Answering):
    redemption_id: str
    order_id: str
    till: str
    cashier: str
    redeemed_at: datetime
    discount_minor: int


class TimelineStep(Answering):
    what: Literal["issued", "redeemed", "undone", "voided"]
    at: datetime
    by: str
    redemption_id: str | None


class CouponAnswer(Answering):
    """``state`` is what the coupon is now, time included; ``campaign`` the campaign's id."""

    id: str
    campaign: str
    title: str
    terms: str
    state: Standing
    campaign_stopped: bool
    short_code: str
    offer: OfferAnswer
    issued_at: datetime
    valid_from: datetime
    expires_at: datetime
    redemption: MadeRedemption | None
    timeline: list[TimelineStep]


class StopAnswer(Answering):
    id: str
    state: Literal["stopped"]
    stopped_at: datetime
    by: str
    honour_issued: bool


class CampaignAnswer(Answering):
    id: str
    name: str
    title: str
    trigger: Literal["welcome", "shake", "welcome_back"]
    state: CampaignState
    edition: int
    opens_at: datetime
    ends_at: datetime
    stop: StopAnswer | None


class CampaignsAnswer(Answering):
    campaigns: list[CampaignAnswer]


class IssueAnswer(Answering):
    code: str
    since: datetime
    means: str
    do: str


class BacklogAnswer(Answering):
    """Entries of each lane that HQ has not confirmed."""

    money: int
    engagement: int
    telemetry: int


class HealthAnswer(Answering):
    status: Literal["ok", "degraded", "failing"]
    issues: list[IssueAnswer]
    backlog: BacklogAnswer
    last_sync_at: datetime | None
    radio: str
    branch: str
    agent: str
    version: str
    clock_error_ms: int
    store: str
