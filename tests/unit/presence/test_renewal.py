"""An inventory that changes while beacons are here: what it leaves alone stays, the rest enters, moves or leaves."""

from uuid import UUID

import pytest

from engagement.advertisement.sighting import Sighting
from engagement.estate.beacon import Beacon, IBeaconIdentity
from engagement.ids import BeaconName, ZoneName
from engagement.presence.change import ChangeKind, UpkeepNeed
from engagement.presence.tracker import PresenceTracker
from engagement.presence.upkeep import SILENT_S

DOOR, SHELF, CAFE = ZoneName("door"), ZoneName("shelf"), ZoneName("cafe")
ONE_ZONE = {"hci0": DOOR}


def beacon(name: str, minor: int, zone: ZoneName | None = None) -> Beacon:
    identity = IBeaconIdentity(uuid=UUID(int=1), major=1, minor=minor)
    return Beacon(name=BeaconName(name), role="zone" if zone else "tag", zone=zone, ibeacon=identity)


TAG, OTHER_TAG = beacon("tag", 1), beacon("other tag", 2)
LAMP = beacon("lamp", 3, SHELF)


def heard(tracker: PresenceTracker, name: str, *, since_s: int, until_s: int, adapter: str = "hci0") -> None:
    for t_s in range(since_s, until_s + 1):
        tracker.hear(Sighting(t_s, BeaconName(name), adapter, -60, None))


def told(tracker: PresenceTracker, until_s: float) -> list[tuple[float, str, str]]:
    return [(change.t_s, change.beacon, str(change.kind)) for change in tracker.advance(until_s)]


def test_a_beacon_that_is_still_listed_keeps_its_visit() -> None:
    tracker = PresenceTracker([TAG, OTHER_TAG], ONE_ZONE)
    heard(tracker, "tag", since_s=0, until_s=30)
    assert told(tracker, 30) == [(0, "tag", "enter")]
    tracker.renew([LAMP, TAG], ONE_ZONE)
    assert set(tracker.present()) == {"tag"}
    heard(tracker, "tag", since_s=31, until_s=70)
    assert told(tracker, 70) == [(60, "tag", "dwell")], (
        "the visit goes on, and its minute counts from its enter"
    )


@pytest.mark.parametrize("listed", [[OTHER_TAG], [beacon("tag", 9), OTHER_TAG]], ids=["gone", "another's"])
def test_a_beacon_that_is_gone_or_has_become_another_leaves_once(listed: list[Beacon]) -> None:
    tracker = PresenceTracker([TAG, OTHER_TAG], ONE_ZONE)
    heard(tracker, "tag", since_s=0, until_s=30)
    tracker.advance(30)
    tracker.renew(listed, ONE_ZONE)
    (leave,) = tracker.advance(30)
    assert (leave.beacon, leave.kind, leave.dwell_s) == ("tag", ChangeKind.LEAVE, 30)
    assert tracker.present() == {}
    assert told(tracker, 10_000) == [], "nothing of it is still planned"


def test_a_new_beacon_enters_when_it_is_heard() -> None:
    tracker = PresenceTracker([TAG], ONE_ZONE)
    heard(tracker, "other tag", since_s=0, until_s=5)
    tracker.renew([TAG, OTHER_TAG], ONE_ZONE)
    assert told(tracker, 5) == []
    heard(tracker, "other tag", since_s=6, until_s=7)
    assert told(tracker, 7) == [(6, "other tag", "enter")]


def test_a_new_hanging_beacon_that_is_never_heard_is_told_of() -> None:
    tracker = PresenceTracker([], ONE_ZONE)
    tracker.advance(100)
    tracker.renew([LAMP], ONE_ZONE)
    assert told(tracker, 100 + SILENT_S - 1) == []
    (change,) = tracker.advance(100 + SILENT_S)
    assert (change.beacon, change.need) == ("lamp", UpkeepNeed.SILENT)


def test_an_inventory_that_comes_before_the_first_sign_of_life_is_simply_the_inventory() -> None:
    tracker = PresenceTracker([TAG], ONE_ZONE)
    tracker.renew([beacon("lamp", 3, CAFE)], ONE_ZONE)
    heard(tracker, "lamp", since_s=5, until_s=6)
    (change,) = tracker.advance(6)
    assert (change.kind, change.zone) == (ChangeKind.ENTER, CAFE)


def test_a_present_beacon_that_hangs_elsewhere_now_is_there_at_once() -> None:
    tracker = PresenceTracker([LAMP], ONE_ZONE)
    heard(tracker, "lamp", since_s=0, until_s=10)
    tracker.advance(10)
    tracker.renew([beacon("lamp", 3, CAFE)], ONE_ZONE)
    (change,) = tracker.advance(10)
    assert (change.kind, change.zone, change.confidence) == (ChangeKind.ZONE, CAFE, 1.0)
    assert tracker.present()[BeaconName("lamp")].zone == CAFE


def test_a_receiver_that_stands_elsewhere_now_moves_the_tags_that_it_hears() -> None:
    tracker = PresenceTracker([TAG], ONE_ZONE)
    heard(tracker, "tag", since_s=0, until_s=10)
    tracker.advance(10)
    tracker.renew([TAG], {"hci0": CAFE, "hci1": SHELF})
    (change,) = tracker.advance(10)
    assert (change.kind, change.zone) == (ChangeKind.ZONE, CAFE)
    heard(tracker, "tag", since_s=11, until_s=20)
    assert told(tracker, 20) == [], "it goes on being where it is"


def test_a_stay_that_is_new_to_report_counts_from_now_unless_it_is_passed() -> None:
    tracker = PresenceTracker([TAG], ONE_ZONE, dwell_s=(60,))
    heard(tracker, "tag", since_s=0, until_s=30)
    tracker.advance(30)
    tracker.renew([TAG], ONE_ZONE, dwell_s=(20, 40, 60))
    heard(tracker, "tag", since_s=31, until_s=70)
    assert [(change.t_s, change.dwell_s) for change in tracker.advance(70)] == [(40, 40), (60, 60)]


def test_a_stay_that_was_reported_is_not_reported_again_and_a_dropped_one_not_at_all() -> None:
    tracker = PresenceTracker([TAG], ONE_ZONE, dwell_s=(20, 60))
    heard(tracker, "tag", since_s=0, until_s=30)
    tracker.advance(30)
    tracker.renew([TAG], ONE_ZONE, dwell_s=(20,))
    heard(tracker, "tag", since_s=31, until_s=100)
    assert told(tracker, 100) == []
