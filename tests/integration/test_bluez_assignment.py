"""Which receiver gets which adapter, how long it pauses, and what is rebuilt of a packet: the radio's pure parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.adapters.bluez_payload import ad_structures
from edge_agent.adapters.bluez_radio import adopt, assign
from edge_agent.adapters.bluez_receiver import Limits, doubled, retry_pause_s
from edge_agent.adapters.bluez_watch import BluezAdapter
from engagement.advertisement.structures import cut_structures

A, B, C = "00:1A:7D:DA:71:0A", "00:1A:7D:DA:71:0B", "00:1A:7D:DA:71:0C"
SHORT_UUID = "0000feaa-0000-1000-8000-00805f9b34fb"
MIDDLE_UUID = "12345678-0000-1000-8000-00805f9b34fb"
LONG_UUID = "a3c87500-8ed3-4bdf-8a39-a01bebede295"


def adapters(**by_hci: str) -> dict[str, BluezAdapter]:
    return {
        hci: BluezAdapter(hci, address, is_powered=True, is_discovering=False, incarnation=i)
        for i, (hci, address) in enumerate(by_hci.items())
    }


@pytest.mark.parametrize(
    ("labels", "known", "there", "given_to"),
    [
        (["hci0", "hci1"], {}, {"hci0": A, "hci1": B}, {"hci0": A, "hci1": B}),
        (["hci0", "hci1"], {"hci0": A, "hci1": B}, {"hci0": B, "hci1": A}, {"hci0": A, "hci1": B}),
        (["hci0"], {"hci0": A}, {"hci0": B}, {}),
        ([B], {B: B}, {"hci0": A, "hci3": B}, {B: B}),
        (["hci0", "hci1"], {"hci0": A}, {"hci1": A}, {"hci0": A}),
        (["hci0"], {}, {}, {}),
    ],
    ids=["by name", "swapped", "another dongle", "by address", "taken by its owner", "none"],
)
def test_an_adapter_goes_to_the_receiver_that_knows_its_address_then_its_name(
    labels: list[str], known: dict[str, str], there: dict[str, str], given_to: dict[str, str]
) -> None:
    given = assign(labels, known, adapters(**there).values())
    assert {label: adapter.address for label, adapter in given.items()} == given_to


@pytest.mark.parametrize(
    ("unmet", "there", "adopted"),
    [
        (["hci0"], {"hci0": B}, {"hci0": B}),
        (["hci0"], {"hci4": B}, {"hci0": B}),
        (["hci0", "hci1"], {"hci4": B}, {}),
        (["hci0"], {"hci4": B, "hci5": C}, {}),
        ([A], {"hci0": B}, {}),
        (["hci0", "hci1"], {"hci0": B, "hci7": C}, {"hci0": B, "hci1": C}),
    ],
    ids=[
        "same name",
        "only pair",
        "two want it",
        "two to choose from",
        "named by address",
        "name, then pair",
    ],
)
def test_a_replacement_is_taken_only_where_there_is_no_doubt(
    unmet: list[str], there: dict[str, str], adopted: dict[str, str]
) -> None:
    found = adopt(unmet, [], adapters(**there))
    assert {label: adapter.address for label, adapter in found.items()} == adopted


def test_an_adapter_in_use_is_nobodys_replacement() -> None:
    there = adapters(hci0=A, hci1=B)
    assert adopt(["hci5"], [there["hci0"], there["hci1"]], there) == {}


def test_pauses_double_up_to_their_limit() -> None:
    limits = Limits()
    retries = [retry_pause_s(refusals, limits) for refusals in range(10_000)]
    assert retries[:3] == [0.25, 0.5, 1.0]
    assert max(retries) == limits.retry_s_max
    silences = [doubled(limits.silent_s, scans, limits) for scans in range(10_000)]
    assert silences[:3] == [20, 40, 80]
    assert max(silences) == limits.silent_s_max


@pytest.mark.parametrize(
    ("uuid", "kind_of_list", "kind_of_data", "on_air"),
    [
        (SHORT_UUID, 0x03, 0x16, "aafe"),
        (MIDDLE_UUID, 0x05, 0x20, "78563412"),
        (LONG_UUID.upper(), 0x07, 0x21, "95e2edeb1ba0398adf4bd38e0075c8a3"),
    ],
)
def test_a_uuid_is_rebuilt_in_the_width_it_had_on_air(
    uuid: str, kind_of_list: int, kind_of_data: int, on_air: str
) -> None:
    listed, data = cut_structures(ad_structures({}, {uuid: b"\x01"}, [uuid]))
    assert (listed.kind, listed.content.hex()) == (kind_of_list, on_air)
    assert (data.kind, data.content.hex()) == (kind_of_data, on_air + "01")


def test_what_is_too_long_to_have_been_on_air_is_left_out_alone() -> None:
    rebuilt = cut_structures(ad_structures({1: bytes(253), 2: b"ok"}, {}, []))
    assert [one.content for one in rebuilt] == [b"\x02\x00ok"]


@given(
    manufacturer=st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=300), max_size=4),
    service=st.dictionaries(st.uuids().map(str), st.binary(max_size=300), max_size=4),
    uuids=st.lists(st.uuids().map(str), max_size=20),
)
def test_whatever_bleak_gives_is_rebuilt_into_whole_structures(
    manufacturer: dict[int, bytes], service: dict[str, bytes], uuids: list[str]
) -> None:
    rebuilt = cut_structures(ad_structures(manufacturer, service, uuids))
    kept = [
        company.to_bytes(2, "little") + data for company, data in manufacturer.items() if len(data) <= 252
    ]
    assert [one.content for one in rebuilt if one.kind == 0xFF] == kept
    assert sum(one.kind == 0x21 for one in rebuilt) == sum(len(data) <= 238 for data in service.values())
