"""Phones are found again for a day or two, and never after their keys are gone."""

from edge_agent.services.visit_keys import DAY_KEY_LIFE_MS, KeyRing, VisitKeys
from tests.fakes.ledger import HandClock, SeededEntropy

PHONE = b"a phone"
HOUR_MS = 3_600_000


class KeptRing:
    """A key file in memory. ``failure``: raised by whatever writes."""

    def __init__(self) -> None:
        self.ring: KeyRing | None = None
        self.failure: OSError | None = None

    def load(self) -> KeyRing | None:
        return self.ring

    def save(self, ring: KeyRing) -> None:
        if self.failure is not None:
            raise self.failure
        self.ring = ring


def _keys(clock: HandClock, file: KeptRing) -> VisitKeys:
    return VisitKeys(clock, SeededEntropy(), file)


def test_a_phone_is_found_under_todays_key_again_and_again() -> None:
    clock, file = HandClock(), KeptRing()
    keys = _keys(clock, file)
    first = keys.visit_ids(PHONE)
    clock.pass_ms(DAY_KEY_LIFE_MS - 1)
    assert keys.visit_ids(PHONE) == first
    assert keys.visit_ids(b"another phone")[0] != first[0]


def test_yesterdays_key_still_finds_and_no_longer_mints() -> None:
    clock, file = HandClock(), KeptRing()
    keys = _keys(clock, file)
    (yesterday,) = keys.visit_ids(PHONE)
    clock.pass_ms(DAY_KEY_LIFE_MS)
    today, found = keys.visit_ids(PHONE)
    assert found == yesterday
    assert today != yesterday


def test_no_key_outlives_two_days_in_the_file_or_in_use() -> None:
    clock, file = HandClock(), KeptRing()
    keys = _keys(clock, file)
    (minted,) = keys.visit_ids(PHONE)
    assert file.ring is not None
    first_key = file.ring.today_hex
    for _ in range(2):
        clock.pass_ms(DAY_KEY_LIFE_MS)
        keys.turn_if_due()
    assert minted not in keys.visit_ids(PHONE)
    assert first_key not in file.ring.model_dump_json()


def test_keys_that_slept_for_two_days_are_destroyed_at_the_next_start() -> None:
    clock, file = HandClock(), KeptRing()
    (minted,) = _keys(clock, file).visit_ids(PHONE)
    clock.pass_ms(2 * DAY_KEY_LIFE_MS)
    assert minted not in _keys(clock, file).visit_ids(PHONE)


def test_a_restart_keeps_the_keys() -> None:
    clock, file = HandClock(), KeptRing()
    before = _keys(clock, file)
    visits, cookie_key = before.visit_ids(PHONE), before.cookie_key
    after = _keys(clock, file)
    assert (after.visit_ids(PHONE), after.cookie_key) == (visits, cookie_key)


def test_a_clock_that_went_back_makes_no_key_immortal() -> None:
    clock, file = HandClock(), KeptRing()
    keys = _keys(clock, file)
    (minted,) = keys.visit_ids(PHONE)
    clock.pass_ms(-400 * DAY_KEY_LIFE_MS)
    keys.turn_if_due()
    for _ in range(2):
        clock.pass_ms(DAY_KEY_LIFE_MS)
        keys.turn_if_due()
    assert minted not in keys.visit_ids(PHONE)


def test_keys_turn_on_a_full_disk_and_are_kept_once_there_is_room() -> None:
    clock, file = HandClock(), KeptRing()
    keys = _keys(clock, file)
    (first,) = keys.visit_ids(PHONE)
    before, file.failure = file.ring, OSError("no space left")
    clock.pass_ms(DAY_KEY_LIFE_MS)
    today, yesterday = keys.visit_ids(PHONE)
    assert (yesterday, file.ring) == (first, before)
    file.failure = None
    clock.pass_ms(60_000)
    keys.turn_if_due()
    assert file.ring != before
    assert _keys(clock, file).visit_ids(PHONE) == (today, yesterday)
