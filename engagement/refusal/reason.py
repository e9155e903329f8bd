"""The stable codes of every refusal. Tills and scripts match on them: none is ever renamed or removed."""

from enum import StrEnum


class Reason(StrEnum):
    # Redemption at the till; the set that the outside contract names.
    NOT_OURS = "not_ours"
    DAMAGED = "damaged"
    FORGED = "forged"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ALREADY_REDEEMED = "already_redeemed"
    RESERVED_ELSEWHERE = "reserved_elsewhere"
    VOIDED = "voided"
    WRONG_BRANCH = "wrong_branch"
    WRONG_MERCHANT = "wrong_merchant"
    REVOKED = "revoked"
    GIVEN_AWAY = "given_away"
    BELOW_MIN_SPEND = "below_min_spend"
    LIMIT_REACHED = "limit_reached"
    NEEDS_LINE = "needs_line"
    UNKNOWN_CODE = "unknown_code"
    CAMPAIGN_STOPPED = "campaign_stopped"
    TOO_MANY_TRIES = "too_many_tries"
    STORED_ELSEWHERE = "stored_elsewhere"
    # Redemption, beyond that set.
    WRONG_CURRENCY = "wrong_currency"
    NOT_WITH_OTHERS = "not_with_others"
    REQUEST_REUSED = "request_reused"
    ORDER_CLOSED = "order_closed"
    # Undo.
    UNKNOWN_REDEMPTION = "unknown_redemption"
    UNDO_TOO_LATE = "undo_too_late"
    # Guest side.
    NO_CONSENT = "no_consent"
    UNKNOWN_CAMPAIGN = "unknown_campaign"
    NOT_RUNNING = "not_running"
    SOLD_OUT = "sold_out"
    PLAYED_ENOUGH = "played_enough"
    TOO_BUSY = "too_busy"
    STORE_FULL = "store_full"
    UNKNOWN_MEMBER_CODE = "unknown_member_code"
