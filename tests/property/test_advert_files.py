"""Whatever a recording holds: reading it never raises, and takes nothing from the good lines."""

import json
from io import BufferedReader, BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.advert_files import BrokenLine, parse_line, read_adverts
from edge_agent.adapters.btsnoop import MAGIC
from engagement.advertisement.packet import Advertisement

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NEARLY_LINES = st.fixed_dictionaries(
    {},
    optional={
        "t": JSON | st.floats(0, 10),
        "adapter": JSON | st.just("hci0"),
        "address": JSON | st.just("AA:BB:CC:DD:EE:FF"),
        "rssi": JSON | st.integers(-130, 30),
        "data": JSON | st.binary(max_size=31).map(bytes.hex),
    },
).map(lambda fields: json.dumps(fields).encode())
GARBAGE = (st.binary(max_size=60) | NEARLY_LINES).map(lambda raw: raw.replace(b"\n", b" "))


def read(raw: bytes) -> list[Advertisement | BrokenLine]:
    return list(read_adverts(BufferedReader(BytesIO(raw))))


@given(st.lists(GARBAGE, max_size=8).map(b"\n".join) | st.binary(max_size=200).map(MAGIC.__add__))
def test_no_file_makes_the_reader_raise(raw: bytes) -> None:
    for item in read(raw):
        if isinstance(item, BrokenLine):
            assert item.where
            assert item.why


@given(st.lists(st.binary(max_size=31), min_size=1, max_size=6), st.data())
def test_good_lines_survive_the_broken_ones_between_them(payloads: list[bytes], data: st.DataObject) -> None:
    good = [
        Advertisement(float(n), "hci0", "AA:BB:CC:DD:EE:FF", -60, payload)
        for n, payload in enumerate(payloads)
    ]
    lines: list[bytes] = []
    for advertisement in good:
        lines += data.draw(
            st.lists(st.binary(max_size=20).map(lambda raw: b"?" + raw.replace(b"\n", b" ")), max_size=2)
        )
        t_s, adapter, address, rssi_dbm, payload = advertisement
        fields = {"t": t_s, "adapter": adapter, "address": address, "rssi": rssi_dbm, "data": payload.hex()}
        lines.append(json.dumps(fields).encode())
    assert [item for item in read(b"\n".join(lines)) if isinstance(item, Advertisement)] == good


@given(st.text() | JSON.map(json.dumps))
def test_what_is_no_advertisement_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        parse_line(text)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12))
def test_times_come_out_rising_and_no_line_is_lost(times: list[float]) -> None:
    lines = [
        json.dumps({"t": t_s, "adapter": "hci0", "address": "AA:BB:CC:DD:EE:FF", "rssi": None, "data": ""})
        for t_s in times
    ]
    items = read("\n".join(lines).encode())
    assert len(items) == len(times)
    kept = [item.t_s for item in items if isinstance(item, Advertisement)]
    assert kept == sorted(kept)
    assert kept
    if times == sorted(times):
        assert len(kept) == len(times)
