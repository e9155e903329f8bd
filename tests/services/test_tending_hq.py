"""What HQ says of itself: what ails it, since when, and that it is over."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cloud_api.services.tending import Issue, Status, Tending
from tests.fakes.hq import HandClock
from tests.fakes.shop import DAY_MS, NOON_MS


@dataclass
class Machine:
    """``awaited``: agents that HQ must hear first."""

    clock: HandClock = field(default_factory=HandClock)
    free_bytes: int = 2**40
    certificate_ends_ms: int = NOON_MS + 90 * DAY_MS
    is_certified: bool = True
    shows_root: bool = True
    awaited: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.tending = Tending(
            clock=self.clock,
            free_bytes=lambda: self.free_bytes,
            certificate_ends_ms=self.certificate_ends_ms,
            is_certified=lambda: self.is_certified,
            shows_root=lambda: self.shows_root,
            waiting_for=self._waiting_for,
            tidy=self._tidy,
            alive=lambda: None,
        )

    async def _waiting_for(self) -> Sequence[str]:
        return self.awaited

    async def _tidy(self) -> None:
        """There is nothing to give back."""

    async def issues(self) -> dict[str, Issue]:
        await self.tending.look()
        return {issue.code: issue for issue in self.tending.issues}


async def test_a_sound_hq_is_ok() -> None:
    machine = Machine()
    assert await machine.issues() == {}
    assert machine.tending.status is Status.OK


async def test_a_disk_that_fills_is_told_before_it_is_full_and_since_when() -> None:
    machine = Machine(free_bytes=400 * 2**20)
    since_ms = (await machine.issues())["disk_low"].since_ms
    machine.clock.pass_ms(60_000)
    assert (await machine.issues())["disk_low"].since_ms == since_ms
    assert machine.tending.status is Status.DEGRADED
    machine.free_bytes = 2**40
    assert await machine.issues() == {}
    machine.clock.pass_ms(60_000)
    machine.free_bytes = 0
    assert (await machine.issues())["disk_low"].since_ms == since_ms + 120_000


async def test_a_certificate_is_told_two_weeks_before_it_ends() -> None:
    machine = Machine(certificate_ends_ms=NOON_MS + 15 * DAY_MS)
    assert await machine.issues() == {}
    machine.clock.pass_ms(DAY_MS + 1)
    assert set(await machine.issues()) == {"certificate_ends"}


async def test_what_no_agent_can_do_until_somebody_acts_is_told() -> None:
    machine = Machine(
        is_certified=False, shows_root=False, awaited=[f"agent-{number}" for number in range(7)]
    )
    issues = await machine.issues()
    assert set(issues) == {"not_certified", "root_not_shown", "fenced"}
    assert "7 more of its agents: agent-0, agent-1, agent-2, agent-3, agent-4, …" in issues["fenced"].means
