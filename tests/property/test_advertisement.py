"""Whatever comes through the air: parsers never raise, keep what is whole, and read back what we encode."""

from hypothesis import given
from hypothesis import strategies as st

from engagement.advertisement.frames import (
    AltBeacon,
    EddystoneEid,
    EddystoneEtlm,
    EddystoneTlm,
    EddystoneUid,
    EddystoneUrl,
    Frame,
    IBeacon,
    encode_frame,
    read_frames,
)
from engagement.advertisement.matching import BeaconIndex
from engagement.advertisement.structures import Structure, cut_structures, join_structures
from engagement.advertisement.url import decode_url, encode_url

S8 = st.integers(-128, 127)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFF_FFFF)


def exactly(n_bytes: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=n_bytes, max_size=n_bytes)


TELEMETRY = st.builds(
    EddystoneTlm,
    st.none() | st.integers(1, 0xFFFF),
    st.none() | st.integers(-0x7FFF, 0x7FFF).map(lambda steps: steps / 256),
    U32,
    U32.map(lambda tenths: tenths / 10),
)
URLS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["http://www.", "https://www.", "http://", "https://"]),
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=15),
        st.sampled_from(["", ".com", ".com/", ".gov", ".info/"]),
    ),
)
FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(IBeacon, st.uuids(), U16, U16, S8),
    st.builds(AltBeacon, U16, exactly(20), S8, st.integers(0, 255)),
    st.builds(EddystoneUid, S8, exactly(10), exactly(6)),
    st.builds(EddystoneUrl, S8, URLS),
    TELEMETRY,
    st.builds(EddystoneEtlm, exactly(12), U16, U16),
    st.builds(EddystoneEid, S8, exactly(8)),
)
# Bytes that look like frames reach far deeper than bytes drawn at random.
LOOKALIKES = st.builds(
    b"".join,
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            FRAMES.map(encode_frame),
            st.builds(
                lambda kind, head, rest: join_structures([Structure(kind, head + rest)]),
                st.sampled_from([0x16, 0xFF]),
                st.sampled_from(
                    [
                        b"\xaa\xfe\x00",
                        b"\xaa\xfe\x10",
                        b"\xaa\xfe\x20",
                        b"\x4c\x00\x02\x15",
                        b"\x01\x02\xbe\xac",
                    ]
                ),
                st.binary(max_size=30),
            ),
        ),
        max_size=4,
    ),
)


@given(st.binary(max_size=80) | LOOKALIKES)
def test_no_bytes_make_the_parsers_raise(data: bytes) -> None:
    reading = read_frames(data)
    assert len(reading.frames) + len(reading.malformed) <= len(cut_structures(data))
    assert BeaconIndex([]).match(data) is None or any(isinstance(f, EddystoneTlm) for f in reading.frames)


@given(FRAMES)
def test_a_frame_reads_back_as_it_was_encoded(frame: Frame) -> None:
    reading = read_frames(encode_frame(frame))
    assert reading.frames == (frame,)
    assert reading.malformed == ()
    assert type(reading.frames[0]) is type(frame)


@given(st.lists(FRAMES, max_size=3), LOOKALIKES)
def test_garbage_behind_whole_frames_takes_none_of_them_away(frames: list[Frame], garbage: bytes) -> None:
    data = b"".join(map(encode_frame, frames)) + garbage
    assert read_frames(data).frames[: len(frames)] == tuple(frames)


@given(st.lists(FRAMES, max_size=2), FRAMES, st.data())
def test_a_cut_takes_only_what_it_touches(whole: list[Frame], touched: Frame, draw: st.DataObject) -> None:
    payload = encode_frame(touched)
    n_left = draw.draw(st.integers(0, len(payload) - 1), label="bytes left of the frame that the cut touches")
    data = b"".join(map(encode_frame, whole)) + payload[:n_left]
    assert read_frames(data).frames == tuple(whole)


@given(st.lists(st.builds(Structure, st.integers(0, 255), st.binary(max_size=254)), max_size=5))
def test_structures_read_back_as_they_were_joined(structures: list[Structure]) -> None:
    assert cut_structures(join_structures(structures)) == structures


@given(URLS)
def test_an_address_reads_back_and_is_never_longer_than_typed(url: str) -> None:
    encoded = encode_url(url)
    assert decode_url(encoded) == url
    assert len(encoded) <= len(url)
