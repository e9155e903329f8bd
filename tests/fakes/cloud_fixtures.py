"""HQ for a test: a real cloud, its desk and a browser at it. A module overrides what it wants otherwise.

``running``, ``hq``, ``fresh``, ``visitor`` and ``browser`` are the test's own; what begins with ``still`` is at one cloud for all tests
of a module that change nothing there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engagement.ids import AgentName, BranchCode
from tests.fakes.cloud_process import CloudHome, CloudProcess, Desk, cloud, desk
from tests.fakes.hq import CHAIN, Chain
from tests.fakes.plain_browser import PlainBrowser, plain_browser

Enrolled = tuple[tuple[BranchCode, AgentName], ...]


@pytest.fixture(scope="module")
def laid_out() -> Chain | None:
    """What the desk applies before the tests."""
    return CHAIN


@pytest.fixture
def home(tmp_path: Path, laid_out: Chain | None) -> CloudHome:
    return CloudHome(tmp_path, laid_out=laid_out)


@pytest.fixture(scope="module")
def enrolled() -> Enrolled:
    """Whom the desk enrols before the tests."""
    return ()


@pytest.fixture
async def running(home: CloudHome) -> AsyncIterator[CloudProcess]:
    async with cloud(home) as process:
        yield process


@pytest.fixture
async def hq(running: CloudProcess, enrolled: Enrolled) -> AsyncIterator[Desk]:
    """Signed in."""
    async with signed_in(running.home, enrolled) as opened:
        yield opened


@pytest.fixture
async def fresh(running: CloudProcess) -> AsyncIterator[Desk]:
    """Signed in, and HQ's key not certified."""
    async with desk(running.home) as opened:
        await opened.sign_in(certify=False)
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


@pytest.fixture(scope="module")
def still_home(
    tmp_path_factory: pytest.TempPathFactory, laid_out: Chain | None, enrolled: Enrolled
) -> Iterator[CloudHome]:
    home = CloudHome(tmp_path_factory.mktemp("still"), laid_out=laid_out)
    process = CloudProcess(home)

    async def prepare() -> None:
        await process.run()
        async with signed_in(home, enrolled):
            pass

    try:
        asyncio.run(prepare())
        yield home
    finally:
        process.kill()


@pytest.fixture
async def still_hq(still_home: CloudHome) -> AsyncIterator[Desk]:
    """Signed in."""
    async with desk(still_home) as opened:
        await opened.sign_in()
        yield opened


@pytest.fixture
async def still_visitor(still_home: CloudHome) -> AsyncIterator[PlainBrowser]:
    """Not signed in."""
    async with plain_browser(still_home) as opened:
        yield opened


@pytest.fixture
async def still_browser(still_visitor: PlainBrowser) -> PlainBrowser:
    """Signed in."""
    await still_visitor.sign_in()
    return still_visitor


@asynccontextmanager
async def signed_in(home: CloudHome, enrolled: Enrolled) -> AsyncIterator[Desk]:
    """Signed in, and has enrolled whom the desk is to enrol."""
    async with desk(home) as opened:
        await opened.sign_in()
        for branch, agent in enrolled:
            await opened.enrol(branch, agent)
        yield opened
