"""Jobs and listeners as blocks: they run while the block does, and are over when it ends."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web, web_response

# Open requests may finish this long after the stop; systemd and `beckon up` allow 20 s in all.
_REQUESTS_S_MAX = 3.0
# Tills that come back in the same instant wait in the kernel, not at our door.
_BACKLOG = 4096
# What answers call their server. The library would name itself and Python with their versions, which helps attackers alone.
_SERVER = "Beckon"


@asynccontextmanager
async def at_work(
    group: asyncio.TaskGroup, jobs: dict[str, Coroutine[Any, Any, None]]
) -> AsyncIterator[None]:
    tasks = [group.create_task(job, name=name) for name, job in jobs.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def set_up_runner(stack: AsyncExitStack, app: web.Application, *, idle_s_max: float) -> web.AppRunner:
    """Ready to be given a place to listen; cleaned up with the stack."""
    # The library has no setting for it, and answers broken requests itself, where no middleware or signal is asked.
    vars(web_response)["SERVER_SOFTWARE"] = _SERVER
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=_REQUESTS_S_MAX, keepalive_timeout=idle_s_max
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


async def listen_on(runner: web.AppRunner, address: str, port: int, context: ssl.SSLContext) -> None:
    """Errors: OSError when the port is taken."""
    await web.TCPSite(runner, address, port, ssl_context=context, backlog=_BACKLOG).start()
