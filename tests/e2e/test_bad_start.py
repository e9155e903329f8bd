"""Starts that must fail and say why, a ledger that must be set aside, and stops that must be clean: real processes."""

import asyncio
import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.eventually import eventually
from tests.fakes.agent_process import (
    ROOT,
    START_S_MAX,
    STOP_S_MAX,
    AgentHome,
    AgentProcess,
    agent_command,
    agent_environment,
    agent_on,
    free_base_port,
    lay_agent_home,
)
from tests.fakes.callers import Callers, callers

ANNA, BERT = "127.51.0.1", "127.51.0.2"
# As a shell does to what it starts in the background of a script.
WITH_SIGINT_IGNORED = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> AgentHome:
    """A home for starts that fail before they touch the ledger; each writes the settings anew."""
    return lay_agent_home(tmp_path_factory.mktemp("sound") / "home")


@pytest.fixture
def home(tmp_path: Path) -> AgentHome:
    return lay_agent_home(tmp_path / "home")


def start(home: AgentHome, /, **changes: object) -> tuple[int, str]:
    """Exit code and everything said by a start that must end by itself."""
    home.write_settings(**changes)
    done = subprocess.run(
        agent_command(home),
        cwd=ROOT,
        env=agent_environment(),
        capture_output=True,
        text=True,
        timeout=START_S_MAX,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


class TestWrongSettings:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"colour": 1}, ["colour = 1", "no such key", "guest_http_port", "log_level"]),
            ({"radio": "loud"}, ["radio = 'loud'", "'auto', 'bluez', 'recording' or 'none'"]),
            ({"radio": "recording"}, ["recording = None", "a file of advertisements"]),
            ({"guest_http_port": 0}, ["guest_http_port = 0", "greater than or equal to 1"]),
            ({"staff_https_port": "https"}, ["staff_https_port = 'https'", "integer"]),
            ({"guest_address": "999.1.1.1"}, ["guest_address = '999.1.1.1'", "an IPv4 or IPv6 address"]),
            ({"staff_address": "localhost"}, ["staff_address = 'localhost'", "an IPv4 or IPv6 address"]),
            ({"guest_url": "http://shop"}, ["guest_url = 'http://shop'", "https://"]),
            ({"guest_url": "https://[::1"}, ["guest_url = 'https://[::1'", "allowed: https://HOST"]),
            ({"guest_url": "https://shop:x"}, ["guest_url = 'https://shop:x'", "allowed: https://HOST"]),
            ({"home": ""}, ["home = ''", "a path"]),
            ({"tls_key": None}, ["tls_key = None", "with tls_certificate"]),
            ({"colour": 1, "log_level": "LOUD"}, ["colour = 1", "log_level = 'LOUD'", "'WARNING'"]),
        ],
    )  # fmt: skip
    def test_the_key_its_value_and_what_is_allowed_are_named(
        self, sound: AgentHome, changes: dict[str, object], said: list[str]
    ) -> None:
        code, text = start(sound, **changes)
        assert code == 2
        assert [words for words in said if words not in text] == [], text

    def test_a_settings_file_that_is_not_there_is_named(self, sound: AgentHome) -> None:
        sound.settings_file.unlink()
        done = subprocess.run(
            agent_command(sound), cwd=ROOT, capture_output=True, text=True, timeout=START_S_MAX
        )
        assert (done.returncode, str(sound.settings_file) in done.stderr) == (2, True)


