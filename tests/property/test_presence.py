"""Whatever is heard and whenever anybody asks, the story of each beacon makes sense."""

from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from engagement.advertisement.frames import EddystoneTlm
from engagement.advertisement.sighting import Sighting
from engagement.estate.beacon import Beacon, IBeaconIdentity
from engagement.ids import BeaconName, ZoneName
from engagement.presence.change import Change, ChangeKind
from engagement.presence.tracker import PresenceTracker

UUID_OF_TAGS = UUID("fda50693-a4e2-4fb1-afcf-c6eb07647825")
NAMES = [BeaconName("tag"), BeaconName("other"), BeaconName("lamp")]
BEACONS = [
    Beacon(
        name=name,
        role="zone" if name == "lamp" else "tag",
        zone=ZoneName("shelf") if name == "lamp" else None,
        ibeacon=IBeaconIdentity(uuid=UUID_OF_TAGS, major=1, minor=minor),
    )
    for minor, name in enumerate(NAMES)
]
ZONES = {"hci0": ZoneName("door"), "hci1": ZoneName("shelf"), "hci2": ZoneName("shelf")}
GAPS_S = st.sampled_from([0.0, 0.1, 0.5, 1.0, 5.0, 12.0, 31.0, 70.0, 700.0]) | st.floats(0, 40)


@st.composite
def walks(draw: st.DrawFn) -> list[Sighting]:
    t_s = draw(st.sampled_from([0.0, 0.25, 1_790_000_000.0]))
    sightings: list[Sighting] = []
    for gap_s in draw(st.lists(GAPS_S, min_size=1, max_size=60)):
        t_s += gap_s
        name = draw(st.sampled_from([*NAMES, BeaconName("stranger")]))
        adapter = draw(st.sampled_from([*ZONES, "unknown"]))
        rssi_dbm = draw(st.none() | st.integers(-105, -40))
        telemetry = draw(
            st.none() | st.builds(EddystoneTlm, st.integers(2000, 3000), st.none(), st.just(0), st.just(0.0))
        )
        sightings.append(Sighting(t_s, name, adapter, rssi_dbm, telemetry))
    return sightings


def told(walk: list[Sighting], *, asked: set[int], until_s: float, in_steps: int = 1) -> list[Change]:
    """The changes when somebody also asks before the sightings numbered in ``asked``."""
    tracker = PresenceTracker(BEACONS, ZONES, dwell_s=(5, 60))
    changes: list[Change] = []
    last_s = walk[0].t_s
    for number, sighting in enumerate(walk):
        if number in asked:
            changes += tracker.advance((last_s + sighting.t_s) / 2)
        tracker.hear(sighting)
        last_s = sighting.t_s
    for step in range(1, in_steps + 1):
        changes += tracker.advance(last_s + (until_s - last_s) * step / in_steps)
    return changes + tracker.advance(until_s)


@given(walks(), st.sets(st.integers(1, 60)), st.integers(1, 20))
def test_asking_more_often_changes_nothing(walk: list[Sighting], asked: set[int], in_steps: int) -> None:
    until_s = walk[-1].t_s + 100
    once = told(walk, asked=set(), until_s=until_s)
    assert told(walk, asked=asked, until_s=until_s, in_steps=in_steps) == once


@given(walks())
def test_times_rise_and_enter_and_leave_alternate(walk: list[Sighting]) -> None:
    until_s = walk[-1].t_s + 100
    changes = told(walk, asked=set(), until_s=until_s)
    assert all(one.t_s <= other.t_s for one, other in pairwise(changes))
    assert all(walk[0].t_s <= change.t_s <= until_s for change in changes)
    assert all(0 <= change.confidence <= 1 for change in changes)
    for name in NAMES:
        is_here, dwells = False, list[float]()
        for change in (change for change in changes if change.beacon == name):
            if change.kind == ChangeKind.ENTER:
                assert not is_here
                is_here, dwells = True, []
            elif change.kind != ChangeKind.UPKEEP:
                assert is_here
                if change.kind == ChangeKind.DWELL:
                    assert change.dwell_s is not None
                    dwells.append(change.dwell_s)
                    assert dwells == [5, 60][: len(dwells)]
                is_here = change.kind != ChangeKind.LEAVE
        assert not is_here, "a hundred seconds of silence are a leave"


@given(walks())
def test_only_our_beacons_are_remembered(walk: list[Sighting]) -> None:
    tracker = PresenceTracker(BEACONS, ZONES)
    for sighting in walk:
        tracker.hear(sighting)
        assert set(tracker.present()) <= set(NAMES)
