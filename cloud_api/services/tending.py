"""Looks after HQ's own state, and says how the cloud is."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cloud_api.ports.machine import Clock

# What ails HQ is seen within this.
_EVERY_S = 2.0
_DISK_BYTES_MIN = 500 * 2**20
# The others are in GET /v1/fence.
_NAMED_MAX = 5
_CERTIFICATE_WARNING_MS = 14 * 24 * 3600 * 1000


class Status(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Issue:
    """``since_ms``: Unix ms when it was first seen; ``means`` and ``do`` are for HQ's operator."""

    code: str
    since_ms: int
    means: str
    do: str


class Tending:
    """``free_bytes``: how much the database's disk has left; ``is_certified``: whether the desk's root vouches for HQ;
    ``shows_root``: whether HQ presents that root; ``waiting_for``: agents that a restored HQ must hear first; ``tidy``:
    what is to be done about HQ's memory; ``alive``: who is told after each look that HQ still answers; systemd's watchdog."""

    def __init__(
        self,
        *,
        clock: Clock,
        free_bytes: Callable[[], int],
        certificate_ends_ms: int,
        is_certified: Callable[[], bool],
        shows_root: Callable[[], bool],
        waiting_for: Callable[[], Awaitable[Sequence[str]]],
        tidy: Callable[[], Awaitable[None]],
        alive: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._free_bytes = free_bytes
        self._certificate_ends_ms = certificate_ends_ms
        self._is_certified = is_certified
        self._shows_root = shows_root
        self._waiting_for = waiting_for
        self._tidy = tidy
        self._alive = alive
        self._since_ms: dict[str, int] = {}
        self.issues: tuple[Issue, ...] = ()

    async def run(self) -> None:
        while True:
            await self.look()
            await self._tidy()
            self._alive()
            await asyncio.sleep(_EVERY_S)

    async def look(self) -> None:
        """Judge everything once. Errors: StorageFailed."""
        now_ms = self._clock.now_ms()
        found: dict[str, tuple[str, str]] = {}
        if self._free_bytes() < _DISK_BYTES_MIN:
            found["disk_low"] = (
                "The database's disk is nearly full; agents will keep their journals themselves.",
                "Free space, or move the home to a larger disk.",
            )
        if self._certificate_ends_ms < now_ms + _CERTIFICATE_WARNING_MS:
            found["certificate_ends"] = (
                "The cloud's certificate ends within two weeks; agents will then not connect.",
                "Renew it and start the cloud again.",
            )
        if not self._is_certified():
            found["not_certified"] = (
                "HQ's sealing key has no certificate; no agent can be enrolled, or get rights or a bundle.",
                "Run `beckon hq certify` at the desk.",
            )
        if not self._shows_root():
            found["root_not_shown"] = (
                "HQ's TLS certificate does not come with the root that claim codes name; no new mini-PC can know HQ.",
                "Put a certificate of that root first and the root behind it into tls_certificate, and start the cloud again.",
            )
        awaited = await self._waiting_for()
        if awaited:
            named = ", ".join(awaited[:_NAMED_MAX]) + (", …" if len(awaited) > _NAMED_MAX else "")
            found["fenced"] = (
                f"HQ was restored and hands out no rights until it has heard {len(awaited)} more of its agents: {named}.",
                "See to it that they reach HQ, or write off the ones that never will.",
            )
        self._since_ms = {code: self._since_ms.get(code, now_ms) for code in found}
        self.issues = tuple(
            Issue(code, self._since_ms[code], means, do) for code, (means, do) in found.items()
        )

    @property
    def status(self) -> Status:
        return Status.DEGRADED if self.issues else Status.OK
