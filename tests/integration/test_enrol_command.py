"""`beckon enrol` and `beckon hq certify` as an operator calls them: a real HQ, and a box behind real TLS that nobody vouches for."""

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from engagement.ids import AgentName
from engagement.line.addresses import ENROLMENTS_PATH
from engagement.line.claim import parse_claim, request_mac
from engagement.line.setup import CLAIM_PATH, SETUP_PATH, SealedClaim
from provisioning.adapters.certificates import ensure_certificates
from provisioning.services.claiming import BoxSilent
from tests.fakes.cloud_process import PASSWORD, USER, Desk
from tests.fakes.hq import AGENT, HARBOUR
from tests.fakes.new_box import NewBox
from tests.house.tree import ROOT


@pytest.fixture
def hq(fresh: Desk) -> Desk:
    return fresh


@contextmanager
def terminal(typed: str) -> Iterator[int]:
    """Somebody at a terminal has typed this line already."""
    person, program = os.openpty()
    try:
        os.write(person, f"{typed}\n".encode())
        yield program
    finally:
        os.close(person)
        os.close(program)


async def beckon(hq: Desk, *words: str, stdin: int = asyncio.subprocess.DEVNULL) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; nobody is at the terminal unless there is one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BECKON_")}
    environment |= {"BECKON_HQ_USER": USER, "BECKON_HQ_PASSWORD": PASSWORD}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "provisioning", *words, "--hq", hq.home.url, "--hq-ca", str(hq.home.folder / "ca.pem")),
        cwd=ROOT,
        env=environment,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


@asynccontextmanager
async def listening(folder: Path, box: NewBox, hq: Desk) -> AsyncIterator[str]:
    """A box in setup mode, which enrols with a code that it gets; where it is."""

    async def offer(request: web.Request) -> web.Response:
        return web.Response(text=box.offer().model_dump_json(), content_type="application/json")

    async def claim(request: web.Request) -> web.Response:
        try:
            box.take(SealedClaim.model_validate_json(await request.read()))
        except BoxSilent as silent:
            return web.json_response({"detail": str(silent)}, status=422)
        await enrol(hq, box)
        return web.json_response({})

    context = _own_tls(folder)
    app = web.Application()
    app.router.add_get(SETUP_PATH, offer)
    app.router.add_post(CLAIM_PATH, claim)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _own_tls(folder: Path) -> ssl.SSLContext:
    folder.mkdir()
    ensure_certificates(folder, portal_name="box.test", now=datetime.now(UTC))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    return context


async def enrol(hq: Desk, box: NewBox) -> None:
    claim, nonce = parse_claim(box.codes[-1]), bytes(16)
    asked = {
        "claim_id": claim.id,
        "agent_public_key_hex": box.public_key.hex(),
        "nonce_hex": nonce.hex(),
        "mac_hex": request_mac(claim, public_key=box.public_key, nonce=nonce).hex(),
    }
    status, answer = await hq.ask("POST", ENROLMENTS_PATH, asked)
    assert status == 200, answer


async def key_at_hq(hq: Desk, agent: AgentName = AGENT) -> str | None:
    _, answer = await hq.ask("GET", "/v1/agents")
    key: str | None = next(each["public_key_hex"] for each in answer["agents"] if each["name"] == agent)
    return key


async def test_an_operator_certifies_hq_and_enrols_the_box_that_is_meant(hq: Desk, tmp_path: Path) -> None:
    root = ("--root", str(hq.home.folder))
    box = NewBox(1)
    async with listening(tmp_path / "box", box, hq) as at:
        where = ("enrol", HARBOUR, AGENT, "--at", at)
        code, _, complained = await beckon(hq, *where, "--box", box.fingerprint)
        assert (code, "not certified" in complained) == (1, True)
        assert (await beckon(hq, "hq", "certify", *root))[::2] == (0, "")
        code, said, _ = await beckon(hq, "hq", "certify", *root)
        assert (code, said.startswith("Nothing to do")) == (0, True)

        code, said, complained = await beckon(hq, *where)
        assert (code, "--box" in complained) == (2, True)
        assert box.fingerprint in said
        code, _, complained = await beckon(hq, *where, "--box", "0000-0000")
        assert (code, "another fingerprint" in complained) == (1, True)
        assert (box.codes, await key_at_hq(hq)) == ([], None)

        code, said, complained = await beckon(hq, *where, "--box", box.fingerprint.lower())
        assert (code, complained) == (0, "")
        assert said.splitlines()[-1] == (
            f"Done: {AGENT} is enrolled, and its key has the fingerprint {box.fingerprint}."
        )
        assert await key_at_hq(hq) == box.public_key.hex()

        code, _, complained = await beckon(hq, *where, "--box", box.fingerprint)
        assert (code, "--replace" in complained) == (2, True)


