"""The real cloud program on loopback with TLS, and an agent and an operator that talk to it."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import scrypt
from pathlib import Path
from typing import Any

from aiohttp import ClientConnectionError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.test_utils import unused_port
from yarl import URL

from engagement.estate.estate import Change
from engagement.ids import AgentName, BranchCode
from engagement.line.addresses import BATCH_ENCODING, BATCH_TYPE, ENROLMENTS_PATH, batches_path
from engagement.line.claim import parse_claim, request_mac
from engagement.line.signature import sign_request
from provisioning.adapters.certificates import FolderRoot, ensure_certificates
from tests.fakes.hq import CHAIN, Chain, private_key, public_key
from tests.fakes.json_schema import faults
from tests.fakes.warm_process import WarmProcess
from tests.house.tree import ROOT

AUTHORITY = "/v1/authority"
USER, PASSWORD = "hq", "a password of the test"
PROGRAM = "cloud_api"
# How the environment's names of its settings begin.
_SETTINGS = "BECKON_CLOUD_"
# A start takes 1 s on a machine of its own.
_STARTS_WITHIN_S = 60.0
_SALT = bytes(range(16))


@cache
def _hashed_password() -> bytes:
    """Of cost, as it must be."""
    return scrypt(PASSWORD.encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)


@dataclass
class CloudHome:
    """``settings`` as they are written into the file at each start; ``laid_out``: what whoever signs in first applies."""

    folder: Path
    port: int = field(default_factory=unused_port)
    settings: dict[str, object] = field(default_factory=dict)
    laid_out: Chain | None = CHAIN

    def __post_init__(self) -> None:
        ensure_certificates(self.folder, portal_name="hq.test", now=datetime.now(UTC))
        user = {"name": USER, "salt": _SALT.hex(), "password_scrypt": _hashed_password().hex()}
        (self.folder / "users.json").write_text(json.dumps({"version": 1, "users": [user]}))
        self.settings = {
            "home": str(self.folder / "hq"),
            "users": str(self.folder / "users.json"),
            "port": self.port,
            "tls_certificate": str(self.folder / "server.pem"),
            "tls_key": str(self.folder / "server-key.pem"),
        } | self.settings

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def command(self) -> list[str]:
        """Starts the cloud with the settings as they are now."""
        config = self.folder / "cloud.toml"
        config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in self.settings.items()))
        return [sys.executable, "-m", PROGRAM, "run", "--config", str(config)]

    async def tell(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Have the cloud's program do something else than run, with these settings; waits for its end."""
        config = self.command[-1]

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "cloud_api", *words, "--config", config],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )

        return await asyncio.to_thread(run)


