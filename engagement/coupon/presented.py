"""From a code that a till read to the coupon it names: whose it is, whether its seal holds, whether we know it."""

from collections.abc import Callable
from hmac import compare_digest

from engagement.clock.moment import Moment
from engagement.coupon.code import SignedCode
from engagement.coupon.coupon import CouponRecord
from engagement.coupon.short_code import ShortCode
from engagement.coupon.token import MINUTE_MS, minute_start_ms, signed_bytes, token_text
from engagement.refusal.reason import Reason
from engagement.refusal.refusal import Refusal

# (key index, signed bytes, signature) -> whether the agent's own key of that index made the signature.
Verify = Callable[[int, bytes, bytes], bool]


def identify(
    code: SignedCode | ShortCode, *, agent_number: int, lease_number: int, verify: Verify
) -> int | Refusal:
    """The serial that a code names in this agent's ledger, or why it names none."""
    if isinstance(code, ShortCode):
        return code.serial if code.agent_number == agent_number else Refusal(Reason.WRONG_BRANCH)
    if code.body.agent_number != agent_number:
        return Refusal(Reason.WRONG_BRANCH)
    if not verify(code.body.key_index, signed_bytes(code.body_bytes), code.signature):
        return Refusal(Reason.FORGED)
    if code.body.lease_number != lease_number:
        # Issued from a ledger that this box no longer has (it was damaged or replaced): only HQ knows its fate.
        return Refusal(Reason.NEEDS_LINE)
    return code.body.serial


def recognise(
    code: SignedCode | ShortCode, coupon: CouponRecord | None, now: Moment
) -> CouponRecord | Refusal:
    """The coupon, when the row under the code's serial is the very coupon that the code was made for."""
    if coupon is not None and compare_digest(_form_of(code, coupon).encode(), _text_of(code).encode()):
        return coupon
    if isinstance(code, SignedCode):
        not_after_ms = minute_start_ms(code.body.not_after_min) + MINUTE_MS - 1
        if now.is_certainly_after(not_after_ms):
            # Ours, and settled: its row has been cleared away and its serial may be in use again.
            return Refusal(Reason.EXPIRED, instants_ms={"expired_at": not_after_ms})
    return Refusal(Reason.UNKNOWN_CODE)


def _form_of(code: SignedCode | ShortCode, coupon: CouponRecord) -> str:
    return coupon.short_code if isinstance(code, ShortCode) else coupon.code


def _text_of(code: SignedCode | ShortCode) -> str:
    return code.digits if isinstance(code, ShortCode) else token_text(code.body_bytes, code.signature)
