"""Batches compressed with zstd."""

import zstandard

from cloud_api.ports.machine import NotPacked, Packing

# Level 3 is where more time stops saving bytes on batches of some kB.
_LEVEL = 3


class ZstdPacking(Packing):
    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)

    def pack(self, data: bytes) -> bytes:
        return self._compressor.compress(data)

    def unpack(self, packed: bytes, *, bytes_max: int) -> bytes:
        """The first frame. Neither its length nor its window is believed; a frame that is cut short gives what is there,
        which no batch's check lets pass."""
        decompressor = zstandard.ZstdDecompressor(max_window_size=max(bytes_max, 1024))
        try:
            with decompressor.stream_reader(packed) as unpacking:
                unpacked = unpacking.read(bytes_max + 1)
        except zstandard.ZstdError as error:
            raise NotPacked(f"the body is no zstd frame: {error}") from error
        if len(unpacked) > bytes_max:
            raise NotPacked(f"the body is above {bytes_max} bytes when unpacked")
        return unpacked