class CloudProcess:
    """``run()`` starts it, again after it has ended; what it says goes into ``output``.

    ``is_warm``: it is spared the second of a fresh interpreter, which most tests are not about. ``wrapper``: words before
    its command, which then is never warm.
    """

    def __init__(self, home: CloudHome, *, is_warm: bool = True, wrapper: Sequence[str] = ()) -> None:
        self.home = home
        self.output = home.folder / "output.txt"
        self.process: WarmProcess | subprocess.Popen[bytes] | None = None
        self._is_warm = is_warm and not wrapper
        self._wrapper = wrapper

    async def run(self) -> None:
        """Return once it answers."""
        self.process = self._start()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _STARTS_WITHIN_S
        async with desk(self.home) as visitor:
            while True:
                try:
                    async with visitor.session.get(self.home.url + "/health") as response:
                        assert response.status == 200
                        return
                except ClientConnectionError:
                    assert self.process.poll() is None, self.output.read_text()
                    assert loop.time() < deadline, self.output.read_text()
                    await asyncio.sleep(0.02)

    def _start(self) -> WarmProcess | subprocess.Popen[bytes]:
        command = self.home.command
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        if self._is_warm:
            return WarmProcess(PROGRAM, command[3:], environment=environment, output=self.output)
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [*self._wrapper, *command], cwd=ROOT, env=environment, stdout=output, stderr=output
            )

    def kill(self) -> None:
        """At once, as a cut of power would."""
        self._end(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """By default as systemd does; the exit code."""
        return self._end(number)

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code


@asynccontextmanager
async def cloud(
    home: CloudHome, *, is_warm: bool = True, wrapper: Sequence[str] = ()
) -> AsyncIterator[CloudProcess]:
    process = CloudProcess(home, is_warm=is_warm, wrapper=wrapper)
    try:
        await process.run()
        yield process
    finally:
        if process.process is not None:
            process.kill()


@dataclass
class Desk:
    """Somebody at HQ, and every agent; answers are checked against /openapi.json once it is known."""

    home: CloudHome
    session: ClientSession
    token: str | None = None
    document: Mapping[str, Any] | None = None

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        route: str = "",
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and JSON; ``route``: the path's pattern where it has one."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        target = URL(self.home.url + path, encoded=True)
        async with self.session.request(
            method, target, data=data, headers=sent | dict(headers or {})
        ) as response:
            text = await response.read()
            answer = json.loads(text) if text else None
            self._check(
                method, route or path.partition("?")[0], response.status, response.content_type, answer
            )
            return response.status, answer

    def _check(self, method: str, route: str, status: int, content_type: str, answer: object) -> None:
        if self.document is None:
            return
        described = self.document["paths"][route][method.lower()]["responses"][str(status)]
        if answer is None:
            assert "content" not in described
        else:
            assert faults(answer, described["content"][content_type]["schema"], self.document) == []

    async def sign_in(self, *, certify: bool = True) -> None:
        """``certify``: HQ's key as well, by the home's root, as the desk does."""
        _, self.document = await self.ask("GET", "/openapi.json")
        status, answer = await self.ask("POST", "/v1/sessions", {"user": USER, "password": PASSWORD})
        assert status == 200, answer
        self.token = answer["token"]
        if self.home.laid_out is not None:
            await self._lay_out(self.home.laid_out)
        if certify:
            await self.certify()

    async def _lay_out(self, chain: Chain) -> None:
        """As the desk does for an HQ that is new; the others have moved on."""
        body = Change(base=0, steps=chain.steps).model_dump_json().encode()
        status, answer = await self.ask("POST", "/v1/estate/changes", raw=body)
        assert status == 200 or answer["code"] == "estate_moved", answer

    async def certify(self) -> None:
        status, asked = await self.ask("GET", AUTHORITY)
        assert status == 200, asked
        if asked["certificate_pem"] is None:
            certified = FolderRoot(self.home.folder).certify(asked["request_pem"])
            status, answer = await self.ask("PUT", AUTHORITY, certified._asdict())
            assert status == 200, answer

    async def enrol(self, branch: BranchCode, agent: AgentName) -> None:
        """As an operator and a new machine do it together."""
        status, made = await self.ask("POST", "/v1/claims", {"branch": branch, "agent": agent})
        assert status == 200, made
        status, answer = await self.ask("POST", ENROLMENTS_PATH, enrolment(made["claim_code"], agent))
        assert (status, answer["agent"]) == (200, agent)

    async def send(self, agent: AgentName, packed: bytes, **headers: str) -> tuple[int, Any]:
        """A signed batch."""
        kind = {"Content-Type": BATCH_TYPE, "Content-Encoding": BATCH_ENCODING}
        return await self.signed("POST", batches_path(agent), packed, by=agent, headers=kind | headers)

    async def say(self, agent: AgentName, what: str, body: object) -> tuple[int, Any]:
        """A signed request with JSON; ``what``: the end of its address, such as ``reports``."""
        path, raw = f"/v1/agents/{agent}/{what}", json.dumps(body).encode()
        return await self.signed("POST", path, raw, by=agent)

    async def signed(
        self,
        method: str,
        path: str,
        raw: bytes = b"",
        *,
        by: AgentName,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """An agent's request at its own address, or at another's; ``headers`` outrank those of the signature."""
        sign = private_key(by).sign
        url = self.home.url + path
        signed = sign_request(method, url, raw, keyid=by, created_s=0, nonce="n", sign=sign)
        route = "/v1/agents/{agent}/" + path.rpartition("/")[2]
        return await self.ask(method, path, raw=raw, route=route, headers=signed | dict(headers or {}))


def enrolment(claim_code: str, agent: AgentName, nonce: bytes = bytes(16)) -> dict[str, str]:
    claim = parse_claim(claim_code)
    return {
        "claim_id": claim.id,
        "agent_public_key_hex": public_key(agent).hex(),
        "nonce_hex": nonce.hex(),
        "mac_hex": request_mac(claim, public_key=public_key(agent), nonce=nonce).hex(),
    }


@asynccontextmanager
async def desk(home: CloudHome) -> AsyncIterator[Desk]:
    """Trusts the home's authority alone."""
    tls = ssl.create_default_context(cafile=home.folder / "ca.pem")
    async with ClientSession(
        connector=TCPConnector(ssl=tls),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=30),
        auto_decompress=False,
    ) as session:
        yield Desk(home, session)