async def test_a_person_types_what_the_box_shows(hq: Desk, tmp_path: Path) -> None:
    await hq.certify()
    box = NewBox(1)
    async with listening(tmp_path / "box", box, hq) as at:
        where = ("enrol", HARBOUR, AGENT, "--at", at)
        with terminal("") as empty:
            code, said, complained = await beckon(hq, *where, stdin=empty)
        assert (code, "nothing was done" in complained) == (2, True)
        assert f"{box.fingerprint}  at {at}" in said
        with terminal(box.fingerprint.replace("-", " ").lower()) as typing:
            code, said, _ = await beckon(hq, *where, stdin=typing)
        assert (code, "Done: " in said) == (0, True)
    assert await key_at_hq(hq) == box.public_key.hex()


async def test_a_code_is_printed_alone_for_somebody_to_type(hq: Desk) -> None:
    await hq.certify()
    code, said, complained = await beckon(hq, "enrol", HARBOUR, AGENT, "--print")
    assert (code, "claim file" in complained) == (0, True)
    (line,) = said.splitlines()
    assert parse_claim(line).address == f"127.0.0.1:{hq.home.port}"


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        ((HARBOUR, AGENT, "--print", "--box", "0000-0000"), 2, "--print"),
        ((HARBOUR, AGENT, "--at", "nowhere:x"), 2, "--at"),
        ((HARBOUR, AGENT, "--at", "user@host:1"), 2, "--at"),
        ((HARBOUR, AGENT, "--at", "127.0.0.1:9", "--box", "0000-0000"), 1, "does not answer"),
        (
            (HARBOUR, AGENT, "--box", "hello"),
            2,
            "--box is 'hello'; allowed: the 8 letters and digits that the box",
        ),
        ((HARBOUR, AGENT, "--box", "7K2M-Q9U!"), 2, "as in 7K2M-Q9XB"),
        ((HARBOUR, "nobody", "--print"), 1, "nobody"),
    ],
)
async def test_a_call_that_cannot_work_is_told(
    hq: Desk, words: tuple[str, ...], exit_code: int, says: str
) -> None:
    await hq.certify()
    code, said, complained = await beckon(hq, "enrol", *words)
    assert (code, says in complained) == (exit_code, True), complained
    assert said == ""


async def test_what_is_open_for_something_else_is_told_apart_from_a_new_box(hq: Desk) -> None:
    await hq.certify()
    at = ("--at", f"127.0.0.1:{hq.home.port}", "--box", "0000-0000")
    code, _, complained = await beckon(hq, "enrol", HARBOUR, AGENT, *at)
    assert (code, "waits for no setting up" in complained, "--print" in complained) == (1, True, True)


async def test_another_root_certifies_only_when_it_is_forced(hq: Desk, tmp_path: Path) -> None:
    await hq.certify()
    other = tmp_path / "other"
    other.mkdir()
    ensure_certificates(other, portal_name="hq.test", now=datetime.now(UTC))
    certify = ("hq", "certify", "--root", str(other))
    code, _, complained = await beckon(hq, *certify)
    assert (code, "pinned" in complained) == (1, True)
    code, said, complained = await beckon(hq, *certify, "--replace-root")
    assert (code, "is certified by the root" in said) == (0, True)
    assert "TLS certificate is not of that root" in complained
    code, _, complained = await beckon(hq, "hq", "certify")
    assert (code, "--root" in complained) == (2, True)
    code, _, complained = await beckon(hq, "hq", "certify", "--root", str(tmp_path / "none"))
    assert (code, "holds no root" in complained) == (1, True)
