"""The line between a store and HQ: bytes that are lost, late, doubled and overtaken, and days without any.

Every request is encoded and signed as on the real line, and every answer read back from JSON.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from pydantic import BaseModel

from cloud_api.adapters.http.problems import as_problem
from cloud_api.adapters.packing import ZstdPacking
from edge_agent.ports import (
    BatchDiverged,
    BatchRefused,
    Desk,
    HqDoor,
    LeaseRefused,
    LineBusy,
    LineDown,
    LineGap,
    LineRefused,
    Treasury,
    Uplink,
)
from engagement.ids import AgentName
from engagement.journal.batch import Batch, encode_batch
from engagement.line.addresses import batches_path, bundle_path, leases_path, reports_path
from engagement.line.answers import AgentReport, BatchAnswer, EnrolmentAnswer, EnrolmentRequest, ReportAnswer
from engagement.line.signature import demand_digest, sign_request
from engagement.rights.messages import LeaseAnswer, LeaseRequest
from tests.fakes.hq import private_key
from tests.simulation.chain.hq import HqProcess, SimHq

_HQ_URL: Final = "https://hq.test"
# As long as the real client waits for an answer.
_ANSWER_S_MAX: Final = 30.0
_LATE_S_MAX: Final = 900.0
_AGAIN_MS: Final = 60_000
_OF_THE_LEASE: Final = ("rights_went_back", "lease_written_off")
_BUSY: Final = (429, 503)
_NOT_THIS_AGENT: Final = (401, 403, 404)
_SLOT_MS_DEFAULT: Final = 5000

Serve = Callable[[HqProcess, str, dict[str, str], bytes], Awaitable[str]]


@dataclass
class Wire(Uplink, Desk, Treasury):
    """``badness``: how likely each mishap is; ``is_cut``: nothing passes at all."""

    agent: AgentName
    hq: SimHq
    dice: Random
    badness: float = 0.0
    is_cut: bool = False
    nonces: int = 0

    async def ship(self, batch: Batch) -> BatchAnswer:
        body = ZstdPacking().pack(encode_batch(batch))
        answer = await self._exchange("POST", batches_path(self.agent), body, _take_batch)
        return BatchAnswer.model_validate_json(answer)

    async def report(self, report: AgentReport) -> ReportAnswer:
        body = report.model_dump_json().encode()
        answer = await self._exchange("POST", reports_path(self.agent), body, _take_report)
        # As an HQ of thousands of stores would pace them.
        return ReportAnswer.model_validate_json(answer).model_copy(update={"again_ms": _AGAIN_MS})

    async def bundle(self) -> str:
        return await self._exchange("GET", bundle_path(self.agent), b"", _give_bundle)

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        body = request.model_dump_json().encode()
        answer = await self._exchange("POST", leases_path(self.agent), body, _take_lease)
        return LeaseAnswer.model_validate_json(answer)

    async def enrol(self, request: EnrolmentRequest, door: HqDoor | None) -> EnrolmentAnswer:
        raise LineDown("these agents were enrolled before")

    async def _exchange(self, method: str, path: str, body: bytes, serve: Serve) -> str:
        """The answer's text. Errors: as the real client's."""
        self.nonces += 1
        headers = sign_request(
            method,
            _HQ_URL + path,
            body,
            keyid=self.agent,
            created_s=0,
            nonce=f"n{self.nonces}",
            sign=private_key(self.agent).sign,
        )
        sent = _Sent(self.hq, method, _HQ_URL + path, headers, body, serve)
        await self._travel()
        if self._happens():
            self._deliver_late(sent)
        await self._pass("no answer in time")
        answer = await sent.deliver()
        await self._travel()
        await self._pass("the answer was lost")
        return answer

    async def _pass(self, cause: str) -> None:
        """Errors: LineDown when what is on the wire gets lost, as the real client finds out."""
        if self.is_cut or self._happens():
            await asyncio.sleep(_ANSWER_S_MAX)
            raise LineDown(cause)

    def _deliver_late(self, sent: "_Sent") -> None:
        """A copy that overtakes nothing, but comes when nobody expects it any more."""

        async def come_late() -> None:
            await asyncio.sleep(self.dice.random() * _LATE_S_MAX)
            with suppress(
                LineDown, LineBusy, LineGap, LineRefused, BatchRefused, BatchDiverged, LeaseRefused
            ):
                await sent.deliver()

        self.hq.strays.add(asyncio.get_running_loop().create_task(come_late()))

    def _happens(self) -> bool:
        return self.dice.random() < self.badness

    async def _travel(self) -> None:
        await asyncio.sleep(self.dice.random() * 0.3)


@dataclass(frozen=True)
class _Sent:
    """One request on the wire; it may be delivered more than once."""

    hq: SimHq
    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    serve: Serve

    async def deliver(self) -> str:
        """Errors: as the real client makes them of HQ's answers."""

        async def work(process: HqProcess) -> str:
            with process.ingesting.a_reading(self.method, self.url, self.headers) as sender:
                demand_digest(self.headers, self.body)
            return await self.serve(process, sender, self.headers, self.body)

        try:
            return await self.hq.ask(work)
        except LineDown:
            raise
        except Exception as error:
            raise _trouble(error) from error


def _trouble(error: Exception) -> Exception:
    """What the real client makes of HQ's refusal; the error itself where HQ would have answered that it is broken."""
    problem = as_problem(error)
    if problem is None:
        return error
    code, because = problem.code, problem.detail
    if problem.status in _BUSY:
        return LineBusy(problem.more.get("slot_ms", _SLOT_MS_DEFAULT))
    if code in _OF_THE_LEASE:
        return LeaseRefused(code, because)
    if problem.status in _NOT_THIS_AGENT:
        return LineRefused(code, because)
    if code == "gap":
        return LineGap(problem.more["expected"])
    return BatchDiverged(because) if code == "diverged" else BatchRefused(code, because)


def _text(answer: BaseModel) -> str:
    return answer.model_dump_json()


async def _take_batch(process: HqProcess, sender: str, headers: dict[str, str], body: bytes) -> str:
    with process.ingesting.a_place():
        return _text(await process.ingesting.take(AgentName(sender), body))


async def _take_report(process: HqProcess, sender: str, headers: dict[str, str], body: bytes) -> str:
    report = AgentReport.model_validate_json(body)
    return _text(await process.reporting.take(AgentName(sender), report))


async def _give_bundle(process: HqProcess, sender: str, headers: dict[str, str], body: bytes) -> str:
    return await process.bundling.sealed(AgentName(sender))


async def _take_lease(process: HqProcess, sender: str, headers: dict[str, str], body: bytes) -> str:
    request = LeaseRequest.model_validate_json(body)
    return _text(await process.lending.lease(AgentName(sender), request, body))
