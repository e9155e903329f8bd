"""A process that decides in a loop and says what was acknowledged; its parent kills it at any moment.

Prints a line per acknowledged decision: the caller's number and its count, once decide() has answered.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from edge_agent.adapters.sqlite_store import SqliteStore, StoreOptions, open_sqlite_store
from engagement.ledger.record import Key, Rows, Ruling
from tests.fakes.ledger import Counter, HandClock, Note, SeededEntropy, add, health_changed, played

CALLERS = 8
# Often, so that kills fall into checkpoints as well.
OPTIONS = StoreOptions(checkpoint_pages=60)


async def _count(store: SqliteStore, caller: int) -> None:
    key = Key(Counter, str(caller))

    def rule(rows: Rows) -> Ruling[int]:
        ruling = add(key)(rows)
        note = Note(id=f"{caller}-{ruling.answer}", text="x" * 200)
        events = (played(ruling.answer), health_changed())
        return Ruling(ruling.answer, writes=(*ruling.writes, note), events=events)

    while True:
        count = await store.decide([key], rule)
        os.write(sys.stdout.fileno(), f"{caller} {count}\n".encode())


async def main(path: Path) -> None:
    entropy = SeededEntropy(time.monotonic_ns())
    async with (
        open_sqlite_store(path, clock=HandClock(), entropy=entropy, options=OPTIONS) as store,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(store.run())
        for caller in range(CALLERS):
            tasks.create_task(_count(store, caller))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
