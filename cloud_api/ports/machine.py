"""What the services need of the machine: clocks, entropy, compression."""

from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Unix milliseconds."""

    def mono_s(self) -> float:
        """Seconds from any origin, never going back."""


class Entropy(Protocol):
    def token(self, n_bytes: int) -> bytes:
        """Unpredictable bytes."""


class NotPacked(ValueError):
    """The bytes are not what Packing.pack() makes, or would be too long unpacked."""


class Packing(Protocol):
    """Compression of batches."""

    def pack(self, data: bytes) -> bytes: ...

    def unpack(self, packed: bytes, *, bytes_max: int) -> bytes:
        """Errors: NotPacked."""
