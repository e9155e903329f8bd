"""The keys by which phones are recognised: two day keys that are destroyed on time, and the cookie key.

They live in a file of their own, outside the ledger and its backups. Today's key names a phone's visit; yesterday's
still finds it; older ones are gone, and with them any way from a visit id back to a phone.
"""

import logging
from dataclasses import dataclass
from typing import Final, Protocol

from edge_agent.ports import Clock, Entropy
from engagement.values import Value
from engagement.visitor.visitor import visit_id

_LOG = logging.getLogger(__name__)

KEY_BYTES = 32
# A key mints for a day and finds for one more: destroyed within 48 h, as the privacy promise says.
DAY_KEY_LIFE_MS = 24 * 3600 * 1000
# A disk that had no room is asked again so often.
_SAVE_AGAIN_S: Final = 5.0


class KeyRing(Value):
    """As kept in the key file. ``minted_ms``: when today's key began."""

    cookie_key_hex: str
    today_hex: str
    yesterday_hex: str | None
    minted_ms: int


class KeyFile(Protocol):
    """A small durable file that never enters a backup."""

    def load(self) -> KeyRing | None: ...

    def save(self, ring: KeyRing) -> None:
        """Errors: OSError."""


@dataclass
class VisitKeys:
    """Turns the day key when it is a day old, at the first use after that and by upkeep.

    Keys that a full disk does not take are used all the same, and kept as soon as there is room.
    """

    clock: Clock
    entropy: Entropy
    file: KeyFile

    def __post_init__(self) -> None:
        self._save_again_s: float | None = None
        loaded = self.file.load()
        if loaded is None:
            loaded = KeyRing(
                cookie_key_hex=self.entropy.token(KEY_BYTES).hex(),
                today_hex=self.entropy.token(KEY_BYTES).hex(),
                yesterday_hex=None,
                minted_ms=self.clock.now().wall_ms,
            )
            self._keep(loaded)
        self._ring = loaded

    @property
    def cookie_key(self) -> bytes:
        return bytes.fromhex(self._ring.cookie_key_hex)

    def visit_ids(self, handset: bytes) -> tuple[str, ...]:
        """The phone's visit ids under every live key, today's first."""
        self.turn_if_due()
        live = [self._ring.today_hex, self._ring.yesterday_hex]
        return tuple(visit_id(bytes.fromhex(key_hex), handset) for key_hex in live if key_hex)

    def turn_if_due(self) -> None:
        """Replace today's key once it is a day old; the one before is destroyed with the file that held it.

        A clock that went back makes a key look young; its age is then counted from the new time.
        """
        if self._save_again_s is not None and self.clock.mono_s() >= self._save_again_s:
            self._keep(self._ring)
        now_ms = self.clock.now().wall_ms
        age_ms = now_ms - self._ring.minted_ms
        if age_ms < 0:
            self._keep(self._ring.model_copy(update={"minted_ms": now_ms}))
        elif age_ms >= DAY_KEY_LIFE_MS:
            outlived = age_ms >= 2 * DAY_KEY_LIFE_MS
            self._keep(
                self._ring.model_copy(
                    update={
                        "today_hex": self.entropy.token(KEY_BYTES).hex(),
                        "yesterday_hex": None if outlived else self._ring.today_hex,
                        "minted_ms": now_ms,
                    }
                )
            )

    def _keep(self, ring: KeyRing) -> None:
        self._ring = ring
        try:
            self.file.save(ring)
        except OSError as failure:
            if self._save_again_s is None:
                _LOG.error("the visit keys cannot be kept", extra={"cause": str(failure)})
            self._save_again_s = self.clock.mono_s() + _SAVE_AGAIN_S
        else:
            self._save_again_s = None