class TestBundle:
    def test_one_that_is_not_there_is_named(self, sound: AgentHome, tmp_path: Path) -> None:
        code, text = start(sound, bundle=str(tmp_path / "bundle.json"))
        assert code == 2
        assert f"bundle: cannot read {tmp_path / 'bundle.json'}: No such file" in text

    def test_every_mistake_in_one_is_named(self, sound: AgentHome, tmp_path: Path) -> None:
        bundle = json.loads(Path(str(sound.settings["bundle"])).read_bytes())
        bundle["sequence"] = 0
        bundle["branch"]["time_zone"] = "Moon/Crater"
        broken = tmp_path / "bundle.json"
        broken.write_text(json.dumps(bundle), encoding="utf-8")
        code, text = start(sound, bundle=str(broken))
        assert code == 2
        for mistake in (
            f"bundle {broken}: sequence: ",
            f"bundle {broken}: branch.time_zone: ",
            "Moon/Crater",
        ):
            assert mistake in text

    def test_one_that_is_no_json_is_named(self, sound: AgentHome, tmp_path: Path) -> None:
        (tmp_path / "bundle.json").write_text('{"version": 1', encoding="utf-8")
        code, text = start(sound, bundle=str(tmp_path / "bundle.json"))
        assert code == 2
        assert f"bundle {tmp_path / 'bundle.json'}: file: Invalid JSON" in text


