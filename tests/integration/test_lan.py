"""The announcement of the staff side, heard by another host on a real wire."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.fakes.network import Host, two_hosts
from tests.needs import needs_command, needs_root

_ANNOUNCE = """
import asyncio, sys
from edge_agent.adapters.lan import ZeroconfLan
lan = ZeroconfLan.of_store(address=sys.argv[1], port=8612, branch="HARBOUR", agent="harbour-1")
async def main():
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(15, stop.set)
    task = asyncio.ensure_future(lan.announce())
    await stop.wait()
    task.cancel()
    await asyncio.wait([task])
asyncio.run(main())
"""
# Prints what is found, then "gone" once it is withdrawn.
_BROWSE = """
import asyncio, sys
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
async def main():
    async with AsyncZeroconf(interfaces=[sys.argv[1]]) as zeroconf:
        changes = asyncio.Queue()
        def changed(zeroconf, service_type, name, state_change):
            changes.put_nowait((name, state_change))
        browser = AsyncServiceBrowser(zeroconf.zeroconf, "_beckon._tcp.local.", handlers=[changed])
        async with asyncio.timeout(20):
            while True:
                name, change = await changes.get()
                if change is ServiceStateChange.Removed:
                    print("gone", flush=True)
                    break
                info = AsyncServiceInfo("_beckon._tcp.local.", name)
                await info.async_request(zeroconf.zeroconf, 3000)
                print(name, info.parsed_addresses()[0], info.port, info.properties[b"branch"].decode(), flush=True)
        await browser.async_cancel()
asyncio.run(main())
"""


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    needs_root()
    needs_command("ip")
    with two_hosts() as pair:
        yield pair


def test_a_till_on_the_staff_network_finds_the_agent_and_sees_it_go(hosts: tuple[Host, Host]) -> None:
    store, till = hosts
    announcing = subprocess.Popen(store.command(sys.executable, "-c", _ANNOUNCE, store.address))
    browsing = subprocess.Popen(
        till.command(sys.executable, "-c", _BROWSE, till.address), stdout=subprocess.PIPE, text=True
    )
    try:
        assert browsing.stdout is not None
        found = browsing.stdout.readline().split()
        assert found == ["harbour-1-HARBOUR._beckon._tcp.local.", store.address, "8612", "HARBOUR"]
        announcing.terminate()
        assert browsing.stdout.readline().strip() == "gone"
    finally:
        for process in (announcing, browsing):
            process.kill()
            process.wait()
        if browsing.stdout is not None:
            browsing.stdout.close()
