"""A coupon's life has four arrows; nothing else can happen to it."""

import pytest

from engagement.coupon.lifecycle import CouponState, ImpossibleStep, Step, diagram, step

ARROWS = {
    (None, Step.ISSUE): CouponState.ACTIVE,
    (CouponState.ACTIVE, Step.REDEEM): CouponState.REDEEMED,
    (CouponState.REDEEMED, Step.UNDO): CouponState.ACTIVE,
    (CouponState.ACTIVE, Step.VOID): CouponState.VOIDED,
}
STATES: list[CouponState | None] = [None, *CouponState]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", list(Step))
def test_every_state_and_step(state: CouponState | None, event: Step) -> None:
    after = ARROWS.get((state, event))
    if after is not None:
        assert step(state, event) is after
    else:
        with pytest.raises(ImpossibleStep, match=f"cannot {event}"):
            step(state, event)


def test_the_diagram_has_an_arrow_for_each() -> None:
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    [*] --> active: issue" in lines
    assert "    redeemed --> active: undo" in lines
    assert len(lines) == 1 + len(ARROWS)
