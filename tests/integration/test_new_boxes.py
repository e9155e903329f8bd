"""New boxes as the desk finds them on a real wire: those in setup mode alone, with what they say of themselves."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.fakes.network import Host
from tests.needs import needs_command, needs_root

_ANNOUNCE = """
import asyncio, sys
from edge_agent.adapters.lan import ZeroconfLan
address, new, *odd = sys.argv[1:]
async def main():
    lans = [ZeroconfLan.of_new_box(address=address, port=8612, fingerprint=new)]
    lans.append(ZeroconfLan.of_store(address=address, port=8613, branch="HARBOUR", agent="harbour-1"))
    lans += [ZeroconfLan(address=address, port=8614, name=f"odd-{n}", told=dict([pair.split("=")]))
             for n, pair in enumerate(odd)]
    print("ready", flush=True)
    await asyncio.gather(*(lan.announce() for lan in lans))
asyncio.run(main())
"""
# Prints what is found, until it is told to look no more.
_FIND = """
import asyncio, sys
from provisioning.adapters.lan import find_new_boxes
for line in sys.stdin:
    for box in asyncio.run(find_new_boxes(listens_s=float(line))):
        print(box, box.fingerprint, flush=True)
    print("done", flush=True)
"""


@contextmanager
def running(host: Host, code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        host.command(sys.executable, "-c", code, *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()


def found(desk: subprocess.Popen[str], *, listens_s: float) -> Sequence[str]:
    assert desk.stdin is not None
    assert desk.stdout is not None
    desk.stdin.write(f"{listens_s}\n")
    desk.stdin.flush()
    return list(iter(lambda: desk.stdout.readline().strip(), "done"))  # type: ignore[union-attr]


def test_a_machine_without_a_network_is_told() -> None:
    needs_root()
    needs_command("unshare")
    look = (
        "import asyncio; from provisioning.adapters.lan import find_new_boxes; asyncio.run(find_new_boxes())"
    )
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", look], capture_output=True, text=True, timeout=60
    )
    assert "WorkFailed: cannot listen for boxes on the network" in done.stderr
    assert "--at HOST:PORT" in done.stderr


def test_only_new_boxes_are_found_and_nothing_where_there_is_none(hosts: tuple[Host, Host]) -> None:
    store, desk_host = hosts
    with ExitStack() as stack:
        desk = stack.enter_context(running(desk_host, _FIND))
        assert found(desk, listens_s=0.5) == []
        odd = ("state=new", "fingerprint=AAAA-BBBB", "state=else", "fingerprint=\x1b[2J")
        stack.enter_context(running(store, _ANNOUNCE, store.address, "W328-MVJD", *odd))
        # Once more when the others, which begin at the same time, have long been announced.
        for listens_s in (1.0, 3.0):
            looks = (found(desk, listens_s=listens_s) for _ in range(20))
            assert next(filter(None, looks), []) == [f"{store.address}:8612 W328-MVJD"]