class TestCertificate:
    def test_one_that_does_not_fit_its_key_is_named_with_it(self, sound: AgentHome, tmp_path: Path) -> None:
        key = tmp_path / "another-key.pem"
        key.write_bytes(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        code, text = start(sound, tls_key=str(key))
        assert code == 2
        assert f"tls_certificate {sound.settings['tls_certificate']} with tls_key {key}: " in text

    def test_one_that_is_not_there_is_named(self, sound: AgentHome, tmp_path: Path) -> None:
        code, text = start(sound, tls_certificate=str(tmp_path / "server.pem"))
        assert code == 2
        assert f"tls_certificate {tmp_path / 'server.pem'}" in text


@pytest.mark.parametrize("key", ["guest_http_port", "guest_https_port", "staff_https_port"])
def test_a_port_in_use_is_named(sound: AgentHome, key: str) -> None:
    port = sound.settings[key]
    assert isinstance(port, int)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        code, text = start(sound)
    assert code == 1
    assert f"('127.0.0.1', {port}): address already in use" in text


async def test_a_second_agent_on_the_same_ledger_is_refused_and_the_first_goes_on(home: AgentHome) -> None:
    with agent_on(home):
        async with callers(home.access) as all_callers:
            code = await _welcome(all_callers, ANNA)
            base = free_base_port()
            ports = {
                "guest_http_port": base + 10,
                "guest_https_port": base + 11,
                "staff_https_port": base + 12,
            }
            said = start(home, **ports)
            assert said[0] == 1
            assert f"the ledger {home.ledger} was left untouched and not opened: another process" in said[1]
            assert (await _redeem(all_callers, code, "r-1"))["decision"] == "accepted"


def _scribble(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.seek(ledger.stat().st_size // 2)
        file.write(b"\xa5" * 6_000)


def _cut(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.truncate(ledger.stat().st_size // 2)


def _empty(ledger: Path) -> None:
    ledger.write_bytes(b"")


@pytest.mark.parametrize("damage", [_scribble, _cut, _empty])
async def test_a_damaged_ledger_is_set_aside_and_its_coupons_need_the_line(
    home: AgentHome, damage: Callable[[Path], None]
) -> None:
    with agent_on(home) as agent:
        async with callers(home.access) as all_callers:
            old = await _welcome_card(all_callers, ANNA)
            assert agent.stop() == 0
            damage(home.ledger)
            damaged = home.ledger.read_bytes()
            agent.run()
            # The new ledger counts its serials from the start again; an old code must not open a new coupon.
            new = await _welcome_card(all_callers, BERT)
            for _ in range(2):  # said after the next start as well
                health = await _health(all_callers)
                assert health["status"] == "degraded"
                assert "store_set_aside" in {issue["code"] for issue in health["issues"]}
                (aside,) = home.ledger.parent.glob("ledger.db.damaged-*Z")
                assert aside.read_bytes() == damaged
                refused = await _redeem(all_callers, old["code"], "r-1")
                assert (refused["decision"], refused["reason"]) == ("refused", "needs_line")
                typed = await _redeem(all_callers, old["short_code"], "r-2")
                assert typed["decision"] == "refused"
                assert agent.stop() == 0
                agent.run()
            assert (await _redeem(all_callers, new["code"], "r-3"))["decision"] == "accepted"


class TestStop:
    @pytest.mark.parametrize(
        ("number", "wrapper"),
        [(signal.SIGTERM, ()), (signal.SIGINT, ()), (signal.SIGINT, WITH_SIGINT_IGNORED)],
        ids=["SIGTERM", "SIGINT", "SIGINT that came ignored"],
    )
    async def test_it_is_clean_while_connections_and_a_stream_are_open(
        self, home: AgentHome, number: signal.Signals, wrapper: tuple[str, ...]
    ) -> None:
        with agent_on(home, [*wrapper, *agent_command(home)]) as agent:
            async with callers(home.access) as all_callers:
                # Both keep their connections open.
                code = await _welcome(all_callers, ANNA)
                await _redeem(all_callers, code, "r-1")
                office = await all_callers.office()
                office.browser.headers["Cookie"] = f"__Host-till={home.access.till_tokens['till-1']}"
                async with office.browser.streaming("/staff/live") as stream:
                    assert (await stream.readline()).startswith(b"event: near")
                    await _stop(agent, number)
                    await asyncio.wait_for(stream.read(), STOP_S_MAX)  # the stream ends and does not hang
        assert "Traceback" not in agent.text
        assert "never awaited" not in agent.text

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_it_is_clean_in_the_middle_of_a_start(
        self, home: AgentHome, number: signal.Signals
    ) -> None:
        # It may have come further by the time of the signal, and says so; only a complaint would be wrong.
        home.write_settings(log_level="ERROR")
        with agent_on(home, [*WITH_SIGINT_IGNORED, *agent_command(home)]) as agent:
            await eventually(lambda: _catches(agent, number), START_S_MAX, "a handler for the signal")
            await _stop(agent, number)
        assert agent.text == ""

    async def test_what_was_answered_last_is_there_after_it(self, home: AgentHome) -> None:
        with agent_on(home) as agent:
            async with callers(home.access) as all_callers:
                before = await _welcome_card(all_callers, ANNA)
                await _stop(agent, signal.SIGTERM)
                agent.run()
                assert await _welcome_card(all_callers, ANNA) == before


async def _stop(agent: AgentProcess, number: signal.Signals) -> None:
    agent.process.send_signal(number)
    await eventually(lambda: agent.has_ended, STOP_S_MAX, "the agent's end")
    assert agent.process.returncode == 0, agent.text


def _catches(agent: AgentProcess, number: signal.Signals) -> bool:
    """Whether the program (no longer the shell before it) has a handler. Source: proc(5), SigCgt."""
    folder = Path("/proc") / str(agent.process.pid)
    caught = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("SigCgt:"))
    return b"edge_agent\0run" in (folder / "cmdline").read_bytes() and bool(
        int(caught.split()[1], 16) >> (number - 1) & 1
    )


async def _welcome_card(all_callers: Callers, address: str) -> dict[str, Any]:
    phone = await all_callers.phone(address)
    wallet = (await phone.ask("POST", "/api/consent", {"terms": True})).json
    (card,) = wallet["coupons"]
    assert isinstance(card, dict)
    return card


async def _welcome(all_callers: Callers, address: str) -> str:
    return str((await _welcome_card(all_callers, address))["code"])


async def _redeem(all_callers: Callers, code: str, request_id: str) -> dict[str, Any]:
    till = await all_callers.till()
    body = {
        "request_id": request_id,
        "code": code,
        "order_id": request_id,
        "basket_minor": 10_000,
        "currency": "CNY",
        "cashier": all_callers.access.cashier,
    }
    told: dict[str, Any] = (await till.ask("POST", "/v1/redemptions", body)).json
    return told


async def _health(all_callers: Callers) -> dict[str, Any]:
    till = await all_callers.till()
    told: dict[str, Any] = (await till.ask("GET", "/health")).json
    return told
