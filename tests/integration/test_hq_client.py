"""The line to HQ over real TLS: what arrives is signed and whole, and whatever answers is bounded and understood."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard
from aiohttp import web

from edge_agent.adapters.entropy import SystemEntropy
from edge_agent.adapters.hq_client import HqClient, open_hq_client
from edge_agent.adapters.link_key import LinkKey, load_link_key
from edge_agent.adapters.tls import CertificateRefused
from edge_agent.ports import (
    BatchDiverged,
    BatchRefused,
    LineBusy,
    LineDown,
    LineGap,
    LineRefused,
)
from engagement.clock.moment import Moment
from engagement.ids import AgentName
from engagement.journal.batch import Batch, encode_batch
from engagement.journal.entry import CHAIN_START
from engagement.journal.tip import EMPTY, Epoch, extend
from engagement.line.answers import BatchAnswer, EnrolmentRequest
from engagement.line.claim import make_claim, request_mac
from provisioning.adapters.certificates import ensure_certificates
from tests.fakes.hq_server import Server, serving
from tests.fakes.ledger import HandClock, moment, played

AGENT = AgentName("harbour 1 é")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def batch_of(count: int = 3, first: int = 1) -> Batch:
    _, entries = extend(EMPTY, [played(play) for play in range(first + count - 1)])
    head = entries[first - 2].head if first > 1 else CHAIN_START
    return Batch(AGENT, Epoch("0123456789abcdef"), entries[0].lane, first, head, entries[first - 1 :])


class DoubtfulClock(HandClock):
    """Nobody vouches for it."""

    def now(self) -> Moment:
        return moment(self.wall_ms).model_copy(update={"error_ms": 300_000})


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> LinkKey:
    return load_link_key(tmp_path_factory.mktemp("key") / "link-key.json", SystemEntropy())


def certificates(folder: Path, now: datetime) -> Path:
    folder.mkdir(exist_ok=True)
    ensure_certificates(folder, portal_name="hq.test", now=now)
    return folder


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("tls"), datetime.now(UTC))


@asynccontextmanager
async def calling(
    server: Server, key: LinkKey, ca_file: Path, clock: HandClock | None = None
) -> AsyncIterator[HqClient]:
    async with open_hq_client(
        hq_url=server.url,
        ca_file=ca_file,
        agent=AGENT,
        enrolment=lambda: None,
        clock=clock or HandClock(),
        entropy=SystemEntropy(),
        sign=key.sign,
    ) as client:
        yield client


@pytest.fixture
async def server(valid: Path, key: LinkKey) -> AsyncIterator[Server]:
    async with serving(valid, key.public) as opened:
        yield opened


@pytest.fixture
async def client(server: Server, valid: Path, key: LinkKey) -> AsyncIterator[HqClient]:
    async with calling(server, key, valid / "ca.pem") as opened:
        yield opened


async def test_batches_arrive_signed_and_whole_over_one_connection(server: Server, client: HqClient) -> None:
    batch = batch_of(500)
    assert (await client.ship(batch)).ack == 500
    for _ in range(5):
        assert (await client.ship(batch)).ack == 500
    (stream,) = server.hq.streams.values()
    assert stream == list(batch.entries)
    assert len(server.connections) == 1
    assert server.signers == [AGENT] * 6


async def test_an_enrolment_goes_there_and_back(server: Server, client: HqClient, key: LinkKey) -> None:
    claim = make_claim(bytes(range(15)))
    server.hq.claims[claim.id] = (claim, AGENT)
    nonce = bytes(16)
    request = EnrolmentRequest(
        claim_id=claim.id,
        agent_public_key_hex=key.public.hex(),
        nonce_hex=nonce.hex(),
        mac_hex=request_mac(claim, public_key=key.public, nonce=nonce).hex(),
    )
    assert (await client.enrol(request, None)).agent == AGENT
    server.says(409, {"status": 409, "code": "claim_used"})
    with pytest.raises(LineRefused) as refused:
        await client.enrol(request, None)
    assert refused.value.code == "claim_used"


async def test_a_gap_names_what_hq_waits_for(server: Server, client: HqClient) -> None:
    server.says(409, {"status": 409, "code": "gap", "expected": 7})
    with pytest.raises(LineGap) as gap:
        await client.ship(batch_of())
    assert gap.value.expected == 7


@pytest.mark.parametrize(
    ("status", "document", "error"),
    [
        (409, {"status": 409, "code": "diverged", "ack": 9}, BatchDiverged),
        (400, {"status": 400, "code": "malformed_batch"}, BatchRefused),
        (413, {"status": 413, "code": "too_large"}, BatchRefused),
        (401, {"status": 401, "code": "agent_unknown"}, LineRefused),
        (403, {"status": 403, "code": "agent_revoked"}, LineRefused),
        (429, {"status": 429, "code": "overloaded", "slot_ms": 1}, LineBusy),
        (503, "the proxy is busy", LineBusy),
        (429, {"status": 429, "code": "overloaded", "slot_ms": 10**12}, LineBusy),
        (500, {"status": 500, "code": "internal"}, LineDown),
        (408, {"status": 408, "code": "too_slow"}, LineDown),
        (502, "<html>bad gateway</html>", LineDown),
        (404, "<html>no such page</html>", LineDown),
        (302, "", LineDown),
        (200, "<html>log in to the hotel's Wi-Fi</html>", LineDown),
        (200, {"ack": -1}, LineDown),
        (200, {"ack": 1, "slot_ms": 10**12}, LineDown),
        (200, "x" * 400_000, LineDown),
    ],
)
async def test_every_answer_is_understood_as_what_it_means(
    status: int, document: object, error: type[Exception], server: Server, client: HqClient
) -> None:
    server.says(status, document)
    with pytest.raises(error):
        await client.ship(batch_of())
    server.answer = None
    assert (await client.ship(batch_of())).ack == 3


async def test_busy_for_how_long_is_hqs_word_or_ours(server: Server, client: HqClient) -> None:
    overloaded = {"status": 429, "code": "overloaded", "slot_ms": 1234}
    for document, slot_ms, is_hqs_word in ((overloaded, 1234, True), ("", 5000, False)):
        server.says(429, document)
        with pytest.raises(LineBusy) as busy:
            await client.ship(batch_of())
        assert (busy.value.slot_ms, busy.value.is_hqs_word) == (slot_ms, is_hqs_word)


async def test_an_older_hq_gets_all_names_spelt_out(server: Server, client: HqClient) -> None:
    sent: list[bytes] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        sent.append(zstandard.ZstdDecompressor().decompress(await request.read(), max_output_size=10**6))
        if len(sent) == 1:
            return web.json_response({"status": 400, "code": "unknown_vocabulary"}, status=400)
        return web.json_response({"ack": 3})

    server.answer = answer
    for _ in range(2):
        assert await client.ship(batch_of()) == BatchAnswer(ack=3)
    numbered, spelt = encode_batch(batch_of()), encode_batch(batch_of(), by_name=True)
    assert sent == [numbered, spelt, spelt]


async def test_a_journal_that_does_not_hold_together_is_not_sent(server: Server, client: HqClient) -> None:
    good = batch_of()
    bad = Batch(AGENT, good.epoch, good.lane, 1, bytes(31) + b"x", good.entries)
    with pytest.raises(BatchRefused, match="journal_damaged"):
        await client.ship(bad)
    assert server.connections == set()


async def test_hq_restarting_in_the_middle_is_a_line_that_is_down(server: Server, client: HqClient) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        await asyncio.Event().wait()
        raise AssertionError

    await client.ship(batch_of())
    server.answer = hang_up
    with pytest.raises(LineDown):
        await client.ship(batch_of())
    server.answer = None
    assert (await client.ship(batch_of(5))).ack == 5


async def test_nobody_listening_is_a_line_that_is_down(valid: Path, key: LinkKey) -> None:
    async with serving(valid, key.public) as server:
        pass
    async with calling(server, key, valid / "ca.pem") as client:
        with pytest.raises(LineDown):
            await client.ship(batch_of())


async def test_an_hq_of_another_authority_gets_nothing(server: Server, tmp_path: Path, key: LinkKey) -> None:
    other = certificates(tmp_path / "other", datetime.now(UTC))
    for clock in (HandClock(), DoubtfulClock()):
        async with calling(server, key, other / "ca.pem", clock) as client:
            with pytest.raises(LineDown):
                await client.ship(batch_of())
    assert server.connections == set()


@pytest.mark.parametrize("years", [-30, 5])
async def test_a_certificate_out_of_its_time_is_taken_only_while_our_clock_is_in_doubt(
    years: int, tmp_path: Path, key: LinkKey
) -> None:
    """As seen by a clock that is wrong by years: the machine's own cannot be set in a test, so the certificate is."""
    folder = certificates(tmp_path / "tls", datetime.now(UTC) + timedelta(days=365 * years))
    async with serving(folder, key.public) as server:
        async with calling(server, key, folder / "ca.pem", HandClock()) as sure:
            with pytest.raises(LineDown):
                await sure.ship(batch_of())
        async with calling(server, key, folder / "ca.pem", DoubtfulClock()) as unsure:
            assert (await unsure.ship(batch_of())).ack == 3


