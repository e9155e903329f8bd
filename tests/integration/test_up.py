"""``beckon up`` as a person runs it: real processes, real signals, real TLS, one home after the other."""

import http.client
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.needs import needs_command

ROOT = Path(__file__).resolve().parents[2]
KEYS = [
    "version", "branch", "radio", "shopper_url", "shopper_https_url", "till_url", "staff_api_url", "health_url",
    "ca_file", "till_token", "cashier", "cashier_pin", "member_code", "pids",
]  # fmt: skip
# The contract's limit for everything to be gone.
STOP_S = 20.0
START_S = 45.0


class Up:
    """A running ``beckon up``, or whatever else starts one."""

    def __init__(self, home: Path, base_port: int, command: list[str]) -> None:
        self.home = home
        self.output = home.parent / "output.txt"
        environment = {**os.environ, "BECKON_HOME": str(home), "BECKON_PORT": str(base_port)}
        # Somebody else's agent on this machine; what the home decides outranks it.
        environment["BECKON_AGENT_STAFF_HTTPS_PORT"] = "1"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def facts_now(self) -> dict[str, Any] | None:
        try:
            facts: dict[str, Any] = json.loads((self.home / "run.json").read_bytes())
        except FileNotFoundError:
            return None
        return facts

    def facts(self) -> dict[str, Any]:
        """``run.json``, once it is there. Errors: AssertionError with what the program said."""
        until(
            lambda: self.facts_now() is not None or self.process.poll() is not None,
            START_S,
            lambda: self.text,
        )
        facts = self.facts_now()
        assert facts is not None, self.text
        return facts

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=STOP_S)


def until(condition: Callable[[], bool], limit_s: float, explain: Callable[[], str] = lambda: "") -> None:
    deadline_mono_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_mono_s, f"not within {limit_s:g} s\n{explain()}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_base() -> int:
    """A base port whose three ports are free at the moment."""
    for _ in range(200):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            base = int(probe.getsockname()[1])
        if base < 65_000 and all(_is_free(base + offset) for offset in (10, 11, 12)):
            return base
    raise AssertionError("no three free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def running(home: Path, base_port: int, *, command: list[str] | None = None) -> Iterator[Up]:
    store = Up(home, base_port, command or [sys.executable, "-m", "provisioning", "up"])
    try:
        yield store
    finally:
        facts = store.facts_now()
        if store.process.poll() is None:
            store.process.kill()
            store.process.wait()
        pids = (facts or {}).get("pids", {}).values()
        until(lambda: not any(map(is_alive, pids)), STOP_S)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One store for the tests that only look at it."""
    with running(tmp_path_factory.mktemp("up") / "home", free_base()) as up:
        up.facts()
        yield up
        assert up.stop() == 0


def ask(
    method: str, url: str, ca_file: str, *, body: object = None, token: str = "", source: str = "127.0.0.1"
) -> tuple[int, bytes]:
    """Status and body, over TLS verified against the authority where the address says https."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=10, context=context, source_address=(source, 0)
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        connection.request(
            method,
            parts.path or "/",
            None if body is None else json.dumps(body),
            headers if body or token else {},
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get(url: str, ca_file: str) -> tuple[int, bytes]:
    return ask("GET", url, ca_file)


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
        for key in ("shopper_url", "shopper_https_url", "till_url", "health_url"):
            status, body = get(facts[key], facts["ca_file"])
            assert status in (200, 301, 302, 303, 307, 308), (key, status, body[:300])
        status, body = get(f"{facts['staff_api_url']}/openapi.json", facts["ca_file"])
        assert (status, json.loads(body)["openapi"][:3]) == (200, "3.1")

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
        facts = store.facts()
        guest, ca_file = facts["shopper_https_url"], facts["ca_file"]
        _, body = ask("POST", f"{guest}/api/consent", ca_file, body={"terms": True}, source="127.7.7.7")
        (coupon,) = json.loads(body)["coupons"]
        order = {"request_id": "r-1", "code": coupon["code"], "order_id": "o-1", "cashier": facts["cashier"]}
        _, body = ask(
            "POST",
            f"{facts['staff_api_url']}/v1/redemptions",
            ca_file,
            body={**order, "basket_minor": 10_000, "currency": "CNY"},
            token=facts["till_token"],
        )
        answer = json.loads(body)
        assert (answer["decision"], answer["discount_minor"]) == ("accepted", 2_000)

    def test_the_terminal_shows_where_to_go_and_hides_the_token(self, store: Up) -> None:
        facts = store.facts()
        until(lambda: "Ctrl-C" in store.text, 5)
        for key in (
            "shopper_url",
            "till_url",
            "health_url",
            "cashier_pin",
            "member_code",
            "radio",
            "ca_file",
        ):
            assert facts[key] in store.text, key
        assert facts["till_token"] not in store.text

    def test_no_secret_is_in_a_command_line_or_a_log(self, store: Up) -> None:
        facts = store.facts()
        (pid,) = facts["pids"].values()
        seen = Path(f"/proc/{pid}/cmdline").read_bytes() + (store.home / "beckon-agent.log").read_bytes()
        for key in ("till_token", "cashier_pin", "member_code"):
            assert facts[key].encode() not in seen, key

    def test_everything_in_the_home_is_private(self, store: Up) -> None:
        store.facts()
        for path in (store.home, *store.home.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path

    def test_a_second_one_on_the_same_home_says_who_runs(self, store: Up) -> None:
        store.facts()
        second = call(store.home, free_base())
        assert second.returncode == 1
        assert f"process {store.process.pid} already runs" in second.stderr
        assert store.facts_now() is not None, "the second start took away the first one's run.json"


def _agent_of(up: Up) -> int | None:
    facts = up.facts_now()
    return None if facts is None else facts["pids"]["beckon-agent"]


def test_a_killed_agent_is_started_again_with_its_new_process_id(tmp_path: Path) -> None:
    with running(tmp_path / "home", free_base()) as up:
        before = up.facts()
        old = before["pids"]["beckon-agent"]
        os.kill(old, signal.SIGKILL)
        until(lambda: _agent_of(up) not in (None, old), START_S, lambda: up.text)
        after = up.facts()
        assert get(after["health_url"], after["ca_file"])[0] == 200
        assert {**after, "pids": None} == {**before, "pids": None}
        assert "beckon-agent was killed by signal 9; starting it again" in up.text
        assert up.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "home", free_base()) as up:
        (pid,) = up.facts()["pids"].values()
        assert up.stop(number) == 0
        assert not is_alive(pid)
        assert up.facts_now() is None
        assert up.text.rstrip().endswith("Stopped.")


def test_sigint_stops_it_also_where_it_came_ignored(tmp_path: Path) -> None:
    """As in the background of a shell script."""
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "provisioning", "up"]
    with running(tmp_path / "home", free_base(), command=command) as up:
        (pid,) = up.facts()["pids"].values()
        assert up.stop(signal.SIGINT) == 0
        assert not is_alive(pid)


def test_nohup_is_obeyed(tmp_path: Path) -> None:
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "provisioning", "up"]
    with running(tmp_path / "home", free_base(), command=command) as up:
        (pid,) = up.facts()["pids"].values()
        up.process.send_signal(signal.SIGHUP)
        os.kill(pid, signal.SIGKILL)
        until(lambda: _agent_of(up) not in (None, pid), START_S, lambda: up.text)
        assert up.stop() == 0


