"""Rotating identities (Eddystone-EID): what a beacon calls itself at a moment, and which beacon a name belongs to.

Which beacons there are is said by the branch; when to refresh, by the caller, who owns the time.
Source: google/eddystone, eddystone-eid/eid-computation.md.
"""

from collections.abc import Iterable
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from engagement.ids import BeaconName

EID_BYTES = 8
_BLOCK_BYTES = 16
_KEY_SALT = 0xFF
_CLOCK_MASK = 0xFFFF_FFFF
# The temporary key changes when these bits of the clock do.
_KEY_PERIOD_BITS = 16
ROTATION_EXPONENT_MAX = 15
# A beacon saves its clock once a day, so after a change of battery it may be a day behind; its crystal alone
# loses at most 13 s a day (150 ppm).
DRIFT_S_MAX = 86_400
# A beacon that rotates every second would fill a table of its own: its window shrinks instead.
_PERIODS_EACH_SIDE_MAX = 512


class EidKey(NamedTuple):
    """``identity_key`` 16 bytes; a new identity every ``2**rotation_exponent`` seconds of the beacon's clock, which
    is Unix time plus ``clock_offset_s``."""

    beacon: BeaconName
    identity_key: bytes
    rotation_exponent: int
    clock_offset_s: int


class Resolved(NamedTuple):
    """``clock_s`` is the beacon's own clock at the start of the period in which it bears this identity."""

    beacon: BeaconName
    clock_s: int


def eid_at(identity_key: bytes, rotation_exponent: int, clock_s: int) -> bytes:
    """The identity that a beacon sends when its clock reads ``clock_s``, 8 bytes.

    Errors: ValueError when the exponent is not 0 to 15 or the key not 16 bytes.
    """
    if not 0 <= rotation_exponent <= ROTATION_EXPONENT_MAX:
        raise ValueError(f"rotation exponent is {rotation_exponent}; allowed: 0 to {ROTATION_EXPONENT_MAX}")
    if len(identity_key) != _BLOCK_BYTES:
        raise ValueError(f"identity key has {len(identity_key)} bytes; allowed: {_BLOCK_BYTES}")
    start_s = clock_s >> rotation_exponent << rotation_exponent & _CLOCK_MASK
    return _eids(identity_key, rotation_exponent, [start_s])[0]


def _eids(identity_key: bytes, rotation_exponent: int, starts_s: list[int]) -> list[bytes]:
    """One identity per start; all starts share the upper half of the clock, and with it the temporary key."""
    upper = starts_s[0] >> _KEY_PERIOD_BITS
    key_block = bytes(11) + bytes((_KEY_SALT, 0, 0)) + upper.to_bytes(2, "big")
    temporary_key = _encrypt(identity_key, key_block)
    head = bytes(11) + bytes((rotation_exponent,))
    blocks = b"".join(head + start_s.to_bytes(4, "big") for start_s in starts_s)
    encrypted = _encrypt(temporary_key, blocks)
    return [encrypted[at : at + EID_BYTES] for at in range(0, len(encrypted), _BLOCK_BYTES)]


def _encrypt(key: bytes, blocks: bytes) -> bytes:
    # The format prescribes ECB; each block is used once as a keyed hash, so nothing repeats that could leak.
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)  # noqa: S305


class EidTable:
    """Every identity that one of our beacons may bear around now, so that a look-up costs the same for any number.

    Call ``refresh`` with the time before looking up; it is cheap while the table still reaches far enough.
    """

    def __init__(self, keys: Iterable[EidKey], *, drift_s: int = DRIFT_S_MAX) -> None:
        self._keys = tuple(keys)
        self._drift_s = drift_s
        self._resolved: dict[bytes, Resolved] = {}
        self._good_from_s = 0.0
        self._good_until_s = 0.0

    def refresh(self, unix_s: float) -> bool:
        """Make the table reach ``drift_s`` to both sides of now; True when identities came or went."""
        if not self._keys or self._good_from_s <= unix_s < self._good_until_s:
            return False
        self._resolved = {}
        slack_s = float(self._drift_s)
        for key in self._keys:
            slack_s = min(slack_s, self._fill(key, int(unix_s)))
        self._good_from_s, self._good_until_s = unix_s, unix_s + slack_s
        return True

    def resolve(self, eid: bytes) -> Resolved | None:
        """The beacon that bears this identity around the time of the last refresh; None for a stranger's."""
        return self._resolved.get(eid)

    def _fill(self, key: EidKey, unix_s: int) -> float:
        """Enter one beacon's identities; the seconds until it needs the next filling."""
        exponent = key.rotation_exponent
        periods = min((self._drift_s >> exponent) + 1, _PERIODS_EACH_SIDE_MAX)
        # Filled an eighth further ahead than asked, so that the whole is not made anew each period.
        ahead = max(1, periods // 8)
        now = (unix_s + key.clock_offset_s) >> exponent
        by_upper: dict[int, list[int]] = {}
        for period in range(now - periods, now + periods + ahead + 1):
            start_s = period << exponent & _CLOCK_MASK
            by_upper.setdefault(start_s >> _KEY_PERIOD_BITS, []).append(start_s)
        for starts_s in by_upper.values():
            eids = _eids(key.identity_key, exponent, starts_s)
            for eid, start_s in zip(eids, starts_s, strict=True):
                self._resolved[eid] = Resolved(key.beacon, start_s)
        return float(ahead << exponent)
