"""Events a second that HQ takes in over HTTP on one core: batches of 500, verified, validated, durable on SQLite.

Batches are made and signed beforehand; agents send theirs one after the other, all agents at once. HQ and the peer run
on one core, whoever sends on the others. Rounds alternate, and each goes on in the journals where the last one ended.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import uvloop

from cloud_api.adapters.packing import ZstdPacking
from engagement.estate.branch import Branch
from engagement.ids import AgentName, BranchCode
from engagement.journal.batch import Batch, encode_batch
from engagement.journal.entry import CHAIN_START, Entry
from engagement.journal.event import Lane
from engagement.journal.tip import Epoch
from engagement.line.addresses import BATCH_ENCODING, BATCH_TYPE, batches_path
from engagement.line.signature import sign_request
from tests.bench.result import Figure, against
from tests.fakes.cloud_process import CloudHome, CloudProcess, Desk, cloud, desk
from tests.fakes.hq import CHAIN, Chain, private_key
from tests.fakes.store_day import lane_entries

SIZE = 500
ROUNDS = 5
# More agents than HQ works on at once: one that waits for the disk holds up no other.
_AGENTS = 16
_BATCHES_EACH = 8
_SEED = 20261121
_EPOCH = Epoch("00ff12345678abcd")
# One round more than are measured, to warm up.
_ENTRIES = SIZE * _BATCHES_EACH * (ROUNDS + 1)
# A store's day with enough of both lanes for every agent's batches.
_SHOPPERS = {Lane.MONEY: 8400, Lane.ENGAGEMENT: 4800}
_PEER = "JSON rows, INSERT ... ON CONFLICT DO NOTHING"
_STARTS_WITHIN_S = 20.0


class Request(NamedTuple):
    url: str
    headers: dict[str, str]
    body: bytes


def measure() -> list[Figure]:
    figures = uvloop.run(_measure())
    return [
        against(f"ingest_{lane.value}_events_per_s", "1/s", ours, _PEER, theirs)
        for lane, (ours, theirs) in figures.items()
    ]


async def _measure() -> dict[Lane, tuple[list[float], list[float]]]:
    figures: dict[Lane, tuple[list[float], list[float]]] = {}
    with tempfile.TemporaryDirectory() as temporary, _cores() as server_core:
        home = CloudHome(Path(temporary), laid_out=_chain())
        async with _pinned_cloud(home, server_core), desk(home) as hq:
            await hq.sign_in()
            for number in range(_AGENTS):
                await hq.enrol(_branch(number), _agent(number))
            with _peer(home, server_core) as peer_port:
                peer_url = f"https://127.0.0.1:{peer_port}"
                for lane in (Lane.MONEY, Lane.ENGAGEMENT):
                    entries = lane_entries(lane, seed=_SEED, shoppers=_SHOPPERS[lane])
                    assert len(entries) >= _ENTRIES
                    ours: list[float] = []
                    theirs: list[float] = []
                    for number in range(ROUNDS + 1):
                        rates = (
                            await _rate(hq, _batches(home.url, entries, number)),
                            await _rate(hq, _rows(peer_url, entries, number)),
                        )
                        if number:
                            ours.append(rates[0])
                            theirs.append(rates[1])
                    figures[lane] = (ours, theirs)
    return figures


async def _rate(hq: Desk, agents: Sequence[Sequence[Request]]) -> float:
    """Events a second until the last answer."""

    async def send(requests: Sequence[Request]) -> None:
        for request in requests:
            async with hq.session.post(request.url, data=request.body, headers=request.headers) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"a batch was answered {answer.status}: {await answer.text()}")
                said = await answer.json()
            if said.get("refused") or said["ack"] % SIZE:
                raise RuntimeError(f"a batch was answered {said}")

    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for requests in agents:
            group.create_task(send(requests))
    return sum(map(len, agents)) * SIZE / (time.perf_counter() - began_s)


def _batches(url: str, entries: Sequence[Entry], number: int) -> list[list[Request]]:
    packing, kind = ZstdPacking(), {"Content-Type": BATCH_TYPE, "Content-Encoding": BATCH_ENCODING}
    return [
        [
            _signed(url + batches_path(batch.agent), batch.agent, packing.pack(encode_batch(batch)), kind)
            for batch in _cut(entries, _agent(each), number)
        ]
        for each in range(_AGENTS)
    ]


def _rows(url: str, entries: Sequence[Entry], number: int) -> list[list[Request]]:
    kind = {"Content-Type": "application/json"}
    return [
        [
            _signed(
                f"{url}/{batch.lane.value}/{batch.epoch}",
                batch.agent,
                b"[%b]" % b",".join(b"[%d,%b]" % (entry.seq, entry.body) for entry in batch.entries),
                kind,
            )
            for batch in _cut(entries, _agent(each), number)
        ]
        for each in range(_AGENTS)
    ]


def _cut(entries: Sequence[Entry], agent: AgentName, number: int) -> Iterator[Batch]:
    """What a round brings of one journal, which is the same for all agents."""
    began = number * SIZE * _BATCHES_EACH
    for start in range(began, began + SIZE * _BATCHES_EACH, SIZE):
        head = entries[start - 1].head if start else CHAIN_START
        yield Batch(agent, _EPOCH, entries[0].lane, start + 1, head, tuple(entries[start : start + SIZE]))


def _signed(url: str, agent: AgentName, body: bytes, kind: dict[str, str]) -> Request:
    signed = sign_request(
        "POST", url, body, keyid=agent, created_s=0, nonce="n", sign=private_key(agent).sign
    )
    return Request(url, signed | kind, body)


def _agent(number: int) -> AgentName:
    return AgentName(f"bench-{number}")


def _branch(number: int) -> BranchCode:
    return BranchCode(f"BENCH{number}")


def _chain() -> Chain:
    like = CHAIN.branches[0].model_dump(mode="json", exclude={"agents", "code"})
    branches = tuple(
        Branch.model_validate(
            {**like, "code": _branch(number), "agents": [{"name": _agent(number), "number": number + 1}]}
        )
        for number in range(_AGENTS)
    )
    return Chain(branches, CHAIN.campaigns)


@contextmanager
def _cores() -> Iterator[set[int]]:
    """The core of the servers; this process keeps to the others where there are any."""
    allowed = os.sched_getaffinity(0)
    server_core = {max(allowed)}
    os.sched_setaffinity(0, allowed - server_core or allowed)
    try:
        yield server_core
    finally:
        os.sched_setaffinity(0, allowed)


@asynccontextmanager
async def _pinned_cloud(home: CloudHome, core: set[int]) -> AsyncIterator[CloudProcess]:
    async with cloud(home, is_warm=False) as process:
        assert process.process is not None
        for thread in os.listdir(f"/proc/{process.process.pid}/task"):
            os.sched_setaffinity(int(thread), core)
        yield process


@contextmanager
def _peer(home: CloudHome, core: set[int]) -> Iterator[int]:
    """Its port."""
    port = home.port + 1
    command = [
        *(sys.executable, "-m", "tests.bench.row_ingest", "--port", str(port)),
        *("--database", str(home.folder / "peer.db")),
        *("--certificate", str(home.folder / "server.pem"), "--key", str(home.folder / "server-key.pem")),
    ]
    peer = subprocess.Popen(command)
    os.sched_setaffinity(peer.pid, core)
    try:
        deadline_s = time.monotonic() + _STARTS_WITHIN_S
        while not _listens(port):
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"the peer did not start: exit code {peer.poll()}")
            time.sleep(0.01)
        yield port
    finally:
        peer.terminate()
        peer.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
