"""A process that judges the dead letters of a database file again, and says so chunk by chunk; its parent kills it.

After so many chunks as it was given at most, it waits for that: it never ends before its parent comes to it.
"""

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path

from cloud_api.services.rejudging import FIRST, Rejudging
from tests.fakes.cloud_storages import running_sqlite
from tests.fakes.hq import Hq

# Many transactions to be killed in.
LETTERS_AT_ONCE = 7


async def main(path: Path, chunks_max: int | None) -> None:
    async with running_sqlite(path) as storage:
        hq = Hq(storage)
        rejudging = Rejudging(storage=storage, estate=hq.estate, news=hq.news)
        after = FIRST
        for chunk in count(1):
            judged = await rejudging.judge(agent=None, after=after, letters_max=LETTERS_AT_ONCE)
            os.write(sys.stdout.fileno(), f"{judged.used}\n".encode())
            if judged.next is None:
                return
            after = judged.next
            if chunk == chunks_max:
                signal.pause()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None))
