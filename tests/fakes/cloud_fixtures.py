"""HQ for a test: a real cloud of its own, its desk and a browser at it. A module overrides what it wants otherwise."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engagement.ids import AgentName, BranchCode
from tests.fakes.cloud_process import CloudHome, CloudProcess, Desk, cloud, desk
from tests.fakes.plain_browser import PlainBrowser, plain_browser

Enrolled = tuple[tuple[BranchCode, AgentName], ...]


@pytest.fixture
def home(tmp_path: Path) -> CloudHome:
    return CloudHome(tmp_path)


@pytest.fixture
def enrolled() -> Enrolled:
    """Whom the desk enrols before the test."""
    return ()


@pytest.fixture
async def running(home: CloudHome) -> AsyncIterator[CloudProcess]:
    async with cloud(home) as process:
        yield process


@pytest.fixture
async def hq(running: CloudProcess, enrolled: Enrolled) -> AsyncIterator[Desk]:
    """Signed in."""
    async with desk(running.home) as opened:
        await opened.sign_in()
        for branch, agent in enrolled:
            await opened.enrol(branch, agent)
        yield opened


@pytest.fixture
async def visitor(running: CloudProcess) -> AsyncIterator[PlainBrowser]:
    """Not signed in."""
    async with plain_browser(running.home) as opened:
        yield opened


@pytest.fixture
async def browser(visitor: PlainBrowser) -> PlainBrowser:
    """Signed in."""
    await visitor.sign_in()
    return visitor
