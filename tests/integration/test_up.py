"""``beckon up`` as a person runs it: real processes, real signals, real TLS, one home after the other."""

import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fakes.agent_process import free_base_port
from tests.fakes.whole_store import (
    LINE_S,
    ROOT,
    START_S,
    STOP_S,
    Hq,
    Up,
    ask,
    get,
    is_alive,
    kill,
    pid_of,
    redeem_welcome,
    running,
    until,
)
from tests.needs import needs_command

KEYS = [
    "version", "branch", "radio", "shopper_url", "shopper_https_url", "till_url", "staff_api_url", "health_url",
    "hq_url", "cloud_api_url", "cloud_health_url", "ca_file", "till_token", "cashier", "cashier_pin", "member_code", "hq_user",
    "hq_password", "pids",
]  # fmt: skip


def answer_head(facts: dict[str, Any], listener: str, asked: bytes) -> bytes:
    """The status line and the headers of the answer to these very bytes."""
    url = urlsplit(facts[listener])
    with ExitStack() as open_:
        line = open_.enter_context(socket.create_connection((url.hostname, url.port), LINE_S))
        if url.scheme == "https":
            trusting = ssl.create_default_context(cafile=facts["ca_file"])
            line = open_.enter_context(trusting.wrap_socket(line, server_hostname=url.hostname))
        line.sendall(asked)
        received = b""
        while b"\r\n\r\n" not in received and (chunk := line.recv(65536)):
            received += chunk
    return received.partition(b"\r\n\r\n")[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One store for the tests that only look at it."""
    with running(tmp_path_factory.mktemp("up") / "home", free_base_port()) as up:
        up.facts()
        yield up
        assert up.stop() == 0


class TestOpenStore:
    def test_run_json_has_every_key_and_is_private(self, store: Up) -> None:
        facts = store.facts()
        assert list(facts) == KEYS
        assert all(facts[key] for key in KEYS)
        assert (facts["version"], facts["branch"]) == (1, "HARBOUR")
        assert facts["radio"].startswith(("bluez:", "recording:"))
        assert Path(facts["ca_file"]).is_absolute()
        assert len(facts["cashier_pin"]) == 6
        assert facts["cashier_pin"].isdigit()
        assert stat.S_IMODE((store.home / "run.json").stat().st_mode) == 0o600

    def test_every_address_answers_and_verifies(self, store: Up) -> None:
        facts = store.facts()
        for key in (
            "shopper_url",
            "shopper_https_url",
            "till_url",
            "health_url",
            "hq_url",
            "cloud_health_url",
        ):
            status, body = get(facts[key], facts["ca_file"])
            assert status in (200, 301, 302, 303, 307, 308), (key, status, body[:300])
        for key in ("staff_api_url", "cloud_api_url"):
            status, body = get(f"{facts[key]}/openapi.json", facts["ca_file"])
            assert (status, json.loads(body)["openapi"][:3]) == (200, "3.1"), key

    @pytest.mark.parametrize(
        "listener", ["shopper_url", "shopper_https_url", "staff_api_url", "cloud_api_url"]
    )
    @pytest.mark.parametrize(
        "asked",
        [
            b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
            b"GET /none HTTP/1.1\r\nHost: here\r\n\r\n",
            b"no HTTP\r\n\r\n",
        ],
        ids=["page", "no_page", "no_request"],
    )
    def test_no_answer_tells_what_serves_it(self, store: Up, listener: str, asked: bytes) -> None:
        head = answer_head(store.facts(), listener, asked)
        assert b"\r\nServer: Beckon\r\n" in head + b"\r\n", head
        assert not re.search(rb"aiohttp|python", head, re.IGNORECASE), head

    def test_health_serves_and_names_the_same_radio(self, store: Up) -> None:
        facts = store.facts()
        status, body = get(facts["health_url"], facts["ca_file"])
        health = json.loads(body)
        assert status == 200
        assert health["status"] in ("ok", "degraded")
        assert health["radio"] == facts["radio"]

    def test_the_till_token_opens_the_staff_api_with_the_seeded_campaigns(self, store: Up) -> None:
        facts = store.facts()
        url = f"{facts['staff_api_url']}/v1/campaigns"
        _, body = ask("GET", url, facts["ca_file"], token=facts["till_token"])
        listed = json.loads(body)["campaigns"]
        assert sorted(campaign["trigger"] for campaign in listed) == ["shake", "welcome", "welcome_back"]
        assert {campaign["state"] for campaign in listed} == {"running"}

    def test_the_welcome_coupon_takes_20_off_a_basket_of_100(self, store: Up) -> None:
        answer = redeem_welcome(store.facts(), "127.7.7.7")
        assert (answer["decision"], answer["discount_minor"]) == ("accepted", 2_000)

    def test_the_terminal_shows_where_to_go_and_hides_the_token(self, store: Up) -> None:
        facts = store.facts()
        until(lambda: "Ctrl-C" in store.text, START_S)
        for key in (
            "shopper_url",
            "till_url",
            "health_url",
            "cashier_pin",
            "member_code",
            "radio",
            "ca_file",
            "hq_url",
            "cloud_health_url",
        ):
            assert facts[key] in store.text, key
        assert facts["till_token"] not in store.text
        assert facts["hq_password"] not in store.text

    def test_no_secret_is_in_a_command_line_or_a_log(self, store: Up) -> None:
        facts = store.facts()
        for program, pid in facts["pids"].items():
            seen = Path(f"/proc/{pid}/cmdline").read_bytes() + (store.home / f"{program}.log").read_bytes()
            for key in ("till_token", "cashier_pin", "member_code", "hq_password"):
                assert facts[key].encode() not in seen, (program, key)

    def test_everything_in_the_home_is_private(self, store: Up) -> None:
        store.facts()
        for path in (store.home, *store.home.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path

    def test_a_second_one_on_the_same_home_says_who_runs(self, store: Up) -> None:
        store.facts()
        second = call(store.home, free_base_port())
        assert second.returncode == 1
        assert f"process {store.process.pid} already runs" in second.stderr
        assert store.facts_now() is not None, "the second start took away the first one's run.json"


@pytest.mark.parametrize(
    ("program", "health"), [("beckon-agent", "health_url"), ("beckon-cloud", "cloud_health_url")]
)
def test_a_killed_program_is_started_again_with_its_new_process_id(
    tmp_path: Path, program: str, health: str
) -> None:
    with running(tmp_path / "home", free_base_port()) as up:
        before = up.facts()
        after = kill(up, program)
        assert get(after[health], after["ca_file"])[0] == 200
        assert after == {**before, "pids": {**before["pids"], program: after["pids"][program]}}
        assert f"{program} was killed by signal 9; starting it again" in up.text
        assert up.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "home", free_base_port()) as up:
        pids = up.facts()["pids"].values()
        assert up.stop(number) == 0
        assert not any(map(is_alive, pids))
        assert up.facts_now() is None
        assert up.text.rstrip().endswith("Stopped.")


def test_sigint_stops_it_also_where_it_came_ignored(tmp_path: Path) -> None:
    """As in the background of a shell script."""
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "provisioning", "up"]
    with running(tmp_path / "home", free_base_port(), command=command) as up:
        pids = up.facts()["pids"].values()
        assert up.stop(signal.SIGINT) == 0
        assert not any(map(is_alive, pids))


def test_nohup_is_obeyed(tmp_path: Path) -> None:
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "provisioning", "up"]
    with running(tmp_path / "home", free_base_port(), command=command) as up:
        up.facts()
        up.process.send_signal(signal.SIGHUP)
        kill(up, "beckon-agent")
        assert up.stop() == 0


@pytest.mark.parametrize("program", ["beckon-cloud", "beckon-agent"])
def test_a_stop_during_the_start_is_clean(tmp_path: Path, program: str) -> None:
    with running(tmp_path / "home", free_base_port()) as up:
        until(lambda: f"Starting {program}" in up.text, START_S)
        assert up.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_make_that_is_told_alone_takes_everything_with_it(tmp_path: Path, number: signal.Signals) -> None:
    needs_command("make")
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@{sys.executable} -m provisioning up\n", encoding="utf-8")
    with running(tmp_path / "home", free_base_port(), command=["make", "-f", str(makefile), "run"]) as up:
        pids = up.facts()["pids"].values()
        up.stop(number)
        until(lambda: not any(map(is_alive, pids)), STOP_S)
        until(lambda: up.facts_now() is None, STOP_S)


def test_no_program_outlives_a_killed_up(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base_port()
    with running(home, base) as up:
        pids = up.facts()["pids"]
        up.process.kill()
        up.process.wait()
        until(lambda: not any(map(is_alive, pids.values())), STOP_S)
    with running(home, base) as again:
        # The killed one left its run.json behind; the next start takes it away.
        until(
            lambda: pid_of(again, "beckon-agent") not in (None, pids["beckon-agent"]),
            START_S,
            lambda: again.text,
        )
        assert again.stop() == 0


def test_a_second_start_finds_its_state(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base_port()
    with running(home, base) as up:
        first = up.facts()
        ca = Path(first["ca_file"]).read_bytes()
        assert redeem_welcome(first, "127.7.4.1")["decision"] == "accepted"
        until(lambda: Hq(first).welcome() == (1, 1, 2_000), LINE_S, lambda: up.text)
        assert up.stop() == 0
    bundle = (home / "agent" / "bundle.sealed.json").read_bytes()
    with running(home, base) as up:
        second = up.facts()
        hq = Hq(second)
        assert (hq.agent_state(), hq.welcome()) == ("active", (1, 1, 2_000))
        assert redeem_welcome(second, "127.7.4.2")["decision"] == "accepted"
        until(lambda: hq.welcome() == (2, 2, 4_000), LINE_S, lambda: up.text)
        assert "claim code" not in up.text
        assert up.stop() == 0
    assert {**second, "pids": None} == {**first, "pids": None}
    kept = (home / "agent" / "bundle.sealed.json").read_bytes()
    assert (Path(second["ca_file"]).read_bytes(), kept) == (ca, bundle)


def call(home: Path | str, base_port: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BECKON_HOME": str(home), "BECKON_PORT": str(base_port)}
    return subprocess.run(
        [sys.executable, "-m", "provisioning", "up"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=START_S,
    )


def test_a_port_in_use_is_named_with_its_holder(tmp_path: Path) -> None:
    base = free_base_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 11))
        taken.listen()
        done = call(tmp_path / "home", base)
    assert done.returncode == 1
    assert f"port {base + 11} is in use by process {os.getpid()} " in done.stderr
    assert "BECKON_PORT" in done.stderr


@pytest.mark.parametrize("port", ["0", "65524", "http", ""])
def test_a_wrong_port_is_named_with_what_is_allowed(tmp_path: Path, port: str) -> None:
    done = call(tmp_path / "home", port)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"BECKON_PORT is {port!r}; allowed: a whole number from 1 to 65523\n"
    assert not (tmp_path / "home").exists()


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    done = call(tmp_path / "home", free_base_port())
    assert done.returncode == 2
    assert str(tmp_path / "home") in done.stderr


def test_a_home_without_a_name_is_refused() -> None:
    done = call("", free_base_port())
    assert (done.returncode, done.stderr) == (2, "BECKON_HOME is ''; allowed: the path of a folder\n")


def test_a_mistake_in_the_owners_inventory_is_told_with_its_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "inventory.yaml").write_text(
        "version: 1\nbranches:\n  - name: Pier\n    code: '?'\n", encoding="utf-8"
    )
    done = call(home, free_base_port())
    assert done.returncode == 2
    assert f"{home / 'inventory.yaml'}:4: branches.0.code: " in done.stderr
