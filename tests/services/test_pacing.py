"""Slots: none while there is room, then one after the other at the rate that was measured."""

from cloud_api.services.pacing import FIRST_GAP_S, Pace, finished, next_slot
from engagement.line.answers import SLOT_MS_MAX


def slots(pace: Pace, count: int, *, in_hand: int = 64, now_mono_s: float = 10.0) -> tuple[Pace, list[int]]:
    given = []
    for _ in range(count):
        pace, slot_ms = next_slot(pace, now_mono_s=now_mono_s, in_hand=in_hand, free_until=8)
        given.append(slot_ms)
    return pace, given


def test_nobody_waits_while_there_is_room() -> None:
    assert slots(Pace(), 5, in_hand=8) == (Pace(), [0] * 5)


def test_a_crowd_is_spread_at_the_measured_rate() -> None:
    pace, given = slots(Pace(gap_s=0.010), 100)
    assert given == [640 + 10 * place for place in range(100)]
    _, later = slots(pace, 1, in_hand=0, now_mono_s=10.5)
    assert later == [1140]  # the promised ones come first, however idle it looks
    _, after = slots(pace, 1, in_hand=0, now_mono_s=11.7)
    assert after == [0]


def test_no_slot_is_longer_than_agents_believe() -> None:
    pace, given = slots(Pace(gap_s=1.0), 2000)
    assert max(given) == SLOT_MS_MAX
    assert pace.promised_mono_s <= 10.0 + SLOT_MS_MAX / 1000


def test_the_rate_follows_what_is_measured() -> None:
    pace = Pace()
    for _ in range(500):
        pace = finished(pace, gap_s=0.02)
    assert abs(pace.gap_s - 0.02) < 0.001
    assert finished(Pace(), gap_s=1e9).gap_s < FIRST_GAP_S + 0.03
