"""``beckon-agent replay`` as its users run it: a process, files in, JSON lines and complaints out."""

import json
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from engagement.advertisement.frames import EddystoneTlm, EddystoneUid, Frame, IBeacon, encode_frame
from tests.fakes.recordings import recorded
from tests.fakes.tracks import Floor

UUID_OF_TAGS = "fda50693-a4e2-4fb1-afcf-c6eb07647825"
TAG = IBeacon(UUID(UUID_OF_TAGS), 1, 2, -59)
SHELF = EddystoneUid(-20, bytes(10), b"\x01" * 6)
INVENTORY = f"""
version: 1
branches:
  - name: Test Street
    code: TEST
    time_zone: Asia/Shanghai
    languages: [en]
    currency: CNY
    zones: [door, shelf]
    beacons:
      - {{name: tag, role: tag, ibeacon: {{uuid: {UUID_OF_TAGS}, major: 1, minor: 2}}}}
      - name: lamp
        role: zone
        zone: shelf
        eddystone_uid: {{namespace: "{"00" * 10}", instance: "{"01" * 6}"}}
    agents:
      - name: test-1
        receivers:
          - {{adapter: hci0, zone: door, x_m: 0, y_m: 0}}
          - {{adapter: hci1, zone: shelf, x_m: 9, y_m: 0}}
"""


def line(t_s: float, frame: Frame = TAG, **changed: object) -> str:
    fields: dict[str, object] = {
        "t": t_s,
        "adapter": "hci0",
        "address": "AA:BB:CC:DD:EE:FF",
        "rssi": -60,
        "data": encode_frame(frame).hex(),
    }
    return json.dumps(fields | changed)


class Run:
    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code = done.returncode
        self.lines: list[dict[str, Any]] = [json.loads(text) for text in done.stdout.splitlines()]
        self.complaints = done.stderr.splitlines()

    def told(self) -> list[tuple[float, str, str]]:
        return [(said["t"], said["kind"], said["beacon"]) for said in self.lines if said["kind"] != "state"]


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY, encoding="utf-8")
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edge_agent", "replay", *map(str, arguments)]


