"""One type per kind of name, so that a coupon's id can never stand where a campaign's is meant.

All are strings on the wire; what each may look like is checked where it enters (the pydantic models).
"""

from typing import Annotated, NewType

from pydantic import StringConstraints

BranchCode = NewType("BranchCode", str)
AgentName = NewType("AgentName", str)
ZoneName = NewType("ZoneName", str)
BeaconName = NewType("BeaconName", str)
TillName = NewType("TillName", str)
CashierName = NewType("CashierName", str)
MemberId = NewType("MemberId", str)
VisitorId = NewType("VisitorId", str)
SubjectId = NewType("SubjectId", str)
CampaignId = NewType("CampaignId", str)
CouponId = NewType("CouponId", str)
OrderId = NewType("OrderId", str)
RequestId = NewType("RequestId", str)
RedemptionId = NewType("RedemptionId", str)
LocalDay = NewType("LocalDay", str)

# Constraints of names: ``Annotated[ZoneName, LABEL]`` keeps the kind of name apart and checks its letters.
# Names typed by people in files: short, printable, no surrounding space, so that messages can quote them; no bar,
# which separates the parts of record keys.
LABEL = StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^|\x00-\x1f\x7f]*$")
# Names that appear in URLs and record keys.
SLUG = StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
# Names chosen by a foreign till: any printable ASCII, bounded so that a key stays small.
FOREIGN_ID = StringConstraints(pattern=r"^[!-~]{1,64}$")

Label = Annotated[str, LABEL]
Slug = Annotated[str, SLUG]


def visitor_subject(visitor: VisitorId) -> SubjectId:
    """The owner of coupons won on one phone."""
    return SubjectId(f"v:{visitor}")


def member_subject(member: MemberId) -> SubjectId:
    """The owner of coupons that follow a member from phone to phone."""
    return SubjectId(f"m:{member}")
