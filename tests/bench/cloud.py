"""HQ's footprint: how soon a new process answers, and what memory it keeps while nothing happens."""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.bench.result import Figure
from tests.bench.rig import anon_mb
from tests.fakes.cloud_process import CloudHome, cloud, desk

_STARTS = 5
# Memory is read once somebody has looked at the console's pages and the start's own garbage could be collected.
_IDLE_S = 10.0


def measure() -> list[Figure]:
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as temporary:
        home = CloudHome(Path(temporary))
        starts_s: list[float] = []
        # The database is made once, and not what is measured.
        async with cloud(home, is_warm=False), desk(home) as hq:
            await hq.sign_in()
        for _ in range(_STARTS):
            began_s = time.monotonic()
            async with cloud(home, is_warm=False) as process:
                starts_s.append(time.monotonic() - began_s)
                process.stop()
        async with cloud(home, is_warm=False) as process, desk(home) as hq:
            await hq.sign_in(certify=False)
            for path in ("/v1/agents", "/v1/campaigns", "/v1/branches"):
                await hq.ask("GET", path)
            await asyncio.sleep(_IDLE_S)
            assert process.process is not None
            idle_mb = anon_mb(process.process.pid)
    return [Figure("cloud_start_s", median(starts_s), "s"), Figure("cloud_anon_mb_idle", idle_mb, "MB")]