def test_a_stop_during_the_start_is_clean(tmp_path: Path) -> None:
    with running(tmp_path / "home", free_base()) as up:
        until(lambda: "Starting" in up.text, START_S)
        assert up.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_make_that_is_told_alone_takes_everything_with_it(tmp_path: Path, number: signal.Signals) -> None:
    needs_command("make")
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@{sys.executable} -m provisioning up\n", encoding="utf-8")
    with running(tmp_path / "home", free_base(), command=["make", "-f", str(makefile), "run"]) as up:
        (pid,) = up.facts()["pids"].values()
        up.stop(number)
        until(lambda: not is_alive(pid), STOP_S)
        until(lambda: up.facts_now() is None, STOP_S)


def test_the_agent_does_not_outlive_a_killed_up(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base()
    with running(home, base) as up:
        (pid,) = up.facts()["pids"].values()
        up.process.kill()
        up.process.wait()
        until(lambda: not is_alive(pid), STOP_S)
    with running(home, base) as again:
        # The killed one left its run.json behind; the next start takes it away.
        until(lambda: _agent_of(again) not in (None, pid), START_S, lambda: again.text)
        assert again.stop() == 0


def test_a_second_start_finds_its_state(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base()
    with running(home, base) as up:
        first = up.facts()
        ca = Path(first["ca_file"]).read_bytes()
        assert up.stop() == 0
    bundle = (home / "bundle.json").read_bytes()
    with running(home, base) as up:
        second = up.facts()
        assert up.stop() == 0
    assert {**second, "pids": None} == {**first, "pids": None}
    assert (Path(second["ca_file"]).read_bytes(), (home / "bundle.json").read_bytes()) == (ca, bundle)


def call(home: Path | str, base_port: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BECKON_HOME": str(home), "BECKON_PORT": str(base_port)}
    return subprocess.run(
        [sys.executable, "-m", "provisioning", "up"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_port_in_use_is_named_with_its_holder(tmp_path: Path) -> None:
    base = free_base()
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
    done = call(tmp_path / "home", free_base())
    assert done.returncode == 2
    assert str(tmp_path / "home") in done.stderr


def test_a_home_without_a_name_is_refused() -> None:
    done = call("", free_base())
    assert (done.returncode, done.stderr) == (2, "BECKON_HOME is ''; allowed: the path of a folder\n")


def test_a_mistake_in_the_owners_inventory_is_told_with_its_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "inventory.yaml").write_text(
        "version: 1\nbranches:\n  - name: Pier\n    code: '?'\n", encoding="utf-8"
    )
    done = call(home, free_base())
    assert done.returncode == 2
    assert f"{home / 'inventory.yaml'}:4: branches.0.code: " in done.stderr
