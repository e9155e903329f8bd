from collections.abc import Iterable
from uuid import UUID

import pytest

from engagement.advertisement.frames import EddystoneTlm
from engagement.advertisement.sighting import Sighting
from engagement.estate.beacon import Beacon, IBeaconIdentity
from engagement.ids import BeaconName, ZoneName
from engagement.presence.change import Change, ChangeKind, UpkeepNeed
from engagement.presence.tracker import PresenceTracker

UUID_OF_TAGS = UUID("fda50693-a4e2-4fb1-afcf-c6eb07647825")
TAG = Beacon(name=BeaconName("tag"), role="tag", ibeacon=IBeaconIdentity(uuid=UUID_OF_TAGS, major=1, minor=1))
LAMP = Beacon(
    name=BeaconName("lamp"),
    role="zone",
    zone=ZoneName("shelf"),
    ibeacon=IBeaconIdentity(uuid=UUID_OF_TAGS, major=2, minor=1),
)
ONE_ZONE = {"hci0": ZoneName("shop")}
TWO_ZONES = {"hci0": ZoneName("door"), "hci1": ZoneName("shelf")}


def tracker(
    zones: dict[str, ZoneName] | None = None, *, dwell_s: Iterable[float] = (60.0,)
) -> PresenceTracker:
    return PresenceTracker([TAG, LAMP], ONE_ZONE if zones is None else zones, dwell_s=dwell_s)


def sighting(
    t_s: float,
    rssi_dbm: int | None = -60,
    *,
    adapter: str = "hci0",
    beacon: str = "tag",
    battery_mv: int | None = None,
) -> Sighting:
    telemetry = None if battery_mv is None else EddystoneTlm(battery_mv, None, 0, 0.0)
    return Sighting(t_s, BeaconName(beacon), adapter, rssi_dbm, telemetry)


def changes_of(tracked: PresenceTracker, sightings: Iterable[Sighting], *, until_s: float) -> list[Change]:
    for one in sightings:
        tracked.hear(one)
    return tracked.advance(until_s)


def every_second(first_s: int, last_s: int, rssi_dbm: int | None = -60) -> list[Sighting]:
    return [sighting(t_s, rssi_dbm) for t_s in range(first_s, last_s + 1)]


def kinds(changes: list[Change]) -> list[tuple[float, str]]:
    return [(change.t_s, str(change.kind)) for change in changes]


def test_a_visit_is_enter_dwell_and_leave() -> None:
    changes = changes_of(tracker(), every_second(100, 200), until_s=300)
    assert kinds(changes) == [(100, "enter"), (160, "dwell"), (210, "leave")]
    enter, dwell, leave = changes
    assert (enter.beacon, enter.zone, enter.confidence) == ("tag", "shop", 1.0)
    assert (dwell.dwell_s, leave.dwell_s) == (60.0, 100.0)


def test_each_dwell_is_reported_once_a_visit() -> None:
    visits = every_second(0, 100) + every_second(200, 300)
    changes = changes_of(tracker(dwell_s=(30, 60, 0)), visits, until_s=310)
    dwells = [(change.t_s, change.dwell_s) for change in changes if change.kind == ChangeKind.DWELL]
    assert dwells == [(0, 0), (30, 30), (60, 60), (200, 0), (230, 30), (260, 60)]


def test_silence_adds_nothing_to_a_stay() -> None:
    changes = changes_of(tracker(dwell_s=(20,)), [sighting(0)], until_s=100)
    assert kinds(changes) == [(0, "enter"), (30, "leave")]


def test_a_faint_beacon_does_not_enter_and_a_fading_one_leaves() -> None:
    assert changes_of(tracker(), every_second(0, 60, rssi_dbm=-95), until_s=60) == []
    fading = every_second(0, 30, rssi_dbm=-80) + every_second(31, 60, rssi_dbm=-104)
    changes = changes_of(tracker(), fading, until_s=60)
    assert [str(change.kind) for change in changes] == ["enter", "leave"]
    assert 33 <= changes[1].t_s <= 45


def test_a_beacon_at_the_threshold_does_not_flap() -> None:
    swaying = [sighting(t_s, -88 + 8 * (-1) ** t_s) for t_s in range(590)]
    changes = changes_of(tracker(), swaying, until_s=590)
    assert [str(change.kind) for change in changes] == ["enter", "dwell"]


def test_a_receiver_that_does_not_measure_still_hears() -> None:
    changes = changes_of(tracker(), every_second(0, 30, rssi_dbm=None), until_s=45)
    assert [str(change.kind) for change in changes] == ["enter", "leave"]
    kept_alive = every_second(0, 10) + every_second(11, 40, rssi_dbm=None)
    assert kinds(changes_of(tracker(), kept_alive, until_s=45)) == [(0, "enter")]


