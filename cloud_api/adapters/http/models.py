"""The API's requests and answers to people, as the outside contract has them; ``/openapi.json`` is made from these.

What agents send and get is in engagement.line.answers. Amounts are in minor units (fen, cents).
"""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from engagement.campaign.state import CampaignState
from engagement.ids import LABEL, AgentName, BranchCode, CampaignId, LocalDay
from engagement.journal.event import Lane

PASSWORD_CHARS_MAX = 1024


class Asking(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Answering(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _in_calendar(day: str) -> str:
    date.fromisoformat(day)
    return day


Day = Annotated[
    LocalDay,
    StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$"),
    AfterValidator(_in_calendar),
    Field(json_schema_extra={"format": "date"}),
]


class SessionRequest(Asking):
    user: Annotated[str, Field(min_length=1, max_length=200)]
    password: Annotated[str, Field(min_length=1, max_length=PASSWORD_CHARS_MAX)]


class SessionAnswer(Answering):
    token: str
    expires_at: datetime


class ClaimRequest(Asking):
    """``branch``: its code; ``agent``: its name, as the inventory has them."""

    branch: Annotated[BranchCode, LABEL]
    agent: Annotated[AgentName, LABEL]


class ClaimAnswer(Answering):
    claim_code: Annotated[
        str, Field(description="Typed or scanned at the new machine, once; shown nowhere again.")
    ]
    expires_at: datetime


class BranchAnswer(Answering):
    code: BranchCode
    name: str
    time_zone: str
    currency: str
    agents: list[AgentName]


class BranchesAnswer(Answering):
    branches: list[BranchAnswer]


class LaneAnswer(Answering):
    lane: Lane
    epoch: Annotated[str, Field(description="The agent's ledger file; a new one begins with every new file.")]
    mark: Annotated[int, Field(description="The last entry that HQ has.")]
    received_at: datetime
    dead_letters: Annotated[int, Field(description="Entries that arrived but could not be used.")]


class AgentAnswer(Answering):
    name: AgentName
    branch: BranchCode
    number: int | None
    state: Literal["unclaimed", "claimed", "active", "revoked"]
    enrolled_at: datetime | None
    last_contact_at: datetime | None
    public_key_hex: Annotated[
        str | None,
        Field(description="Of the machine that enrolled; null while none has, and once it is revoked."),
    ]
    backlog: Annotated[
        dict[Lane, int] | None, Field(description="Entries not yet sent; null while the agent has not told.")
    ]
    status: Annotated[
        Literal["ok", "degraded", "failing"] | None,
        Field(description="Null while it has not told, as below."),
    ]
    issues: Annotated[list[str] | None, Field(description="Codes of its health, most urgent first.")]
    bundle_sequence: Annotated[int | None, Field(description="The bundle that it works from; 0 for none.")]
    bundle_wanted: Annotated[
        int | None, Field(description="Its newest bundle; null when no branch lists it.")
    ]
    version: str | None
    reported_at: datetime | None
    dead_letters: int
    lanes: list[LaneAnswer]


class AgentsAnswer(Answering):
    agents: list[AgentAnswer]


class StopAnswer(Answering):
    at: datetime
    by: str
    honour_issued: Annotated[bool, Field(description="Whether coupons that were given are still redeemed.")]


class CampaignAnswer(Answering):
    id: CampaignId
    name: str
    trigger: str
    state: CampaignState
    edition: int
    currency: str
    stopped: Annotated[StopAnswer | None, Field(description="How HQ stopped it; null while it has not.")]


class CampaignsAnswer(Answering):
    campaigns: list[CampaignAnswer]


class FunnelQuery(BaseModel):
    """Days of each branch's own calendar, both inclusive."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    first: Annotated[Day, Field(alias="from")]
    last: Annotated[Day, Field(alias="to")]
    branch: Annotated[BranchCode, LABEL] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "FunnelQuery":
        if self.last < self.first:
            raise ValueError("to must not be before from")
        return self


class FunnelAnswerLine(Answering):
    """detected, shown, claimed and redeemed are defined in engagement.settlement.funnel, per trigger."""

    campaign: CampaignId
    detected: int
    shown: int
    claimed: int
    redeemed: int
    won: int
    claimed_minor: Annotated[int, Field(description="The most that the coupons given can cost.")]
    redeemed_minor: Annotated[int, Field(description="What came off baskets, less what was undone.")]
    currency: str


class FunnelAnswer(Answering):
    first: Annotated[LocalDay, Field(serialization_alias="from")]
    last: Annotated[LocalDay, Field(serialization_alias="to")]
    campaigns: list[FunnelAnswerLine]


class TimelineStep(Answering):
    what: str
    at: datetime
    amount_minor: int
    order: str | None
    redemption: str | None
    till: str | None
    cashier: str | None


class CouponAnswer(Answering):
    coupon: str
    state: Literal["active", "expired", "redeemed", "voided"]
    campaign: CampaignId | None
    branch: BranchCode
    agent: AgentName
    currency: str | None
    not_after: datetime | None
    timeline: list[TimelineStep]
    earlier: Annotated[list[str], Field(description="Coupons that had the same serial before this one.")]


class IssueAnswer(Answering):
    code: str
    since: datetime
    means: str
    do: str


class HealthAnswer(Answering):
    status: Literal["ok", "degraded", "failing"]
    issues: list[IssueAnswer]
    version: str
    in_hand: Annotated[int, Field(description="Batches being worked on.")]
