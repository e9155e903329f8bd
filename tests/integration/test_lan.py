"""The announcement of the staff side, heard by another host on a real wire."""

import json
import subprocess
import sys

import pytest

from tests.fakes.network import Host

_ANNOUNCE = """
import asyncio, sys
from edge_agent.adapters.lan import ZeroconfLan
own = {"address": sys.argv[1], "port": 8612}
if sys.argv[2] == "store":
    lan = ZeroconfLan.of_store(**own, branch="HARBOUR", agent="harbour-1")
else:
    lan = ZeroconfLan.of_new_box(**own, fingerprint="G1JA-366P")
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
import asyncio, json, sys
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
async def main():
    async with AsyncZeroconf(interfaces=[sys.argv[1]]) as zeroconf:
        changes = asyncio.Queue()
        def changed(zeroconf, service_type, name, state_change):
            changes.put_nowait((name, state_change))
        browser = AsyncServiceBrowser(zeroconf.zeroconf, "_beckon._tcp.local.", handlers=[changed])
        async with asyncio.timeout(60):
            while True:
                name, change = await changes.get()
                if change is ServiceStateChange.Removed:
                    print("gone", flush=True)
                    break
                info = AsyncServiceInfo("_beckon._tcp.local.", name)
                await info.async_request(zeroconf.zeroconf, 20_000)
                told = {key.decode(): value.decode() for key, value in info.properties.items()}
                where = [name, info.parsed_addresses()[0], info.port]
                print(json.dumps([*where, told]), flush=True)
        await browser.async_cancel()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("store", "harbour-1-HARBOUR", {"branch": "HARBOUR", "agent": "harbour-1", "path": "/till"}),
        ("new box", "beckon-g1ja-366p", {"state": "new", "fingerprint": "G1JA-366P"}),
    ],
)
def test_whoever_is_on_the_staff_network_finds_the_agent_and_sees_it_go(
    hosts: tuple[Host, Host], kind: str, name: str, told: dict[str, str]
) -> None:
    store, till = hosts
    announcing = subprocess.Popen(store.command(sys.executable, "-c", _ANNOUNCE, store.address, kind))
    browsing = subprocess.Popen(
        till.command(sys.executable, "-c", _BROWSE, till.address), stdout=subprocess.PIPE, text=True
    )
    try:
        assert browsing.stdout is not None
        found = json.loads(browsing.stdout.readline())
        assert found == [f"{name}._beckon._tcp.local.", store.address, 8612, told]
        announcing.terminate()
        assert browsing.stdout.readline().strip() == "gone"
    finally:
        for process in (announcing, browsing):
            process.kill()
            process.wait()
        if browsing.stdout is not None:
            browsing.stdout.close()
