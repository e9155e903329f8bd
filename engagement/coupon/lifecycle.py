"""The life of a coupon, as a table. Expiry is not in it: that is what a date makes of a state, not a change."""

from collections.abc import Mapping
from enum import StrEnum


class CouponState(StrEnum):
    """As stored at the coupon's owner."""

    ACTIVE = "active"
    REDEEMED = "redeemed"
    VOIDED = "voided"


class Step(StrEnum):
    """What may happen to a coupon."""

    ISSUE = "issue"
    REDEEM = "redeem"
    UNDO = "undo"
    VOID = "void"


TRANSITIONS: Mapping[tuple[CouponState | None, Step], CouponState] = {
    (None, Step.ISSUE): CouponState.ACTIVE,
    (CouponState.ACTIVE, Step.REDEEM): CouponState.REDEEMED,
    (CouponState.REDEEMED, Step.UNDO): CouponState.ACTIVE,
    (CouponState.ACTIVE, Step.VOID): CouponState.VOIDED,
}


class ImpossibleStep(AssertionError):
    """A rule tried a step that its own refusals should have excluded: our bug."""


def step(state: CouponState | None, event: Step) -> CouponState:
    """The state after an event. Errors: ImpossibleStep when the table has no such arrow."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ImpossibleStep(f"a coupon that is {state or 'not issued'} cannot {event}") from None


def diagram() -> str:
    """The table as a Mermaid state diagram; ARCHITECTURE.md shows exactly this text."""
    lines = ["stateDiagram-v2"]
    for (before, event), after in TRANSITIONS.items():
        lines.append(f"    {before or '[*]'} --> {after}: {event}")
    return "\n".join(lines)
