"""HQ's writer, over its real database: what it wrote is not kept until the next work comes, which may be hours."""

import weakref
from pathlib import Path

from engagement.estate.estate import Estate
from engagement.ids import BranchCode
from tests.eventually import eventually
from tests.fakes.cloud_storages import running_sqlite
from tests.fakes.estates import after, branch, put


async def test_what_was_written_is_let_go(tmp_path: Path) -> None:
    """A chain's change takes hundreds of MB."""
    async with running_sqlite(tmp_path / "hq.db") as storage:
        estate = after(Estate(), *put(branch("A", "a-1")))
        written = weakref.ref(estate)
        await storage.estate.put(Estate(), estate, whole={BranchCode("A")})
        del estate
        await eventually(lambda: written() is None)
