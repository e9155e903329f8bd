import pytest

from engagement.advertisement.eid import DRIFT_S_MAX, EidKey, EidTable, Resolved, eid_at
from engagement.ids import BeaconName

KEY = bytes.fromhex("0102030405060708090a111213141516")
DOOR = BeaconName("door")
NOW_S = 1_790_000_000


# Values of RadiusNetworks/ephemeral_calc, spec/encryptor_spec.rb.
@pytest.mark.parametrize(("clock_s", "eid"), [(0, "a9b76a71c5f89290"), (2000, "4144413e45fefa58")])
def test_identities_are_those_of_the_reference(clock_s: int, eid: str) -> None:
    assert eid_at(KEY, 10, clock_s).hex() == eid


def test_an_identity_holds_for_its_period_and_no_longer() -> None:
    assert eid_at(KEY, 10, 1024) == eid_at(KEY, 10, 2047)
    assert eid_at(KEY, 10, 2047) != eid_at(KEY, 10, 2048)


def test_a_beacon_is_found_for_as_far_as_its_clock_may_be_off() -> None:
    table = EidTable([EidKey(DOOR, KEY, 10, -NOW_S)])
    table.refresh(NOW_S + 100_000)
    for off_s in (-DRIFT_S_MAX, -1, 0, 1, DRIFT_S_MAX):
        clock_s = 100_000 + off_s
        assert table.resolve(eid_at(KEY, 10, clock_s)) == Resolved(DOOR, clock_s >> 10 << 10)
    assert table.resolve(eid_at(KEY, 10, 100_000 + 2 * DRIFT_S_MAX)) is None


def test_the_table_moves_with_the_time() -> None:
    table = EidTable([EidKey(DOOR, KEY, 0, 0)], drift_s=10)
    table.refresh(1_000)
    for unix_s in range(1_000, 1_100):
        table.refresh(unix_s)
        assert table.resolve(eid_at(KEY, 0, unix_s - 10)) is not None
        assert table.resolve(eid_at(KEY, 0, unix_s + 10)) is not None
    assert table.resolve(eid_at(KEY, 0, 1_000)) is None


def test_a_refresh_says_whether_anything_changed() -> None:
    table = EidTable([EidKey(DOOR, KEY, 10, 0)])
    assert table.refresh(NOW_S)
    assert not table.refresh(NOW_S + 1)
    assert table.refresh(NOW_S + DRIFT_S_MAX)
    assert table.refresh(NOW_S), "a clock that was set back"
    assert not EidTable([]).refresh(NOW_S)


def test_a_fast_rotation_does_not_fill_the_memory() -> None:
    table = EidTable([EidKey(DOOR, KEY, 0, 0)])
    table.refresh(NOW_S)
    assert table.resolve(eid_at(KEY, 0, NOW_S + 500)) is not None
    assert table.resolve(eid_at(KEY, 0, NOW_S + 5_000)) is None


@pytest.mark.parametrize(("key", "exponent"), [(KEY, 16), (KEY, -1), (KEY[:15], 10)])
def test_a_wrong_key_or_exponent_is_refused(key: bytes, exponent: int) -> None:
    with pytest.raises(ValueError, match="allowed"):
        eid_at(key, exponent, 0)