@pytest.mark.parametrize(("interval_s", "leave_s"), [(0.1, 10), (1, 10), (5, 15), (9, 27), (25, 60)])
def test_the_silence_that_means_leaving_is_learned(interval_s: float, leave_s: float) -> None:
    heard = [sighting(n * interval_s) for n in range(20)]
    last_s = heard[-1].t_s
    changes = changes_of(tracker(dwell_s=()), heard, until_s=last_s + 100)
    assert [str(change.kind) for change in changes] == ["enter", "leave"]
    assert leave_s <= changes[1].t_s - last_s <= leave_s + 1


def test_a_beacon_that_is_not_in_the_inventory_is_not_tracked() -> None:
    tracked = tracker()
    tracked.hear(sighting(0, beacon="stranger"))
    assert tracked.advance(1) == []
    assert tracked.present() == {}


def test_a_late_sighting_counts_as_of_now() -> None:
    tracked = tracker()
    tracked.advance(10)
    tracked.hear(sighting(5))
    assert kinds(tracked.advance(10)) == [(10, "enter")]


def test_the_zone_is_that_of_the_strongest_receiver() -> None:
    tracked = tracker(TWO_ZONES, dwell_s=())
    at_door = [sighting(t / 2, -55, adapter="hci0") for t in range(20)]
    away = [sighting(t / 2 + 0.1, -80, adapter="hci1") for t in range(20)]
    changes = changes_of(tracked, sorted(at_door + away), until_s=10)
    assert [(str(change.kind), change.zone) for change in changes] == [("enter", None), ("zone", "door")]
    assert changes[1].t_s <= 1.5
    standing = tracked.present()[TAG.name]
    assert standing.zone == "door"
    assert standing.confidence > 0.9
    assert standing.rssi_dbm == pytest.approx(-55)


def test_a_walker_changes_zone_once() -> None:
    walk: list[Sighting] = []
    for t_s in range(60):
        nearer_dbm, farther_dbm = (-55, -75) if t_s < 30 else (-75, -55)
        walk += [sighting(t_s, nearer_dbm), sighting(t_s + 0.01, farther_dbm, adapter="hci1")]
    changes = changes_of(tracker(TWO_ZONES, dwell_s=()), walk, until_s=59.5)
    moves = [change.t_s for change in changes if change.zone == "shelf"]
    assert len(moves) == 1
    assert 30 <= moves[0] <= 34


def test_between_two_equal_receivers_the_zone_stays() -> None:
    swaying: list[Sighting] = []
    for t_s in range(300):
        sway_db = 1 if t_s // 5 % 2 else -2
        swaying += [
            sighting(t_s, round(-60 + sway_db)),
            sighting(t_s + 0.01, round(-60 - sway_db), adapter="hci1"),
        ]
    changes = changes_of(tracker(TWO_ZONES, dwell_s=()), swaying, until_s=300)
    assert [str(change.kind) for change in changes] == ["enter", "zone"]


def test_a_receiver_that_is_not_in_the_inventory_says_no_zone() -> None:
    tracked = tracker(TWO_ZONES, dwell_s=())
    tracked.hear(sighting(0, adapter="hci7"))
    assert [(str(change.kind), change.zone) for change in tracked.advance(5)] == [("enter", None)]


def test_a_hanging_beacon_is_where_it_hangs() -> None:
    tracked = tracker(TWO_ZONES)
    tracked.hear(sighting(0, beacon="lamp"))
    (enter,) = tracked.advance(5)
    assert (enter.zone, enter.confidence) == ("shelf", 1.0)


def test_a_low_battery_is_said_once_until_it_was_changed() -> None:
    voltages = [3000, 2490, 2480, 2510, 2490, 3000, 2400]
    heard = [sighting(t_s, battery_mv=mv) for t_s, mv in enumerate(voltages)]
    changes = changes_of(tracker(), heard, until_s=7)
    said = [(change.t_s, change.need, change.battery_mv) for change in changes[1:]]
    assert said == [(1, UpkeepNeed.BATTERY_LOW, 2490), (6, UpkeepNeed.BATTERY_LOW, 2400)]


def test_a_silent_zone_beacon_is_said_and_taken_back() -> None:
    heard = [sighting(t_s, beacon="lamp") for t_s in (0, 1_000)]
    changes = changes_of(tracker(), heard, until_s=1_700)
    upkeep = [(change.t_s, change.need) for change in changes if change.kind == ChangeKind.UPKEEP]
    assert upkeep == [(600, UpkeepNeed.SILENT), (1_000, UpkeepNeed.HEARD_AGAIN), (1_600, UpkeepNeed.SILENT)]


def test_a_zone_beacon_that_was_never_heard_is_silent_and_a_tag_is_not() -> None:
    tracked = tracker()
    tracked.advance(0)
    changes = tracked.advance(100_000)
    assert [(change.t_s, change.beacon, change.need) for change in changes] == [
        (600, "lamp", UpkeepNeed.SILENT)
    ]