async def test_an_authority_file_that_is_none_is_refused_with_its_key(
    server: Server, tmp_path: Path, key: LinkKey
) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    for wrong in (path, tmp_path / "missing.pem"):
        with pytest.raises(CertificateRefused, match="hq_ca_file"):
            async with calling(server, key, wrong):
                pass


NONSENSE = [
    b"\x00" * 5000,
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nContent-Length: -9\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 99999 x\r\n\r\n",
    b"",
]


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_why_a_line_is_down_is_told_in_a_line_without_what_was_sent(
    nonsense: bytes, valid: Path, key: LinkKey
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(nonsense)
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(valid / "server.pem", valid / "server-key.pem")
    listener = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        async with calling(Server(f"https://127.0.0.1:{port}", None), key, valid / "ca.pem") as client:
            with pytest.raises(LineDown) as down:
                await client.ship(batch_of())
    assert down.value.cause in ("something answered that is not HQ", "the connection broke off")


async def test_a_certificate_that_is_not_hqs_is_told_as_such(
    server: Server, tmp_path: Path, key: LinkKey
) -> None:
    other = certificates(tmp_path / "other", datetime.now(UTC))
    async with calling(server, key, other / "ca.pem") as client:
        with pytest.raises(LineDown) as down:
            await client.ship(batch_of())
    assert down.value.cause.startswith("what answers shows a certificate that is not HQ's: ")
