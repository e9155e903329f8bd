"""Tells a home's HQ what the home's files say: at a start after they changed, and whenever HQ has lost it.

What operators apply, publish or stop at HQ meanwhile stays, until the files change again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from typing_extensions import override

from engagement.estate.planning import Plan, Wanted
from provisioning.faults import ConfigurationWrong
from provisioning.ports import HqRefused
from provisioning.services.applying import Applying
from provisioning.services.enrolling import LaysOut


class LaidOut(Protocol):
    """Remembers what HQ was told last. Errors of both: WorkFailed."""

    def read(self) -> tuple[str, int]:
        """Its digest and HQ's revision that has it; empty and 0 while there is none."""

    def write(self, digest: str, revision: int) -> None: ...


@dataclass
class LayingOut(LaysOut):
    """``digest``: of all that HQ is to be told; ``file``: the inventory's name, for complaints."""

    applying: Applying
    wanted: Wanted
    digest: str
    mark: LaidOut
    file: str
    say: Callable[[str], None]
    _is_done: bool = field(default=False, init=False)

    @override
    async def lay_out(self, *, is_lost: bool = False) -> None:
        if self._is_done and not is_lost:
            return
        if is_lost or not await self._is_known():
            self.mark.write(self.digest, await self._apply())
        self._is_done = True

    async def _is_known(self) -> bool:
        """An HQ at an earlier revision is a new one, or was restored from before."""
        digest, revision = self.mark.read()
        if digest != self.digest:
            return False
        return (await self.applying.hq.estate({})).revision >= revision

    async def _apply(self) -> int:
        try:
            plan = await self.applying.plan(self.wanted)
        except ConfigurationWrong as wrong:
            if self._is_done:
                # The store runs by files that were right; that HQ will not have them again is no reason to close it.
                raise HqRefused(str(wrong)) from wrong
            raise ConfigurationWrong(
                *(f"{self.file}: {complaint}" for complaint in wrong.complaints)
            ) from wrong
        if plan.is_empty:
            return plan.base
        revision = await self.applying.apply(plan)
        self.say(_told(plan, self.file))
        return revision


def _told(plan: Plan, file: str) -> str:
    """The first time all of it is new, which the summary says better."""
    if plan.base == 0:
        return "HQ is laid out."
    return "\n".join((f"HQ now wants what {file} says:", *(f"  {line}" for line in plan.lines)))
