"""A process that judges the dead letters of a database file again, and says so chunk by chunk; its parent kills it."""

import asyncio
import os
import sys
from pathlib import Path

from cloud_api.services.rejudging import FIRST, Rejudging
from tests.fakes.cloud_storages import running_sqlite
from tests.fakes.hq import Hq

# Many transactions to be killed in.
LETTERS_AT_ONCE = 7


async def main(path: Path) -> None:
    async with running_sqlite(path) as storage:
        hq = Hq(storage)
        rejudging = Rejudging(storage=storage, estate=hq.estate, news=hq.news)
        after = FIRST
        while True:
            judged = await rejudging.judge(agent=None, after=after, letters_max=LETTERS_AT_ONCE)
            os.write(sys.stdout.fileno(), f"{judged.used}\n".encode())
            if judged.next is None:
                return
            after = judged.next


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
