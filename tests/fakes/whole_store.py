"""A store and its HQ as a person runs them, `beckon up` as a real process; and calls at the till, the pages and HQ."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
# The contract's limit for everything to be gone.
STOP_S = 20.0
# A first start takes 4 s on a machine of its own, and 13 s on one core that six others use.
START_S = 90.0
# For what goes from the store to HQ: the agent looks for a claim code every 5 s, and waits up to 30 s after failed tries.
LINE_S = 60.0
ANSWER_S = 30.0


class Up:
    """A running ``beckon up``, or whatever else starts one."""

    def __init__(self, home: Path, base_port: int, command: list[str]) -> None:
        self.home = home
        self.output = home.parent / "output.txt"
        environment = {**os.environ, "BECKON_HOME": str(home), "BECKON_PORT": str(base_port)}
        # Somebody else's programs on this machine; what the home decides outranks it.
        environment |= {"BECKON_AGENT_STAFF_HTTPS_PORT": "1", "BECKON_CLOUD_PORT": "1"}
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
            parts.hostname, parts.port, timeout=ANSWER_S, context=context, source_address=(source, 0)
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_S)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        connection.request(
            method,
            parts._replace(scheme="", netloc="").geturl() or "/",
            None if body is None else json.dumps(body),
            headers if body or token else {},
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get(url: str, ca_file: str) -> tuple[int, bytes]:
    return ask("GET", url, ca_file)


def redeem_welcome(facts: dict[str, Any], shopper: str) -> dict[str, Any]:
    """The till's answer to a welcome coupon on a basket of 100; ``shopper`` is an address of 127.0.0.0/8."""
    guest, ca_file = facts["shopper_https_url"], facts["ca_file"]
    _, body = ask("POST", f"{guest}/api/consent", ca_file, body={"terms": True}, source=shopper)
    (coupon,) = json.loads(body)["coupons"]
    order = {"request_id": f"r-{shopper}", "code": coupon["code"], "order_id": f"o-{shopper}"}
    _, body = ask(
        "POST",
        f"{facts['staff_api_url']}/v1/redemptions",
        ca_file,
        body={**order, "cashier": facts["cashier"], "basket_minor": 10_000, "currency": "CNY"},
        token=facts["till_token"],
    )
    answer: dict[str, Any] = json.loads(body)
    return answer


class Hq:
    """HQ's API, signed in as ``run.json`` says."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._url, self._ca_file = facts["cloud_api_url"], facts["ca_file"]
        credentials = {"user": facts["hq_user"], "password": facts["hq_password"]}
        status, body = ask("POST", f"{self._url}/v1/sessions", self._ca_file, body=credentials)
        assert status == 200, body
        self._token: str = json.loads(body)["token"]

    def get(self, path: str) -> Any:
        status, body = ask("GET", self._url + path, self._ca_file, token=self._token)
        assert status == 200, (path, body)
        return json.loads(body)

    def agent_state(self) -> str:
        (agent,) = self.get("/v1/agents")["agents"]
        return str(agent["state"])

    def welcome(self) -> tuple[int, int, int]:
        """Coupons claimed and redeemed of the welcome campaign ever, and what they took off."""
        report = self.get("/v1/reports/funnel?from=2000-01-01&to=2099-12-31")
        line = next(each for each in report["campaigns"] if each["campaign"] == "welcome")
        return line["claimed"], line["redeemed"], line["redeemed_minor"]


def pid_of(up: Up, program: str) -> int | None:
    facts = up.facts_now()
    return None if facts is None else facts["pids"][program]


def kill(up: Up, program: str) -> dict[str, Any]:
    """``run.json`` as it is once the program is back."""
    old = up.facts()["pids"][program]
    os.kill(old, signal.SIGKILL)
    until(lambda: pid_of(up, program) not in (None, old), START_S, lambda: up.text)
    return up.facts()


def sell(up: Up, shopper: str, sold: int, *, within_s: float = LINE_S) -> dict[str, Any]:
    """``run.json``, once another welcome coupon is redeemed, and HQ knows of as many as were ``sold`` in all."""
    facts = up.facts()
    assert redeem_welcome(facts, shopper)["decision"] == "accepted"
    until(lambda: Hq(facts).welcome() == (sold, sold, sold * 2_000), within_s, lambda: up.text)
    return facts
