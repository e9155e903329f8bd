"""Lets people in: a password once, then a token. Guessing is slowed per user; a token's hash alone is kept."""

import asyncio
import logging
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Awaitable, Callable
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from cloud_api.ports.machine import Clock, Entropy
from cloud_api.ports.storage import Session, Storage
from cloud_api.services.refused import Refused

_LOG = logging.getLogger(__name__)

# A working day.
SESSION_MS = 12 * 3600 * 1000
# Twenty a quarter of an hour is more than fingers slip, and 2,000 a day less than any guessing needs.
TRIES_MAX = 20
_TRIES_S = 15 * 60.0
# Each hash takes 16 MB and 50 ms of a core that ingest needs too.
_HASHES_AT_ONCE = 2
_TOKEN_BYTES = 32
_NO_SALT = bytes(16)

# (password, salt) -> its hash.
HashPassword = Callable[[str, bytes], Awaitable[bytes]]


class SignedIn(NamedTuple):
    token: str
    expires_ms: int


class SigningIn:
    def __init__(
        self, *, storage: Storage, clock: Clock, entropy: Entropy, hash_password: HashPassword
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._entropy = entropy
        self._hash_password = hash_password
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        # Strangers share one count, so that made-up names fill no memory.
        self._failures: dict[str | None, deque[float]] = {}

    async def sign_in(self, name: str, password: str) -> SignedIn:
        """Errors: Refused password_wrong, too_many_tries."""
        user = await self._storage.user(name)
        failures = self._failures.setdefault(user.name if user else None, deque(maxlen=TRIES_MAX))
        now_mono_s = self._clock.mono_s()
        if len(failures) == TRIES_MAX and now_mono_s - failures[0] < _TRIES_S:
            raise Refused("too_many_tries", "too many wrong passwords; wait a quarter of an hour")
        failures.append(now_mono_s)  # before the hash, so that many at once are counted too
        async with self._hashing:
            hashed = await self._hash_password(password, user.salt if user else _NO_SALT)
        if user is None or not compare_digest(hashed, user.password_scrypt):
            _LOG.warning("a sign-in failed")
            raise Refused("password_wrong", "user or password is wrong")
        failures.clear()
        token = urlsafe_b64encode(self._entropy.token(_TOKEN_BYTES)).rstrip(b"=").decode()
        now_ms = self._clock.now_ms()
        session = Session(_hash(token), user.name, now_ms + SESSION_MS)
        await self._storage.put_session(session, now_ms=now_ms)
        return SignedIn(token, session.expires_ms)

    async def user_of(self, token: str) -> str | None:
        """Whose token it is; None when nobody's, or when it is over."""
        session = await self._storage.session(_hash(token))
        return session.user if session and session.expires_ms > self._clock.now_ms() else None

    async def sign_out(self, token: str) -> None:
        await self._storage.drop_session(_hash(token))


def _hash(token: str) -> bytes:
    return sha256(token.encode(errors="replace")).digest()