def replay(*arguments: object, stdin: str = "") -> Run:
    return Run(
        subprocess.run(
            command(*arguments), input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
    )


def replay_lines(lines: list[str], inventory: Path, *arguments: object) -> Run:
    return replay("-", "--inventory", inventory, *arguments, stdin="\n".join(lines) + "\n")


def test_a_visit_is_told_in_order_of_time(inventory: Path) -> None:
    visit = [line(t_s) for t_s in range(80)] + [line(t_s, SHELF, adapter="hci1") for t_s in range(80, 120)]
    run = replay_lines(visit, inventory)
    assert run.code == 0
    assert run.complaints == []
    assert run.told() == [
        (0, "enter", "tag"),
        (1, "zone", "tag"),
        (60, "dwell", "tag"),
        (80, "enter", "lamp"),
        (89, "leave", "tag"),
    ]
    enter, zone, dwell, _, leave = run.lines
    assert (enter["zone"], enter["confidence"]) == (None, 0)
    assert zone["zone"] == "door"
    assert 0.5 < zone["confidence"] <= 1
    assert (dwell["dwell_s"], leave["dwell_s"]) == (60, 79)


def test_the_end_of_the_file_flushes_nothing(inventory: Path) -> None:
    run = replay_lines([line(t_s) for t_s in range(59)], inventory)
    assert [kind for _, kind, _ in run.told()] == ["enter", "zone"]


def test_every_broken_line_is_named_and_the_others_count(inventory: Path) -> None:
    lines = [
        line(0),
        line(1, rssi="strong"),
        line(2, data="0201"[:3]),
        "{not json",
        line(3, adapter=None),
        line(4, address="somewhere"),
        line(5, t="late"),
        '{"t": 6}',
        "[]",
        "",
        line(2000),  # out of its place
        line(7),
        line(6),
        line(8, data="", more="fields may come"),
    ]
    run = replay_lines([*lines, *(line(t_s) for t_s in range(9, 70))], inventory)
    assert run.code == 1
    assert [kind for _, kind, _ in run.told()] == ["enter", "zone", "dwell"]
    named = [complaint.removeprefix("beckon-agent: replay: ").split(":")[0] for complaint in run.complaints]
    assert sorted(named) == sorted(f"line {number}" for number in (2, 3, 4, 5, 6, 7, 8, 9, 11, 13))
    assert run.complaints[0].endswith('rssi is "strong"; allowed is null or a whole number from -127 to 20')
    assert run.complaints[4].endswith(
        'address is "somewhere"; allowed is six pairs of hex digits, as in AA:BB:CC:DD:EE:FF'
    )
    assert run.complaints[6].endswith(
        "adapter is missing; allowed is 1 to 32 letters, digits, or any of _ . : -"
    )


@pytest.mark.parametrize(
    ("times", "broken"),
    [
        ([0, 1, 1, 2], []),
        ([0, 7, 6, 8], [3]),
        ([0, 2000, 1, 2, 3], [2]),
        ([2000, 1, 2, 3], [1]),
        ([5, 6, 1, 2, 7], [3, 4]),
        ([0, 9, 3, 2, 4], [2, 4]),
        ([0, 2, 1], [3]),
    ],
)
def test_the_line_whose_time_does_not_fit_is_the_broken_one(
    inventory: Path, times: list[int], broken: list[int]
) -> None:
    run = replay_lines([line(t_s) for t_s in times], inventory)
    named = [
        complaint.removeprefix("beckon-agent: replay: line ").split(":")[0] for complaint in run.complaints
    ]
    assert sorted(map(int, named)) == broken
    assert run.code == (1 if broken else 0)


def test_a_binary_or_endless_line_is_one_broken_line(tmp_path: Path, inventory: Path) -> None:
    recording = tmp_path / "adverts.jsonl"
    endless = b'{"t": "' + b"x" * 200_000 + b'"}\n'
    recording.write_bytes(b"\xff\xfe\x00\n" + endless + line(1).encode() + b"\n" + line(2).encode())
    run = replay(recording, "--inventory", inventory)
    assert run.code == 1
    assert [complaint.split(": ")[2] for complaint in run.complaints] == ["line 1", "line 2"]
    assert run.told()[0] == (1, "enter", "tag")


def test_garbage_on_the_air_is_no_broken_line(inventory: Path) -> None:
    run = replay_lines([line(0, data="ff" * 31), line(1, data="0416aafe10"), line(2, data="00")], inventory)
    assert (run.code, run.lines, run.complaints) == (0, [], [])


def test_states_come_at_their_times_between_the_changes(inventory: Path) -> None:
    run = replay_lines([line(100 + t_s) for t_s in range(31)], inventory, "--state-every", 10)
    states = [said for said in run.lines if said["kind"] == "state"]
    assert [state["t"] for state in states] == [110, 120, 130]
    assert states[0]["beacons"] == {"tag": {"zone": "door", "confidence": 1.0, "rssi": -60.0}}
    times = [said["t"] for said in run.lines]
    assert times == sorted(times)


def test_upkeep_says_what_is_needed(inventory: Path) -> None:
    low = EddystoneTlm(2400, 20.0, 1, 1.0)
    run = replay_lines([line(0, SHELF), line(1, low), line(700)], inventory)
    upkeep = [said for said in run.lines if said["kind"] == "upkeep"]
    assert [(said["t"], said["beacon"], said["need"]) for said in upkeep] == [
        (1, "lamp", "battery_low"),
        (601, "lamp", "silent"),
    ]
    assert upkeep[0]["battery_mv"] == 2400


def test_the_speed_holds_the_replay_back(inventory: Path) -> None:
    began = time.monotonic()
    run = replay_lines([line(0), line(10)], inventory, "--speed", "10")
    assert run.code == 0
    assert time.monotonic() - began >= 1.0


def test_a_signal_stops_a_slow_replay_cleanly(inventory: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(
            command("-", "--inventory", inventory, "--speed", "1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(line(0) + "\n" + line(1) + "\n" + line(3600) + "\n" + line(3601) + "\n")
            process.stdin.flush()
            first = json.loads(process.stdout.readline())
            assert (first["kind"], first["beacon"]) == ("enter", "tag")
            process.send_signal(number)
            _, errors = process.communicate(timeout=20)
            assert (process.returncode, errors) == (0, "")


def test_a_reader_that_has_seen_enough_ends_the_replay_in_peace(tmp_path: Path, inventory: Path) -> None:
    recording = tmp_path / "adverts.jsonl"
    recording.write_text("\n".join(line(t_s) for t_s in range(3000)), encoding="utf-8")
    with subprocess.Popen(
        command(recording, "--inventory", inventory, "--state-every", 0.1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--speed", "fast"], "argument --speed: is 'fast'; allowed: max, or a number above 0"),
        (["--speed", "-1"], "argument --speed: is '-1'; allowed: max, or a number above 0"),
        (["--speed", "nan"], "argument --speed: is 'nan'; allowed: max, or a number above 0"),
        (["--state-every", "0"], "argument --state-every: is '0'; allowed: seconds, at least 0.01"),
        (["--branch", "NONE"], "--branch is 'NONE'; allowed, by {inventory}: TEST"),
        (["--fingerprints", "/nowhere"], "/nowhere: cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_call_names_key_value_and_what_is_allowed(
    inventory: Path, arguments: list[str], complaint: str
) -> None:
    run = replay_lines([line(0)], inventory, *arguments)
    assert (run.code, run.lines) == (2, [])
    assert run.complaints[-1].endswith(complaint.format(inventory=inventory))


def test_a_recording_that_is_not_there_is_a_wrong_call(tmp_path: Path, inventory: Path) -> None:
    run = replay(tmp_path / "none.jsonl", "--inventory", inventory)
    assert run.code == 2
    assert run.complaints[0].endswith(
        f"ADVERTS is '{tmp_path}/none.jsonl', which cannot be read: No such file or directory"
    )


def test_several_branches_need_a_choice(tmp_path: Path) -> None:
    branch = INVENTORY.split("branches:\n")[1]
    path = tmp_path / "two.yaml"
    path.write_text(
        INVENTORY
        + branch.replace("TEST", "OTHER").replace("test-1", "other-1").replace("minor: 2", "minor: 3"),
        encoding="utf-8",
    )
    run = replay_lines([line(0)], path)
    assert run.code == 2
    assert run.complaints[0].endswith(f"--branch is not given; allowed, as {path} has several: TEST, OTHER")
    assert replay_lines([line(0)], path, "--branch", "TEST").told() == [(0, "enter", "tag")]
    assert replay_lines([line(0)], path, "--branch", "OTHER").told() == []


def test_all_mistakes_of_an_inventory_are_named_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    wrong = INVENTORY.replace("major: 1", "major: 70000").replace("role: zone", "role: wall")
    path.write_text(wrong.replace("zone: door", "zone: roof"), encoding="utf-8")
    run = replay_lines([line(0)], path)
    assert run.code == 2
    assert [complaint.removeprefix(f"beckon-agent: replay: {path}:") for complaint in run.complaints] == [
        "11: branches.0.beacons.0.ibeacon.major: is the number 70000; allowed: at most 65535",
        "13: branches.0.beacons.1.role: is 'wall'; allowed: 'zone' or 'tag'",
    ]
    path.write_text("version: [", encoding="utf-8")
    run = replay_lines([line(0)], path)
    assert (run.code, len(run.complaints)) == (2, 1)
    assert f"{path}:1: is no YAML:" in run.complaints[0]


def test_mistakes_of_a_survey_are_named(tmp_path: Path, inventory: Path) -> None:
    path = tmp_path / "survey.json"
    path.write_text('{"version": 2, "receivers": ["hci0"]}', encoding="utf-8")
    run = replay_lines([line(0)], inventory, "--fingerprints", path)
    assert run.code == 2
    assert [complaint.removeprefix(f"beckon-agent: replay: {path}: ") for complaint in run.complaints] == [
        "version: is the number 2; allowed: 1",
        "spots: is missing",
    ]


def test_two_agents_with_a_receiver_of_one_name_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    second = "      - {name: test-2, receivers: [{adapter: hci0, zone: shelf, x_m: 1, y_m: 1}]}\n"
    path.write_text(INVENTORY + second, encoding="utf-8")
    run = replay_lines([line(0)], path)
    assert run.code == 0
    assert "several agents have a receiver 'hci0'" in run.complaints[0]


def btsnoop(*records: tuple[int, bytes]) -> bytes:
    """A monitor capture; ``records``: Unix microseconds and an HCI event, all of the second controller."""
    head = b"btsnoop\x00" + struct.pack(">II", 1, 2001)
    flags = 1 << 16 | 3
    epoch_us = 0x00DC_DDB3_0F2F_8000
    return head + b"".join(
        struct.pack(">IIIIq", len(event), len(event), flags, 0, epoch_us + at_us) + event
        for at_us, event in records
    )


def report(data: bytes, rssi_dbm: int) -> bytes:
    body = struct.pack("<BBBB6sB", 0x02, 1, 0, 0, bytes(6), len(data)) + data + struct.pack("b", rssi_dbm)
    return bytes((0x3E, len(body))) + body


def test_btsnoop_is_read_and_a_cut_off_record_is_named(tmp_path: Path, inventory: Path) -> None:
    data = encode_frame(TAG)
    path = tmp_path / "adverts.btsnoop"
    events = [(n * 1_000_000, report(data, -60)) for n in range(5)]
    broken = (5_000_000, report(data, -60)[:20])
    path.write_bytes(btsnoop(*events, broken, *[(6_000_000, report(data, 127))])[:-3])
    run = replay(path, "--inventory", inventory)
    assert run.code == 1
    assert run.told() == [(0, "enter", "tag"), (1, "zone", "tag")]
    assert run.lines[1]["zone"] == "shelf", "the second controller is hci1"
    assert [complaint.removeprefix("beckon-agent: replay: ") for complaint in run.complaints] == [
        "record 6: holds an advertising report that is cut off",
        "record 7: is cut off",
    ]


def test_a_recorded_btsnoop_file_is_read_whole(inventory: Path) -> None:
    path = recorded("dp3t_btsnoop") / "exp34_pcaps_20.btsnoop"
    run = replay(path, "--inventory", inventory)
    assert run.code == 0
    assert run.told() == [(run.lines[0]["t"], "upkeep", "lamp")]


def test_a_recorded_walk_with_its_survey_is_told_as_the_core_tells_it(tmp_path: Path) -> None:
    """The whole way from files: the shares of right zones are judged in test_recorded_tracks."""
    floor = Floor(recorded("philotuxo"), quarters=True)
    survey = tmp_path / "survey.json"
    survey.write_text(floor.fingerprints().model_dump_json(), encoding="utf-8")
    receivers = "\n".join(
        f'          - {{adapter: {name}, zone: "{zone}", x_m: 0, y_m: 0}}'
        for name, zone in floor.zones().items()
    )
    path = tmp_path / "inventory.yaml"
    head = INVENTORY.split("        receivers:")[0].replace("[door, shelf]", '["1", "2", "3", "4"]')
    path.write_text(
        head.replace("zone: shelf", 'zone: "1"') + "        receivers:\n" + receivers, encoding="utf-8"
    )
    walk = floor.walk("zigzagging_without_rotation")
    lines = [line(heard.t_s, adapter=heard.adapter, rssi=heard.rssi_dbm) for heard, _ in walk]
    run = replay_lines(lines, path, "--fingerprints", survey, "--state-every", 1)
    assert run.code == 0
    truth = iter(walk)
    asked = right = 0
    place = walk[0][1]
    heard_s = 0.0
    for state in (said for said in run.lines if said["kind"] == "state"):
        while heard_s <= state["t"]:
            sighting, place = next(truth)
            heard_s = sighting.t_s
        asked += 1
        right += state["beacons"]["tag"]["zone"] == floor.true_zone(place)
    assert asked > 80
    assert right / asked > 0.75
