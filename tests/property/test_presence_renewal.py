"""An inventory that is told anew in the middle of things: what is the same in it goes on as if nothing had been said."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from engagement.advertisement.sighting import Sighting
from engagement.estate.beacon import Beacon, IBeaconIdentity
from engagement.ids import BeaconName, ZoneName
from engagement.presence.change import Change
from engagement.presence.tracker import PresenceTracker


def beacon(number: int, zone: str | None = None) -> Beacon:
    return Beacon(
        name=BeaconName(f"b{number}"),
        role="zone" if zone else "tag",
        zone=ZoneName(zone) if zone else None,
        ibeacon=IBeaconIdentity(uuid=UUID(int=1), major=1, minor=number),
    )


OURS = (beacon(1), beacon(2), beacon(3, "door"))
OTHERS = (beacon(4), beacon(5, "cafe"))
ZONES = {"hci0": ZoneName("door"), "hci1": ZoneName("cafe")}
DWELLS = (5.0, 60.0)

# What happens, each so many seconds after the last: somebody is heard, or the inventory is told anew.
heard = st.tuples(
    st.sampled_from([each.name for each in (*OURS, *OTHERS)]),
    st.sampled_from(["hci0", "hci1"]),
    st.integers(-100, -40),
)
steps = st.lists(st.tuples(st.floats(0, 40), heard | st.sampled_from(["same", "with others"])), max_size=60)


def told_of_ours(story: list[tuple[float, object]], *, renews: bool) -> list[Change]:
    tracker = PresenceTracker(OURS, ZONES, dwell_s=DWELLS)
    names, now_s, changes = {each.name for each in OURS}, 0.0, []
    tracker.advance(now_s)
    for after_s, what in story:
        now_s += after_s
        if isinstance(what, tuple):
            name, adapter, rssi_dbm = what
            tracker.hear(Sighting(now_s, name, adapter, rssi_dbm, None))
        changes += tracker.advance(now_s)
        if renews and what == "same":
            tracker.renew(OURS, ZONES, dwell_s=DWELLS)
        elif renews and what == "with others":
            tracker.renew((*OTHERS, *reversed(OURS)), ZONES, dwell_s=DWELLS)
    changes += tracker.advance(now_s + 1000)
    return [change for change in changes if change.beacon in names]


@given(steps)
def test_what_stays_listed_enters_dwells_and_leaves_as_if_nothing_had_been_told(
    story: list[tuple[float, object]],
) -> None:
    by_beacon = [
        sorted(told_of_ours(story, renews=renews), key=lambda change: (change.beacon, change.t_s))
        for renews in (False, True)
    ]
    assert by_beacon[0] == by_beacon[1]


@given(steps)
def test_nobody_is_here_twice_and_nobody_leaves_who_is_not_here(story: list[tuple[float, object]]) -> None:
    """Also of those who are listed, dropped and listed again."""
    tracker = PresenceTracker(OURS, ZONES, dwell_s=DWELLS)
    here: set[BeaconName] = set()
    now_s = 0.0
    for after_s, what in story:
        now_s += after_s
        if isinstance(what, tuple):
            tracker.hear(Sighting(now_s, what[0], what[1], what[2], None))
        else:
            tracker.renew(OURS if what == "same" else OTHERS, ZONES, dwell_s=DWELLS)
        for change in tracker.advance(now_s):
            if change.kind == "enter":
                assert change.beacon not in here
                here.add(change.beacon)
            elif change.kind == "leave":
                here.remove(change.beacon)
        assert here == set(tracker.present())
