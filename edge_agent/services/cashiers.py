"""Who stands at a till: cashiers sign in with a PIN, guessing is made slow, and a session ends when it is idle.

All of it lives in memory: after a restart cashiers sign in again, which takes seconds and keeps no secret on disk.
Tills and cashiers are those of the bundle that counts now; a session ends with its till's or its cashier's place there,
or with the PIN that opened it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from hmac import compare_digest

from edge_agent.ports import Clock, Entropy
from engagement.estate.bundle import Bundle, Cashier
from engagement.ids import CashierName, TillName

# (PIN, salt) -> its scrypt, as engagement.estate.bundle.Cashier says; slow on purpose, so off the event loop.
PinHash = Callable[[str, bytes], Awaitable[bytes]]

# A four-digit PIN has 10,000 values: with these, guessing one takes months of standing at the till.
WRONG_PINS_MAX = 5
PAUSE_S_FIRST = 30.0
PAUSE_S_MAX = 15 * 60.0
# Wrong PINs are forgotten after this long without another one.
FORGET_S = 12 * 3600.0
# A till that is left alone is a till that anybody may use.
IDLE_S_MAX = 15 * 60.0
# A shift; the longest that one PIN opens a till, however busy it is.
SESSION_S_MAX = 12 * 3600.0
# More open sessions than this are no store's; the one idle the longest ends.
SESSIONS_MAX = 200
# Typed by thumb: longer ones only cost hashing time.
PIN_CHARS_MAX = 12
# One hash takes 16 MB for 50 ms. Sign-ins wait their turn, and no more of them than this.
_WAITING_MAX = 16
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A cashier at a till. Times are the clock's monotonic seconds. ``opened_by``: what the bundle said of the cashier."""

    till: TillName
    cashier: CashierName
    began_mono_s: float
    used_mono_s: float
    opened_by: Cashier = field(repr=False)

    def is_over(self, now_mono_s: float) -> bool:
        return now_mono_s - self.used_mono_s > IDLE_S_MAX or now_mono_s - self.began_mono_s > SESSION_S_MAX


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``token`` is what the till's browser keeps; only its hash is kept here."""

    token: str
    session: Session


@dataclass(frozen=True, slots=True)
class WrongPin:
    """``left``: wrong PINs that this till may still send before it must pause."""

    left: int


@dataclass(frozen=True, slots=True)
class MustPause:
    wait_s: float


@dataclass(slots=True)
class _Guesses:
    """Wrong PINs of one till, by the cashier they were tried for, so that a right PIN clears only its owner's."""

    wrong: dict[CashierName, int] = field(default_factory=dict)
    last_mono_s: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.wrong.values())


class Cashiers:
    """``bundle`` answers with the one that counts now."""

    def __init__(
        self,
        *,
        bundle: Callable[[], Bundle],
        clock: Clock,
        entropy: Entropy,
        pin_hash: PinHash,
    ) -> None:
        self._bundle = bundle
        self._clock = clock
        self._entropy = entropy
        self._pin_hash = pin_hash
        self._sessions: dict[str, Session] = {}
        self._guesses: dict[TillName, _Guesses] = {}
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def names(self) -> tuple[CashierName, ...]:
        """Everybody who may sign in, in the bundle's order."""
        return tuple(cashier.name for cashier in self._bundle().cashiers)

    def till_of(self, token: str) -> TillName | None:
        """The till that a token is for; every till's is compared, whichever it is."""
        given = sha256(token.encode(errors="replace")).hexdigest()
        found: TillName | None = None
        for till in self._bundle().tills:
            if compare_digest(till.token_sha256, given):
                found = till.name
        return found

    async def sign_in(self, till: TillName, cashier: str, pin: str) -> SignedIn | WrongPin | MustPause:
        """Open a session for a cashier at a paired till. Attempts are judged one after another."""
        if self._waiting >= _WAITING_MAX:
            return MustPause(1.0)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._judge(till, CashierName(cashier), pin)
        finally:
            self._waiting -= 1

    def session(self, token: str, *, till: TillName) -> Session | None:
        """The open session of a browser at this till, now counted as used; None when it has ended."""
        now_s = self._clock.mono_s()
        self._end_old(now_s)
        key = _key(token)
        session = self._sessions.get(key)
        if session is None or session.till != till:
            return None
        if self._cashier(session.cashier) != session.opened_by:
            del self._sessions[key]
            return None
        self._sessions[key] = replace(session, used_mono_s=now_s)
        return self._sessions[key]

    def sign_out(self, token: str) -> None:
        self._sessions.pop(_key(token), None)

    async def _judge(self, till: TillName, name: CashierName, pin: str) -> SignedIn | WrongPin | MustPause:
        now_s = self._clock.mono_s()
        guesses = self._guesses_of(till, now_s)
        wait_s = _pause_s(guesses.count) - (now_s - guesses.last_mono_s)
        if guesses.count and wait_s > 0:
            return MustPause(wait_s)
        cashier = self._cashier(name)
        if not await self._is_right(cashier, pin) or cashier is None:
            guesses.last_mono_s = self._clock.mono_s()
            # An unknown name is counted under one label: made-up names must not fill the memory.
            charged = name if cashier is not None else CashierName("")
            guesses.wrong[charged] = guesses.wrong.get(charged, 0) + 1
            left = WRONG_PINS_MAX - guesses.count
            return WrongPin(left) if left > 0 else MustPause(_pause_s(guesses.count))
        guesses.wrong.pop(name, None)
        return self._open(till, cashier)

    def _cashier(self, name: CashierName) -> Cashier | None:
        return next((cashier for cashier in self._bundle().cashiers if cashier.name == name), None)

    async def _is_right(self, cashier: Cashier | None, pin: str) -> bool:
        """The same work is done for a name that nobody has, so that time does not tell names."""
        if not 0 < len(pin) <= PIN_CHARS_MAX:
            return False
        salt = bytes.fromhex(cashier.salt) if cashier is not None else bytes(16)
        hashed = (await self._pin_hash(pin, salt)).hex()
        return cashier is not None and compare_digest(cashier.pin_scrypt, hashed)

    def _guesses_of(self, till: TillName, now_s: float) -> _Guesses:
        guesses = self._guesses.setdefault(till, _Guesses())
        if now_s - guesses.last_mono_s > FORGET_S:
            guesses.wrong.clear()
        return guesses

    def _open(self, till: TillName, cashier: Cashier) -> SignedIn:
        now_s = self._clock.mono_s()
        self._end_old(now_s)
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].used_mono_s)]
        token = self._entropy.token(_TOKEN_BYTES).hex()
        session = Session(till, cashier.name, now_s, now_s, cashier)
        self._sessions[_key(token)] = session
        return SignedIn(token, session)

    def _end_old(self, now_s: float) -> None:
        for key in [key for key, session in self._sessions.items() if session.is_over(now_s)]:
            del self._sessions[key]


def _key(token: str) -> str:
    return sha256(token.encode(errors="replace")).hexdigest()


def _pause_s(wrong: int) -> float:
    """How long a till must wait after this many wrong PINs: it doubles with each beyond the fifth."""
    if wrong < WRONG_PINS_MAX:
        return 0.0
    return float(min(PAUSE_S_FIRST * 2 ** min(wrong - WRONG_PINS_MAX, 10), PAUSE_S_MAX))
