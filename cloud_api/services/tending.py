"""Looks after HQ's own state: reads the estate's file anew when it changes, and says how the cloud is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cloud_api.ports.machine import Clock
from cloud_api.services.estate_file import EstateFile

# A change of the estate's file is seen within this.
_EVERY_S = 2.0
_DISK_BYTES_MIN = 500 * 2**20
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
    ``shows_root``: whether HQ presents that root."""

    def __init__(
        self,
        *,
        estate_file: EstateFile | None,
        clock: Clock,
        free_bytes: Callable[[], int],
        certificate_ends_ms: int,
        is_certified: Callable[[], bool],
        shows_root: Callable[[], bool],
    ) -> None:
        self._estate_file = estate_file
        self._clock = clock
        self._free_bytes = free_bytes
        self._certificate_ends_ms = certificate_ends_ms
        self._is_certified = is_certified
        self._shows_root = shows_root
        self._since_ms: dict[str, int] = {}
        self.issues: tuple[Issue, ...] = ()

    async def run(self) -> None:
        while True:
            if self._estate_file is not None:
                await self._estate_file.refresh()
            self.look()
            await asyncio.sleep(_EVERY_S)

    def look(self) -> None:
        """Judge everything once."""
        now_ms = self._clock.now_ms()
        found: dict[str, tuple[str, str]] = {}
        if self._estate_file is not None and self._estate_file.complaint is not None:
            found["chain_refused"] = (
                f"The estate's file cannot be used; the one read before counts. {self._estate_file.complaint}",
                "Correct the inventory and apply it again.",
            )
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
        self._since_ms = {code: self._since_ms.get(code, now_ms) for code in found}
        self.issues = tuple(
            Issue(code, self._since_ms[code], means, do) for code, (means, do) in found.items()
        )

    @property
    def status(self) -> Status:
        return Status.DEGRADED if self.issues else Status.OK
