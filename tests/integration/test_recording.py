"""The generated recording: what a store without an adapter plays."""

import hashlib
import time
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from edge_agent.adapters.advert_files import read_adverts
from engagement.advertisement.frames import EddystoneTlm, read_frames
from engagement.advertisement.matching import BeaconIndex
from engagement.advertisement.packet import Advertisement
from engagement.estate.branch import Branch
from engagement.presence.change import Change, ChangeKind, UpkeepNeed
from engagement.presence.tracker import PresenceTracker
from provisioning.recording import DURATION_S, write_recording

UUID_OF_TAGS = UUID("fda50693-a4e2-4fb1-afcf-c6eb07647825")
BRANCH = Branch.model_validate(
    {
        "name": "Test Street",
        "code": "TEST",
        "time_zone": "Asia/Shanghai",
        "languages": ["en"],
        "currency": "CNY",
        "zones": ["door", "shelf"],
        "beacons": [
            {
                "name": "lamp-1",
                "role": "zone",
                "zone": "door",
                "ibeacon": {"uuid": UUID_OF_TAGS, "major": 2, "minor": 1},
            },
            {
                "name": "lamp-2",
                "role": "zone",
                "zone": "shelf",
                "eddystone_uid": {"namespace": "00" * 10, "instance": "01" * 6},
            },
            {
                "name": "guest-1",
                "role": "tag",
                "eddystone_uid": {"namespace": "00" * 10, "instance": "02" * 6},
            },
            {"name": "member-1", "role": "tag", "member": "m-1", "altbeacon": {"id": "ab" * 20}},
            {"name": "rotating", "role": "tag", "eid": {"identity_key": "00" * 16, "rotation_exponent": 10}},
        ],
        "agents": [
            {
                "name": "test-1",
                "receivers": [
                    {"adapter": "hci0", "zone": "door", "x_m": 1, "y_m": 1},
                    {"adapter": "hci1", "zone": "shelf", "x_m": 12, "y_m": 8},
                ],
            }
        ],
    }
)
# The bytes of this branch with seed 7, so that every store and every run plays the same half hour.
SHA256 = "4f0c427b46b31e4eca59610bd687028045be0dd00829ca17337555be4235b0d8"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "store.jsonl"
    write_recording(path, BRANCH, seed=7)
    return path


@pytest.fixture(scope="module")
def heard(recording: Path) -> list[Advertisement]:
    with recording.open("rb") as stream:
        items = list(read_adverts(stream))
    advertisements = [item for item in items if isinstance(item, Advertisement)]
    assert len(advertisements) == len(items), "no line is broken"
    return advertisements


@pytest.fixture(scope="module")
def changes(heard: list[Advertisement]) -> list[Change]:
    index = BeaconIndex(BRANCH.beacons)
    zones = {receiver.adapter: receiver.zone for receiver in BRANCH.agents[0].receivers}
    tracker = PresenceTracker(BRANCH.beacons, zones)
    for sighting in map(index.sight, heard):
        if sighting is not None:
            tracker.hear(sighting)
    return tracker.advance(DURATION_S)


def test_one_seed_gives_one_recording(recording: Path, tmp_path: Path) -> None:
    assert hashlib.sha256(recording.read_bytes()).hexdigest() == SHA256
    other = tmp_path / "other.jsonl"
    write_recording(other, BRANCH, seed=8)
    assert other.read_bytes() != recording.read_bytes()


def test_it_lasts_half_an_hour_and_is_no_large_file(recording: Path, heard: list[Advertisement]) -> None:
    assert 0 <= heard[0].t_s < 5
    assert DURATION_S - 5 < heard[-1].t_s <= DURATION_S
    assert recording.stat().st_size < 12_000_000


def test_a_large_branch_gives_no_larger_file_and_takes_no_longer(tmp_path: Path) -> None:
    receivers = [{"adapter": f"hci{n}", "zone": "door", "x_m": n, "y_m": n} for n in range(12)]
    content = BRANCH.model_dump()
    content["agents"] = [{"name": "test-1", "receivers": receivers}]
    content["beacons"] = [
        {
            "name": f"beacon-{minor}",
            "role": "tag" if minor % 2 else "zone",
            "zone": "door",
            "ibeacon": {"uuid": UUID_OF_TAGS, "major": 1, "minor": minor},
        }
        for minor in range(500)
    ]
    path = tmp_path / "large.jsonl"
    began_s = time.process_time()
    write_recording(path, Branch.model_validate(content), seed=1)
    assert time.process_time() - began_s < 4
    assert path.stat().st_size < 12_000_000


def test_a_branch_without_receivers_or_beacons_has_strangers_only(tmp_path: Path) -> None:
    bare = BRANCH.model_copy(update={"agents": (), "beacons": (), "zones": ()})
    path = tmp_path / "bare.jsonl"
    assert write_recording(path, bare, seed=1) > 1000
    with path.open("rb") as stream:
        assert all(isinstance(item, Advertisement) for item in read_adverts(stream))


def test_a_newcomer_sees_a_member_come_and_stay_at_once(changes: list[Change]) -> None:
    of_member = [change for change in changes if change.beacon == "member-1"]
    assert of_member[0].kind == ChangeKind.ENTER
    assert of_member[0].t_s < 40
    dwell = next(change for change in of_member if change.kind == ChangeKind.DWELL)
    assert dwell.t_s < 120


def test_tags_come_and_go_and_the_store_is_empty_at_the_end(changes: list[Change]) -> None:
    for tag in ("member-1", "guest-1"):
        visits = [change.kind for change in changes if change.beacon == tag]
        assert visits.count(ChangeKind.ENTER) == visits.count(ChangeKind.LEAVE) >= 2
        assert visits.count(ChangeKind.ZONE) >= 3
    assert not [change for change in changes if change.beacon == "rotating"]


def test_hanging_beacons_stay_and_one_wants_a_battery(changes: list[Change]) -> None:
    for lamp in ("lamp-1", "lamp-2"):
        kinds = [change.kind for change in changes if change.beacon == lamp]
        assert kinds[0] == ChangeKind.ENTER
        assert ChangeKind.LEAVE not in kinds
    needs = [(change.beacon, change.need) for change in changes if change.kind == ChangeKind.UPKEEP]
    assert needs == [("lamp-2", UpkeepNeed.BATTERY_LOW)]


def test_strangers_change_their_addresses_among_garbage_and_telemetry(heard: list[Advertisement]) -> None:
    index = BeaconIndex(BRANCH.beacons)
    strangers = [advertisement for advertisement in heard if index.match(advertisement.data) is None]
    assert len({advertisement.address for advertisement in strangers}) > 100
    readings = [read_frames(advertisement.data) for advertisement in heard]
    assert sum(bool(reading.malformed) for reading in readings) > 5
    assert sum(isinstance(frame, EddystoneTlm) for reading in readings for frame in reading.frames) > 100


def test_signals_are_those_of_a_room(heard: list[Advertisement]) -> None:
    levels = Counter(advertisement.rssi_dbm for advertisement in heard)
    assert all(level is not None and -105 <= level <= -30 for level in levels)
    assert len(levels) > 40
