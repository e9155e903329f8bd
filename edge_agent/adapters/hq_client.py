"""The line to HQ over HTTPS: one connection that is kept, signed requests, and a bound on everything that comes back.

Where HQ is, and whom to believe, the settings may say; otherwise the enrolment does, and before it the claim code. Who HQ is
then, hq_trust decides.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError
from yarl import URL

from edge_agent.adapters.hq_trust import HqTrust, root_behind
from edge_agent.ports import (
    BatchDiverged,
    BatchRefused,
    Clock,
    Desk,
    Entropy,
    HqDoor,
    LeaseRefused,
    LineBusy,
    LineDown,
    LineGap,
    LineRefused,
    Treasury,
    Uplink,
)
from edge_agent.services.line import Enrolment
from engagement.ids import AgentName
from engagement.journal.batch import Batch, encode_batch
from engagement.journal.malformed import MalformedBatch
from engagement.line.addresses import (
    BATCH_ENCODING,
    BATCH_TYPE,
    BUNDLE_BYTES_MAX,
    ENROLMENTS_PATH,
    batches_path,
    bundle_path,
    leases_path,
    reports_path,
)
from engagement.line.answers import (
    AgentReport,
    BatchAnswer,
    EnrolmentAnswer,
    EnrolmentRequest,
    LineProblem,
    ReportAnswer,
)
from engagement.line.signature import sign_request
from engagement.rights.messages import LeaseAnswer, LeaseRequest

A = TypeVar("A", bound=BaseModel)

# A satellite line answers within 2 s; HQ's own work on a batch takes milliseconds.
_CONNECT_S_MAX: Final = 10.0
_ANSWER_S_MAX: Final = 30.0
# The largest bundle over a line of 256 kbit/s; meanwhile what else is said waits its turn, and is said again.
_BUNDLE_S_MAX: Final = 300.0
# Below the 75 s after which aiohttp's server drops a quiet connection: so that we never write into one that is going.
_KEEP_ALIVE_S: Final = 60.0
# All other answers are small.
_ANSWER_BYTES_MAX: Final = BUNDLE_BYTES_MAX
# A sentence of the system's own, with an address in it.
_CAUSE_CHARS_MAX: Final = 200
_JSON: Final = {"Content-Type": "application/json"}
# Level 3 packs 500 events in under a millisecond; higher ones gain a few percent.
_ZSTD_LEVEL: Final = 3
# A clock that is synchronised is known better than this (Linux NTP_PHASE_LIMIT); any other may show any year.
_CLOCK_DOUBT_MS: Final = 16_000
_BUSY: Final = (429, 503)
_TOO_SLOW: Final = 408
_NOT_THIS_AGENT: Final = (401, 403, 404)
# By a busy HQ, or a proxy before it, that names no time.
_SLOT_MS_DEFAULT: Final = 5000
_DIVERGED, _GAP, _UNKNOWN_VOCABULARY = "diverged", "gap", "unknown_vocabulary"


@asynccontextmanager
async def open_hq_client(
    *,
    hq_url: str | None,
    ca_file: Path | None,
    agent: AgentName | None,
    enrolment: Callable[[], Enrolment | None],
    clock: Clock,
    entropy: Entropy,
    sign: Callable[[bytes], bytes],
) -> "AsyncIterator[HqClient]":
    """``hq_url`` and ``ca_file``: the settings', which outrank what ``enrolment`` answers with. ``agent``: its name, None
    while only an enrolment will tell. ``sign``: Ed25519 by the key that was enrolled.

    Errors: CertificateRefused when ``ca_file`` cannot be used.
    """
    trust = HqTrust(ca_file)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=_KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},  # nothing to unpack, so nothing that unpacks without end
    )
    async with session:
        yield HqClient(session, hq_url, agent, enrolment, clock, entropy, sign, trust)


class HqClient(Uplink, Desk, Treasury):
    """Made by open_hq_client()."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        hq_url: str | None,
        agent: AgentName | None,
        enrolment: Callable[[], Enrolment | None],
        clock: Clock,
        entropy: Entropy,
        sign: Callable[[bytes], bytes],
        trust: HqTrust,
    ) -> None:
        self._session = session
        self._hq_url = hq_url
        self._agent_before = agent
        self._enrolment = enrolment
        self._clock = clock
        self._entropy = entropy
        self._sign = sign
        self._trust = trust
        # HQ's version decides, and only an upgrade of HQ changes that: asked again at every start.
        self._by_name = False

    @property
    def _agent(self) -> AgentName:
        """Errors: LineDown while it has no name."""
        enrolment = self._enrolment()
        agent = self._agent_before if enrolment is None else enrolment.agent
        if agent is None:
            raise LineDown("this mini-PC is not enrolled")
        return agent

    @property
    def _root_pem(self) -> str:
        enrolment = self._enrolment()
        return "" if enrolment is None else enrolment.root_pem

    def _base_url(self, door: HqDoor | None = None) -> str:
        """As a server sees it: what is signed is the address that HQ puts together again. Errors: LineDown."""
        enrolment = self._enrolment()
        if self._hq_url is not None:
            url = self._hq_url
        elif door is not None:
            url = f"https://{door.address}"
        elif enrolment is not None and enrolment.hq_url:
            url = enrolment.hq_url
        else:
            raise LineDown("neither the claim code nor the setting hq_url says where HQ is")
        return url.lower().removesuffix(":443")

    async def ship(self, batch: Batch) -> BatchAnswer:
        try:
            return await self._ship(batch)
        except BatchRefused as refused:
            if refused.code != _UNKNOWN_VOCABULARY or self._by_name:
                raise
            self._by_name = True
            return await self._ship(batch)

    async def _ship(self, batch: Batch) -> BatchAnswer:
        try:
            body = _packed(encode_batch(batch, by_name=self._by_name))
        except MalformedBatch as malformed:
            raise BatchRefused("journal_damaged", str(malformed)) from malformed
        status, answer = await self._ask(
            "POST",
            batches_path(self._agent),
            body,
            {"Content-Type": BATCH_TYPE, "Content-Encoding": BATCH_ENCODING},
        )
        if status == 200:
            return _read(BatchAnswer, answer)
        raise _batch_trouble(status, answer)

    async def enrol(self, request: EnrolmentRequest, door: HqDoor | None) -> EnrolmentAnswer:
        url = self._base_url(door)
        if door is None or self._trust.is_by_file:
            root_pem = self._root_pem
        else:
            root_pem = await root_behind(url, door.root_fingerprint)
        body = request.model_dump_json().encode()
        status, answer = await self._send("POST", url + ENROLMENTS_PATH, body, _JSON, root_pem=root_pem)
        if status == 200:
            return _read(EnrolmentAnswer, answer)
        raise _refusal(_problem(status, answer))

    async def report(self, report: AgentReport) -> ReportAnswer:
        status, answer = await self._ask(
            "POST", reports_path(self._agent), report.model_dump_json().encode(), _JSON
        )
        if status == 200:
            return _read(ReportAnswer, answer)
        raise _refusal(_problem(status, answer))

    async def bundle(self) -> str:
        path = bundle_path(self._agent)
        status, answer = await self._ask("GET", path, b"", {}, answer_s_max=_BUNDLE_S_MAX)
        if status == 200:
            return answer.decode(errors="replace")  # what is no UTF-8 breaks the seal
        raise _refusal(_problem(status, answer))

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        status, answer = await self._ask(
            "POST", leases_path(self._agent), request.model_dump_json().encode(), _JSON
        )
        if status == 200:
            return _read(LeaseAnswer, answer)
        problem = _problem(status, answer)
        if status in _NOT_THIS_AGENT:
            raise _refusal(problem)
        raise LeaseRefused(problem.code, problem.detail)

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        *,
        answer_s_max: float = _ANSWER_S_MAX,
    ) -> tuple[int, bytes]:
        """A signed request. Status and body of the answer. Errors: LineDown."""
        url = self._base_url() + path
        signed = sign_request(
            method,
            url,
            body,
            keyid=self._agent,
            created_s=self._clock.now().wall_ms // 1000,
            nonce=self._entropy.token(16).hex(),
            sign=self._sign,
        )
        return await self._send(
            method, url, body, signed | headers, root_pem=self._root_pem, answer_s_max=answer_s_max
        )

    async def _send(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: dict[str, str],
        *,
        root_pem: str,
        answer_s_max: float = _ANSWER_S_MAX,
    ) -> tuple[int, bytes]:
        """Status and body of the answer. Errors: LineDown."""

        async def exchange() -> tuple[int, bytes]:
            is_clock_known = self._clock.now().error_ms <= _CLOCK_DOUBT_MS
            async with self._session.request(
                method,
                URL(url, encoded=True),
                data=body or None,
                headers=headers,
                ssl=self._trust.context(root_pem, is_clock_known=is_clock_known),
                timeout=aiohttp.ClientTimeout(total=answer_s_max, sock_connect=_CONNECT_S_MAX),
                allow_redirects=False,
            ) as response:
                return response.status, await _limited(response)

        try:
            try:
                return await exchange()
            except aiohttp.ClientConnectorCertificateError:
                if not await self._trust.has_reissued(url, root_pem):
                    raise
                return await exchange()
        except TimeoutError as failure:
            raise LineDown("HQ did not answer in time") from failure
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            raise LineDown(_plainly(failure)) from failure


