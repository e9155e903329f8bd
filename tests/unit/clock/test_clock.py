"""Time as an interval, stamps that never go back, and how long ago something certainly was."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from engagement.clock.hybrid import HybridTime, tick
from engagement.clock.moment import certainly_elapsed_ms, from_ms, to_ms
from tests.fakes.shop import HOUR_MS, NOON, NOON_MS, moment


def test_certainty_ends_where_the_error_begins() -> None:
    now = moment(NOON_MS, error_ms=1000)
    assert now.is_certainly_after(NOON_MS - 1001)
    assert not now.is_certainly_after(NOON_MS - 1000)
    assert now.is_certainly_before(NOON_MS + 1001)
    assert not now.is_certainly_before(NOON_MS + 1000)


def test_an_exact_clock_is_neither_before_nor_after_its_own_instant() -> None:
    assert not moment().is_certainly_after(NOON_MS)
    assert not moment().is_certainly_before(NOON_MS)
    assert moment().at == NOON


def test_elapsed_time_is_exact_within_a_boot_and_the_least_possible_across_boots() -> None:
    then = moment(NOON_MS, error_ms=HOUR_MS)
    assert certainly_elapsed_ms(then, moment(NOON_MS - HOUR_MS, ran_ms=5000)) == 5000
    rebooted = moment(NOON_MS + 3 * HOUR_MS, error_ms=HOUR_MS, boot="boot-2")
    assert certainly_elapsed_ms(then, rebooted) == HOUR_MS
    assert certainly_elapsed_ms(then, moment(NOON_MS - HOUR_MS, boot="boot-2")) == 0


@pytest.mark.parametrize(
    ("last", "wall_ms", "after"),
    [
        (HybridTime(10, 3), 11, HybridTime(11, 0)),
        (HybridTime(10, 3), 10, HybridTime(10, 4)),
        (HybridTime(10, 3), 2, HybridTime(10, 4)),
    ],
)
def test_a_stamp_is_always_greater_than_the_last(last: HybridTime, wall_ms: int, after: HybridTime) -> None:
    assert tick(last, wall_ms) == after > last


def test_milliseconds_and_instants_are_the_same_thing() -> None:
    assert from_ms(NOON_MS) == NOON
    assert to_ms(NOON.astimezone(timezone(timedelta(hours=8)))) == NOON_MS
    assert to_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1, "rounded down"
    with pytest.raises(ValueError, match="naive"):
        to_ms(datetime(2026, 11, 21))  # noqa: DTZ001
