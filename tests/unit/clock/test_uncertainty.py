"""How far the wall clock is believed."""

from engagement.clock.uncertainty import (
    UNSYNCHRONISED_ERROR_MS,
    Reading,
    first_trust,
    next_trust,
)

T = 1_800_000_000_000


def test_a_synchronised_clock_is_off_by_what_the_system_vouches_for() -> None:
    trust = first_trust(Reading(T, 1000, max_error_ms=40), floor_ms=0)
    assert (trust.wall_ms, trust.error_ms) == (T, 40)


def test_a_jump_that_boottime_does_not_explain_widens_the_error_by_its_size() -> None:
    trust = first_trust(Reading(T, 1000, None), floor_ms=0)
    trust = next_trust(trust, Reading(T + 60_000, 2000, None), floor_ms=0)
    assert trust.error_ms == UNSYNCHRONISED_ERROR_MS + 59_000


def test_time_that_passes_widens_nothing() -> None:
    trust = first_trust(Reading(T, 1000, None), floor_ms=0)
    trust = next_trust(trust, Reading(T + 86_400_000, 1000 + 86_400_000, None), floor_ms=0)
    assert (trust.wall_ms, trust.error_ms) == (T + 86_400_000, UNSYNCHRONISED_ERROR_MS)


def test_jumps_back_and_forth_add_up_and_synchronising_clears_them() -> None:
    trust = first_trust(Reading(T, 0, None), floor_ms=0)
    trust = next_trust(trust, Reading(T + 10_000, 0, None), floor_ms=0)
    trust = next_trust(trust, Reading(T, 0, None), floor_ms=0)
    assert trust.error_ms == UNSYNCHRONISED_ERROR_MS + 20_000
    trust = next_trust(trust, Reading(T, 0, 25), floor_ms=0)
    assert trust.error_ms == 25


def test_a_clock_below_the_floor_is_lifted_to_it_and_trusted_the_less() -> None:
    trust = first_trust(Reading(0, 500, None), floor_ms=T)
    assert trust.wall_ms == T
    assert trust.error_ms == UNSYNCHRONISED_ERROR_MS + T
