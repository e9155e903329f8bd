"""What befalls the box: crashes, power cuts, slow and full disks, a network that loses, clocks that jump."""

import asyncio
from random import Random

from tests.simulation.box import Box
from tests.simulation.witness import ERROR_MS_MAX, Witness


class Weather:
    def __init__(self, box: Box, witness: Witness, dice: Random) -> None:
        self._box = box
        self._witness = witness
        self._dice = dice

    async def crashes(self) -> None:
        """Crashes come alone or in bursts, mostly while something is being answered."""
        while True:
            await asyncio.sleep(self._dice.random() * 4 * 3600)
            for _ in range(self._dice.choice([1, 1, 4])):
                await self._box.busy()
                await asyncio.sleep(self._dice.random() * 0.1)
                await self._die_and_return()

    async def _die_and_return(self) -> None:
        running, power_cut = self._box.running, self._dice.random() < 0.5
        assert running is not None
        self._witness.note("power cut" if power_cut else "crash", len(running.at_work))
        await self._box.die(power_cut=power_cut)
        await self._audit_at_rest()
        await asyncio.sleep(self._dice.choice([0.2, 2.0, 30.0]))
        self._box.start()
        self._witness.note("started")

    async def _audit_at_rest(self) -> None:
        await self._witness.audit(self._box.at_rest(), self._box.day_of)

    async def clocks(self) -> None:
        """The clock jumps within its error, also back and forth over midnight; sometimes it is known exactly."""
        clock = self._box.clock
        while True:
            clock.error_ms = self._dice.choice([0, 2_000, ERROR_MS_MAX, ERROR_MS_MAX])
            share = self._dice.choice([-1.0, 1.0, self._dice.uniform(-1, 1)])
            clock.off_ms = round(share * clock.error_ms)
            self._witness.note("clock", clock.off_ms, clock.error_ms)
            if self._dice.random() < 0.7:
                await self._box.busy()
            await asyncio.sleep(self._dice.random() * self._dice.choice([0.1, 60, 3600]))

    async def disks(self) -> None:
        """Commits get slow, the disk fills up; both pass."""
        while True:
            await asyncio.sleep(self._dice.random() * 5 * 3600)
            kind = self._dice.choice(["slow", "full"])
            self._witness.note("disk", kind)
            if kind == "slow":
                self._box.commit_s_max = 3.0
            else:
                self._box.set_full(True)
            await asyncio.sleep(self._dice.random() * 2 * 3600)
            self._witness.note("disk", "well")
            self.calm_disk()

    async def network(self) -> None:
        while True:
            self._box.loss = self._dice.choice([0.0, 0.02, 0.3])
            await asyncio.sleep(self._dice.random() * 3 * 3600)

    def calm_disk(self) -> None:
        self._box.commit_s_max = 0.02
        self._box.set_full(False)
