"""Whom a new mini-PC takes for HQ: whoever descends from the root that its claim code names, whatever the clock says."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import DER_cert_to_PEM_cert, PEM_cert_to_DER_cert
from typing import Any

import pytest
import uvloop

from edge_agent.adapters.entropy import SystemEntropy
from edge_agent.adapters.hq_client import HqClient, open_hq_client
from edge_agent.adapters.link_key import LinkKey, load_link_key
from edge_agent.ports import HqDoor, LineDown
from edge_agent.services.line import Enrolment
from engagement.clock.moment import Moment
from engagement.ids import AgentName
from engagement.line.answers import EnrolmentAnswer, EnrolmentRequest
from engagement.line.certificates import root_fingerprint
from engagement.line.claim import claim_for, claim_text, make_claim, parse_claim, request_mac
from provisioning.adapters.certificates import ensure_certificates
from tests.fakes.hq_server import Server, serving
from tests.fakes.ledger import HandClock, moment

AGENT = AgentName("harbour-1")
CLAIM = make_claim(bytes(range(15)))
_LIFE = timedelta(days=365)


class DoubtfulClock(HandClock):
    """Nobody vouches for it."""

    def now(self) -> Moment:
        return moment(self.wall_ms).model_copy(update={"error_ms": 300_000})


def tls_folder(folder: Path, *, made_at: datetime | None = None) -> Path:
    folder.mkdir()
    ensure_certificates(folder, portal_name="hq.test", now=made_at or datetime.now(UTC))
    return folder


def root_pem(folder: Path) -> str:
    return (folder / "ca.pem").read_text(encoding="ascii")


def door_of(server: Server, folder: Path) -> HqDoor:
    return HqDoor(server.url.removeprefix("https://"), root_fingerprint(root_pem(folder)))


@asynccontextmanager
async def new_box(
    folder: Path, *, enrolled: Enrolment | None = None, clock: HandClock | None = None
) -> AsyncIterator[tuple[HqClient, LinkKey]]:
    """Its settings say nothing of HQ."""
    key = load_link_key(folder / "link-key.json", SystemEntropy())
    async with open_hq_client(
        hq_url=None,
        ca_file=None,
        agent=None,
        enrolment=lambda: enrolled,
        clock=clock or HandClock(),
        entropy=SystemEntropy(),
        sign=key.sign,
    ) as client:
        yield client, key


async def enrol(client: HqClient, key: LinkKey, door: HqDoor | None) -> EnrolmentAnswer:
    request = EnrolmentRequest(
        claim_id=CLAIM.id,
        agent_public_key_hex=key.public.hex(),
        nonce_hex=bytes(16).hex(),
        mac_hex=request_mac(CLAIM, public_key=key.public, nonce=bytes(16)).hex(),
    )
    return await client.enrol(request, door)


def asyncio_run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    import asyncio

    asyncio.run(story())


def uvloop_run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    uvloop.run(story())


@pytest.mark.parametrize("run", [asyncio_run, uvloop_run])
def test_a_claim_codes_fingerprint_is_enough_to_find_hq(
    run: Callable[[Callable[[], Coroutine[Any, Any, None]]], None], tmp_path: Path
) -> None:
    """Under both loops, for the chain that the other side presents is asked of what lies beneath them."""

    async def story() -> None:
        folder = tls_folder(tmp_path / "tls")
        async with serving(folder, None) as server, new_box(tmp_path) as (client, key):
            server.hq.claims[CLAIM.id] = (CLAIM, AGENT)
            assert (await enrol(client, key, door_of(server, folder))).agent == AGENT

    run(story)


async def test_certificates_of_another_year_do_not_keep_a_box_without_a_clock_from_hq(tmp_path: Path) -> None:
    folder = tls_folder(tmp_path / "tls", made_at=datetime.now(UTC) - 11 * _LIFE)
    async with serving(folder, None) as server:
        server.hq.claims[CLAIM.id] = (CLAIM, AGENT)
        async with new_box(tmp_path, clock=DoubtfulClock()) as (client, key):
            assert (await enrol(client, key, door_of(server, folder))).agent == AGENT
        async with new_box(tmp_path) as (client, key):
            with pytest.raises(LineDown):
                await enrol(client, key, door_of(server, folder))


async def test_whoever_presents_another_root_gets_nothing(tmp_path: Path) -> None:
    theirs, ours = tls_folder(tmp_path / "theirs"), tls_folder(tmp_path / "ours")
    async with serving(theirs, None) as server, new_box(tmp_path) as (client, key):
        server.hq.claims[CLAIM.id] = (CLAIM, AGENT)
        with pytest.raises(LineDown, match="does not present the root that the claim code names"):
            await enrol(client, key, door_of(server, ours))
        assert server.hq.enrolled == {}


async def test_whoever_shows_hqs_root_without_descending_from_it_gets_nothing(tmp_path: Path) -> None:
    """The root is no secret: anybody may send it along."""
    theirs, ours = tls_folder(tmp_path / "theirs"), tls_folder(tmp_path / "ours")
    own, _, _ = (theirs / "server.pem").read_text(encoding="ascii").partition("-----END CERTIFICATE-----")
    (theirs / "server.pem").write_text(f"{own}-----END CERTIFICATE-----\n{root_pem(ours)}", encoding="ascii")
    async with serving(theirs, None) as server, new_box(tmp_path) as (client, key):
        with pytest.raises(LineDown, match="does not present the root"):
            await enrol(client, key, door_of(server, ours))


async def test_hqs_certificate_for_another_address_is_not_believed(tmp_path: Path) -> None:
    folder = tls_folder(tmp_path / "tls")
    async with serving(folder, None) as server, new_box(tmp_path) as (client, key):
        server.hq.claims[CLAIM.id] = (CLAIM, AGENT)
        elsewhere = door_of(server, folder)
        # Another way to write the same machine, which the certificate does not name.
        elsewhere = elsewhere._replace(address=elsewhere.address.replace("127.0.0.1", "[::ffff:127.0.0.1]"))
        with pytest.raises(LineDown, match="mismatch"):
            await enrol(client, key, elsewhere)
        assert server.hq.enrolled == {}


async def test_after_enrolment_the_pinned_root_and_address_carry_the_line(tmp_path: Path) -> None:
    folder = tls_folder(tmp_path / "tls")
    key = load_link_key(tmp_path / "link-key.json", SystemEntropy())
    async with serving(folder, key.public) as server:
        server.hq.claims[CLAIM.id] = (CLAIM, AGENT)

        def enrolled(root: str) -> Enrolment:
            return Enrolment(
                agent=AGENT,
                public_key_hex=key.public.hex(),
                claim_id=CLAIM.id,
                hq_url=server.url,
                root_pem=root,
            )

        async with new_box(tmp_path, enrolled=enrolled(root_pem(folder))) as (client, _):
            assert (await enrol(client, key, None)).agent == AGENT
        other = tls_folder(tmp_path / "other")
        for not_hqs in (root_pem(other), "no certificate"):
            async with new_box(tmp_path, enrolled=enrolled(not_hqs)) as (client, _):
                with pytest.raises(LineDown):
                    await enrol(client, key, None)


# How certificates of version 3 say so, and of one that there never was.
_VERSION, _NO_VERSION = bytes.fromhex("a003020102"), bytes.fromhex("a003020101")


async def test_certificates_that_nobody_can_read_are_a_line_that_is_down(tmp_path: Path) -> None:
    """Whoever sits on the store's line may send anything: that must not end the agent."""
    theirs, ours = tls_folder(tmp_path / "theirs"), tls_folder(tmp_path / "ours")
    own, end, _ = (theirs / "server.pem").read_text(encoding="ascii").partition("-----END CERTIFICATE-----")
    whole = PEM_cert_to_DER_cert(root_pem(theirs))
    broken = whole.replace(_VERSION, _NO_VERSION, 1)
    assert broken != whole
    (theirs / "server.pem").write_text(f"{own}{end}\n{DER_cert_to_PEM_cert(broken)}", encoding="ascii")
    async with serving(theirs, None) as server:
        pinned = Enrolment(
            agent=AGENT,
            public_key_hex="ab",
            claim_id=CLAIM.id,
            hq_url=server.url,
            root_pem=root_pem(ours),
        )
        async with new_box(tmp_path, enrolled=pinned) as (client, key):
            for door in (None, door_of(server, ours)):
                with pytest.raises(LineDown):
                    await enrol(client, key, door)


