"""The published test vectors, read from where they lie; the unit tests hold the same facts as literals."""

import json
from typing import Any

from engagement.advertisement.eid import eid_at
from engagement.advertisement.frames import (
    AltBeacon,
    EddystoneEid,
    EddystoneTlm,
    EddystoneUid,
    EddystoneUrl,
    Frame,
    IBeacon,
    read_frames,
)
from tests.fakes.recordings import recorded

# Its length byte is wrong for encrypted telemetry; the specification's reading is to refuse it.
REFUSED_THOUGH_LISTED = {"eddystone_etlm"}


def vectors(name: str) -> Any:
    return json.loads(recorded("vectors").joinpath(name).read_text(encoding="utf-8"))


def said(frame: Frame) -> dict[str, object]:
    """A frame in the words of the vector file."""
    if isinstance(frame, IBeacon):
        uuid, major, minor, power = frame
        return {"uuid": str(uuid), "major": major, "minor": minor, "tx1m": power}
    if isinstance(frame, AltBeacon):
        company, beacon_id, power, reserved = frame
        return {"mfg": company, "id": beacon_id.hex(), "tx1m": power, "reserved": reserved}
    if isinstance(frame, EddystoneUid):
        return {"tx0": frame.power_at_0m_dbm, "ns": frame.namespace.hex(), "inst": frame.instance.hex()}
    if isinstance(frame, EddystoneUrl):
        return {"tx0": frame.power_at_0m_dbm, "url": frame.url}
    if isinstance(frame, EddystoneEid):
        return {"tx0": frame.power_at_0m_dbm, "eid": frame.eid.hex()}
    assert isinstance(frame, EddystoneTlm)
    temperature = None if frame.temperature_c is None else round(frame.temperature_c, 2)
    return {
        "mv": frame.battery_mv,
        "temp": temperature,
        "adv_cnt": frame.adverts,
        "sec_cnt_01s": round(frame.uptime_s * 10),
    }


def test_every_advertisement_of_the_vectors_reads_as_its_source_asserts() -> None:
    rows = vectors("adv_vectors.json")
    checked = 0
    for row in rows["ibeacon_eddystone_beacontools"] + rows["altbeacon_library"]:
        reading = read_frames(bytes.fromhex(row["hex"]))
        if not row.get("ok", True) or row["name"] in REFUSED_THOUGH_LISTED:
            assert reading.frames == (), row["name"]
            continue
        (frame,) = reading.frames
        words = said(frame)
        stated = {key: value for key, value in row.items() if key in words}
        assert stated == {key: words[key] for key in stated}, row["name"]
        checked += len(stated)
    assert checked > 30
    for data in rows["reject_beacontools"]:
        assert read_frames(bytes.fromhex(data)).frames == ()


def test_every_rotating_identity_of_the_vectors_is_reproduced() -> None:
    rows = vectors("eid_vectors.json")["eid"]
    assert rows
    for row in rows:
        assert eid_at(bytes.fromhex(row["identity_key"]), row["k"], row["t"]).hex() == row["eid"]
