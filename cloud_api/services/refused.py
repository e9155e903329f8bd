"""What HQ answers instead of what was asked for: a stable code and a sentence; the http adapter gives it a status."""

from typing import Literal

RefusalCode = Literal[
    "agent_mismatch",
    "agent_number_taken",
    "agent_not_listed",
    "branch_unknown",
    "campaign_unknown",
    "certificate_wrong",
    "claim_expired",
    "claim_unknown",
    "claim_used",
    "diverged",
    "estate_moved",
    "gap",
    "lease_written_off",
    "mac_wrong",
    "malformed_batch",
    "not_certified",
    "not_packed",
    "overloaded",
    "password_wrong",
    "rights_went_back",
    "root_pinned",
    "too_many_tries",
    "unknown_vocabulary",
]


class Refused(Exception):
    """``more``: further members of the problem document, such as ``expected`` or ``slot_ms``."""

    def __init__(self, code: RefusalCode, because: str, **more: int) -> None:
        super().__init__(because)
        self.code = code
        self.because = because
        self.more = more