@pytest.mark.parametrize("address", ["a..b", f"{'a' * 64}.test", "[1:2]", "[::::]:8600"])
async def test_an_address_that_no_host_has_is_a_line_that_is_down(address: str, tmp_path: Path) -> None:
    """Anybody on the network of a new box may hand it such a claim code, and that stays on its disk."""
    told = parse_claim(claim_text(claim_for(CLAIM, address=address, root_fingerprint=bytes(10))))
    assert told.address == address
    async with new_box(tmp_path) as (client, key):
        with pytest.raises(LineDown):
            await enrol(client, key, HqDoor(address, bytes(10)))


async def test_a_box_that_knows_no_address_says_so(tmp_path: Path) -> None:
    async with new_box(tmp_path) as (client, key):
        with pytest.raises(LineDown, match="neither the claim code nor the setting hq_url says where HQ is"):
            await enrol(client, key, None)


async def test_a_root_that_was_issued_anew_by_its_own_key_goes_on_being_believed(tmp_path: Path) -> None:
    """The old one may sign for its first branch's name alone, which HQ's next certificate does not bear."""
    folder = tls_folder(tmp_path / "tls")
    key, pinned = load_link_key(tmp_path / "link-key.json", SystemEntropy()), root_pem(folder)
    ensure_certificates(folder, portal_name="renamed.test", now=datetime.now(UTC))
    assert root_pem(folder) != pinned
    async with serving(folder, key.public) as server:
        server.hq.claims[CLAIM.id] = (CLAIM, AGENT)
        enrolled = Enrolment(
            agent=AGENT,
            public_key_hex=key.public.hex(),
            claim_id=CLAIM.id,
            hq_url=server.url,
            root_pem=pinned,
        )
        async with new_box(tmp_path, enrolled=enrolled) as (client, _):
            for _ in range(3):
                assert (await enrol(client, key, None)).agent == AGENT