def _plainly(failure: Exception) -> str:
    """For the person who reads it in the store: one short line, and nothing of what a stranger sent."""
    match failure:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(failure.certificate_error, "verify_message", "")
            return f"what answers shows a certificate that is not HQ's{why and f': {why}'}"
        case aiohttp.ClientResponseError():
            return "something answered that is not HQ"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "the connection broke off"
    (line, *_) = str(failure).splitlines() or [type(failure).__name__]
    return line[:_CAUSE_CHARS_MAX]


def _packed(data: bytes) -> bytes:
    import zstandard  # 2 MB that an agent without HQ does not need

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(data)


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > _ANSWER_BYTES_MAX:
            raise LineDown(f"the answer is longer than {_ANSWER_BYTES_MAX} bytes, so it is not HQ's")
    return bytes(data)


def _read(model: type[A], answer: bytes) -> A:
    try:
        return model.model_validate_json(answer)
    except ValidationError as error:
        raise LineDown("something answered that is not HQ") from error


def _problem(status: int, answer: bytes) -> LineProblem:
    """The problem that HQ answered with. Errors: LineDown when it is none of HQ's; LineBusy."""
    try:
        problem = LineProblem.model_validate_json(answer)
    except ValidationError as error:
        if status in _BUSY:
            raise LineBusy(_SLOT_MS_DEFAULT, is_hqs_word=False) from error
        raise LineDown(f"HTTP status {status} from something that is not HQ") from error
    if status in _BUSY:
        raise LineBusy(problem.slot_ms if problem.slot_ms is not None else _SLOT_MS_DEFAULT)
    if status >= 500 or status == _TOO_SLOW:
        raise LineDown(f"HQ could not answer: {problem.code}")
    return problem


def _refusal(problem: LineProblem) -> LineRefused:
    return LineRefused(problem.code, problem.detail)


def _batch_trouble(status: int, answer: bytes) -> Exception:
    """What HQ's refusal of a batch means. Errors: as _problem()."""
    problem = _problem(status, answer)
    if status in _NOT_THIS_AGENT:
        return _refusal(problem)
    if problem.code == _GAP and problem.expected is not None:
        return LineGap(problem.expected)
    if problem.code == _DIVERGED:
        return BatchDiverged(problem.detail)
    return BatchRefused(problem.code, problem.detail)
