"""The agents at hand, asked from the storage's thread while others enrol."""

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from cloud_api.ports.storage import KnownAgent
from cloud_api.services.registry import Registry
from engagement.ids import AgentName, BranchCode
from tests.fakes.memory_storage import MemoryStorage


class Growing(MemoryStorage):
    """Twenty agents more each time it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def agents(self) -> list[KnownAgent]:
        self.count += 20
        numbers = range(self.count - 20, self.count)
        return [KnownAgent(AgentName(f"a-{number}"), BranchCode("B"), number, "active") for number in numbers]


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("busy_threads")
def test_all_agents_can_be_asked_for_while_one_is_added() -> None:
    registry, over, failed = Registry(Growing()), threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            try:
                registry.all()
            except RuntimeError as failure:
                failed.append(failure)
                return

    asking = threading.Thread(target=ask)
    asking.start()

    async def grow() -> None:
        for _ in range(100):
            await registry.load()

    asyncio.run(grow())
    over.set()
    asking.join()
    assert failed == []
