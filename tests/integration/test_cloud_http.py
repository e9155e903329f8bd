"""The cloud as its callers meet it: a real process, TLS, agents that sign, people who sign in; killed and started again."""

import asyncio
import signal
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError
from cryptography import x509

from engagement.clock.moment import to_ms
from engagement.coupon.short_code import make_short_code
from engagement.ids import AgentName
from engagement.journal.event import Lane
from engagement.line.addresses import BATCH_BYTES_MAX, ENROLMENTS_PATH, batches_path
from engagement.line.certificates import agent_of
from engagement.line.claim import answer_mac, parse_claim
from engagement.line.signature import sign_request
from tests.eventually import eventually
from tests.fakes import shop
from tests.fakes.cloud_process import (
    PASSWORD,
    USER,
    CloudHome,
    CloudProcess,
    Desk,
    cloud,
    desk,
    enrolment,
)
from tests.fakes.happenings import consented, issued, money, redeemed, shaken, undone
from tests.fakes.hq import AGENT, CHAIN, HARBOUR, OTHER, Chain, Journal, private_key, public_key

COUPONS = "/v1/coupons/{code}"
TODAY = "/v1/reports/funnel?from=2026-11-21&to=2026-11-21"


def journal_of(count: int) -> Journal:
    journal = Journal()
    journal.add(*money(count))
    return journal


def short_code(serial: int) -> str:
    return make_short_code(key=b"k", agent_number=1, lease_number=1, serial=serial, not_before_min=1)


async def test_a_store_from_its_claim_to_its_numbers(hq: Desk) -> None:
    await hq.enrol(HARBOUR, AGENT)
    journal = Journal()
    journal.add(consented(), shaken(1), shaken(2, won=True), issued(1), issued(2, of="shake"), redeemed(1))
    for lane in (Lane.MONEY, Lane.ENGAGEMENT):
        status, answer = await hq.send(AGENT, journal.packed(lane=lane))
        assert (status, answer) == (200, {"ack": 3, "slot_ms": 0, "refused": []})
    status, answer = await hq.ask("GET", TODAY)
    assert status == 200
    assert (answer["from"], answer["to"]) == ("2026-11-21", "2026-11-21")
    lines = {line["campaign"]: line for line in answer["campaigns"]}
    assert lines["welcome"] == {
        "campaign": "welcome",
        "detected": 1,
        "shown": 1,
        "claimed": 1,
        "redeemed": 1,
        "won": 0,
        "claimed_minor": 2000,
        "redeemed_minor": 2000,
        "currency": "CNY",
    }
    assert (lines["shake"]["shown"], lines["shake"]["won"], lines["shake"]["claimed"]) == (2, 1, 1)
    _, tomorrow = await hq.ask("GET", "/v1/reports/funnel?from=2026-11-22&to=2026-11-22")
    assert {line["claimed"] for line in tomorrow["campaigns"]} == {0}


async def test_what_people_look_at(hq: Desk) -> None:
    await hq.enrol(HARBOUR, AGENT)
    journal = journal_of(4)
    journal.add_raw(Lane.MONEY, b"{}")
    status, answer = await hq.send(AGENT, journal.packed())
    assert (status, answer["refused"]) == (200, [{"seq": 5, "code": "event_unreadable"}])
    _, answer = await hq.ask("GET", "/v1/branches")
    assert [(branch["code"], branch["agents"]) for branch in answer["branches"]] == [
        ("HARBOUR", [AGENT]),
        ("PARK", [OTHER]),
    ]
    _, answer = await hq.ask("GET", "/v1/agents")
    here, there = answer["agents"]
    assert (here["state"], here["dead_letters"], here["backlog"]) == ("active", 1, None)
    assert [(lane["lane"], lane["epoch"], lane["mark"]) for lane in here["lanes"]] == [
        ("money", journal.epoch, 5)
    ]
    assert to_ms(datetime.fromisoformat(here["last_contact_at"])) > to_ms(datetime(2025, 1, 1, tzinfo=UTC))
    assert (there["state"], there["last_contact_at"], there["lanes"]) == ("unclaimed", None, [])
    _, answer = await hq.ask("GET", "/v1/campaigns")
    assert [(each["id"], each["trigger"]) for each in answer["campaigns"]] == [
        ("welcome", "welcome"),
        ("shake", "shake"),
        ("back", "welcome_back"),
    ]


async def test_a_coupons_life_by_its_codes(hq: Desk) -> None:
    await hq.enrol(HARBOUR, AGENT)
    real = shop.coupon()
    journal = Journal()
    now = shop.moment()
    journal.add(
        issued(1), redeemed(1), undone(1), issued(1, secret="later", now=shop.moment(now.wall_ms + 1))
    )
    await hq.send(AGENT, journal.packed())
    status, answer = await hq.ask("GET", f"/v1/coupons/{short_code(1)}", route=COUPONS)
    assert (status, answer["coupon"], answer["earlier"]) == (200, "000001-later", ["000001-s"])
    assert (answer["branch"], answer["agent"], answer["campaign"]) == (HARBOUR, AGENT, "welcome")
    assert [step["what"] for step in answer["timeline"]] == ["issued"]
    for code, reason in (
        (short_code(999), "unknown_code"),
        (real.short_code, "unknown_code"),  # of an agent that HQ does not know
        ("12345678901234567890", "damaged"),
        ("hello", "not_ours"),
    ):
        status, answer = await hq.ask("GET", f"/v1/coupons/{code}", route=COUPONS)
        assert (status, answer["code"]) == (404, reason)


async def test_strangers_get_nothing(hq: Desk) -> None:
    body = journal_of(2).packed()
    assert (await hq.send(AGENT, body))[1]["code"] == "agent_unknown"
    await hq.enrol(HARBOUR, AGENT)
    assert (await hq.send(AGENT, body, Signature="beckon=:AAAA:"))[1]["code"] == "signature_wrong"
    assert (await hq.send(AGENT, body, **{"Signature-Input": "x"}))[1]["code"] == "signature_malformed"
    assert (await hq.send(AGENT, body, **{"Content-Digest": "sha-256=:AAAA:"}))[1][
        "code"
    ] == "signature_wrong"
    path, sign = batches_path(AGENT), private_key(AGENT).sign
    of_another = sign_request("POST", hq.home.url + path, b"", keyid=AGENT, created_s=0, nonce="n", sign=sign)
    assert (await hq.send(AGENT, body, **of_another))[1]["code"] == "digest_wrong"
    status, answer = await hq.ask(
        "POST",
        "/v1/agents/harbour-1/batches",
        raw=body,
        route="/v1/agents/{agent}/batches",
        headers={"Content-Type": "application/vnd.beckon.batch", "Content-Encoding": "zstd"},
    )
    assert (status, answer["code"]) == (401, "signature_missing")
    assert (await hq.ask("GET", "/v1/agents"))[1]["agents"][0]["lanes"] == []


async def test_bodies_that_cannot_be_used(hq: Desk) -> None:
    await hq.enrol(HARBOUR, AGENT)
    answer: Any = None
    for body, status, code in (
        (b"", 400, "malformed_batch"),
        (b"no zstd", 400, "not_packed"),
        (bytes(BATCH_BYTES_MAX + 1), 413, "too_large"),
        (journal_of(4).packed(3, 4), 409, "gap"),
    ):
        answered, answer = await hq.send(AGENT, body)
        assert (answered, answer["code"]) == (status, code)
    assert answer["expected"] == 1
    for headers in ({"Content-Encoding": "gzip"}, {"Content-Type": "application/json"}):
        assert (await hq.send(AGENT, b"x", **headers))[0] == 415


async def test_a_claim_is_for_one_machine(hq: Desk) -> None:
    _, made = await hq.ask("POST", "/v1/claims", {"branch": HARBOUR, "agent": AGENT})
    asked = enrolment(made["claim_code"], AGENT)
    wrong = asked | {"mac_hex": "0" * 64}
    assert (await hq.ask("POST", ENROLMENTS_PATH, wrong))[1]["code"] == "mac_wrong"
    unknown = asked | {"claim_id": "0" * 10}
    assert (await hq.ask("POST", ENROLMENTS_PATH, unknown))[1]["code"] == "claim_unknown"
    first = await hq.ask("POST", ENROLMENTS_PATH, asked)
    assert first == await hq.ask("POST", ENROLMENTS_PATH, asked)
    status, answer = first
    assert (status, answer["agent"]) == (200, AGENT)
    own, _ = x509.load_pem_x509_certificates(answer["certificate_pem"].encode())
    assert agent_of(own) == (AGENT, public_key(AGENT))
    proof = answer_mac(
        parse_claim(made["claim_code"]),
        public_key=public_key(AGENT),
        nonce=bytes(16),
        agent=AGENT,
        root_pem=(hq.home.folder / "ca.pem").read_text(),
        certificate_pem=answer["certificate_pem"],
    )
    assert answer["mac_hex"] == proof.hex()
    other = enrolment(made["claim_code"], OTHER)
    assert (await hq.ask("POST", ENROLMENTS_PATH, other))[1]["code"] == "claim_used"
    status, answer = await hq.ask("POST", "/v1/claims", {"branch": HARBOUR, "agent": "nobody"})
    assert (status, answer["code"]) == (404, "agent_not_listed")


async def test_nobody_looks_without_signing_in(still_hq: Desk) -> None:
    token = still_hq.token
    for wrong in (None, "x" * 43):
        still_hq.token = wrong
        for path in ("/v1/branches", "/v1/agents", "/v1/campaigns", TODAY):
            status, answer = await still_hq.ask("GET", path)
            assert (status, answer["code"]) == (401, "token_unknown" if wrong else "token_missing")
        assert (await still_hq.ask("POST", "/v1/claims", {"branch": HARBOUR, "agent": AGENT}))[0] == 401
    status, answer = await still_hq.ask("POST", "/v1/sessions", {"user": USER, "password": PASSWORD + "x"})
    assert (status, answer["code"]) == (401, "password_wrong")
    still_hq.token = token
    assert (await still_hq.ask("GET", "/v1/branches"))[0] == 200
    assert (await still_hq.ask("DELETE", "/v1/sessions"))[0] == 204
    assert (await still_hq.ask("GET", "/v1/branches"))[0] == 401


async def test_the_cookie_opens_what_the_token_does_but_not_for_other_sites(hq: Desk) -> None:
    hq.token = None
    body = {"user": USER, "password": PASSWORD}
    async with hq.session.post(hq.home.url + "/v1/sessions", json=body) as response:
        cookie = response.headers["Set-Cookie"]
    assert {"HttpOnly", "Secure", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    sent = {"Cookie": cookie.partition(";")[0]}
    assert (await hq.ask("GET", "/v1/branches", headers=sent))[0] == 200
    claim = {"branch": HARBOUR, "agent": AGENT}
    status, answer = await hq.ask("POST", "/v1/claims", claim, headers=sent | {"Origin": "https://evil.test"})
    assert (status, answer["code"]) == (403, "foreign_origin")
    assert (await hq.ask("POST", "/v1/claims", claim, headers=sent | {"Origin": hq.home.url}))[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?from=2026-11-21",
        "?from=2026-02-30&to=2026-03-01",
        "?from=2026-11-22&to=2026-11-21",
        "?from=1&to=2",
    ],
)
async def test_a_query_that_makes_no_sense_is_told(still_hq: Desk, query: str) -> None:
    status, answer = await still_hq.ask("GET", "/v1/reports/funnel" + query)
    assert (status, answer["code"]) == (422, "invalid_fields")


async def test_health_figures_and_addresses(hq: Desk) -> None:
    answer = await answers(hq, "/health", lambda answer: answer["status"] == "ok")
    assert answer["in_hand"] == 0
    async with hq.session.get(hq.home.url + "/metrics") as response:
        assert 'beckon_cloud_health{status="ok"} 1.0' in await response.text()
    for method, path, status, code in (
        ("GET", "/v1/nothing", 404, "no_such_address"),
        ("PUT", "/v1/branches", 405, "method_not_allowed"),
    ):
        hq.document = None  # which describes no such thing
        answered, answer = await hq.ask(method, path)
        assert (answered, answer["code"]) == (status, code)


async def answers(hq: Desk, path: str, wanted: Callable[[Any], bool]) -> Any:
    """The first answer that is as wanted, within the time in which HQ looks after itself."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 10
    while loop.time() < deadline:
        _, answer = await hq.ask("GET", path)
        if wanted(answer):
            return answer
    raise AssertionError(f"{path} never answered as wanted")


async def test_killed_under_load_nothing_that_was_confirmed_is_lost(running: CloudProcess, hq: Desk) -> None:
    await hq.enrol(HARBOUR, AGENT)
    journal = journal_of(3000)
    confirmed = 0

    async def drain() -> None:
        nonlocal confirmed
        while confirmed < 3000:
            try:
                status, answer = await hq.send(AGENT, journal.packed(confirmed + 1, confirmed + 25))
            except (ClientError, ConnectionError):
                await asyncio.sleep(0.01)
                continue
            if status == 409:  # kept, but the confirmation was cut off: HQ is further than we know
                raise AssertionError(answer)
            confirmed = answer["ack"]

    draining = asyncio.create_task(drain())
    for kill_at in (300, 900, 1500, 2100):
        await eventually(lambda at=kill_at: confirmed >= at, within_s=30, what=f"{kill_at} confirmed")  # type: ignore[misc]
        running.kill()
        before = confirmed
        await running.run()
        (agent,) = [
            each for each in (await hq.ask("GET", "/v1/agents"))[1]["agents"] if each["name"] == AGENT
        ]
        assert agent["lanes"][0]["mark"] >= before
    await draining
    _, answer = await hq.ask("GET", TODAY)
    welcome = answer["campaigns"][0]
    assert (welcome["claimed"], welcome["redeemed"], welcome["redeemed_minor"]) == (1500, 1500, 3_000_000)


async def test_peers_that_break_http_or_hang_up_leave_no_traceback(running: CloudProcess, hq: Desk) -> None:
    tls = ssl.create_default_context(cafile=running.home.folder / "ca.pem")
    for sent in (
        b"\x00\x01 nonsense\r\n\r\n",
        b"POST /v1/agents/a/batches HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n"
        b"Content-Type: application/vnd.beckon.batch\r\nContent-Encoding: zstd\r\n\r\nabc",
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", running.home.port, ssl=tls)
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()
    assert (await hq.ask("GET", "/health"))[1]["in_hand"] == 0
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text()


async def test_it_stops_cleanly_and_starts_again(home: CloudHome) -> None:
    async with cloud(home, is_warm=False) as running, desk(home) as hq:
        await hq.sign_in()
        await hq.enrol(HARBOUR, AGENT)
        await hq.send(AGENT, journal_of(2).packed())
        assert running.stop() == 0
        await running.run()
        assert (await hq.ask("GET", "/v1/branches"))[0] == 200  # the session outlives the restart
        status, answer = await hq.send(AGENT, journal_of(2).packed())
        assert (status, answer["ack"]) == (200, 2)


@pytest.mark.parametrize("ignored", [False, True], ids=["SIGINT", "SIGINT that came ignored"])
async def test_an_interrupt_stops_it_cleanly(home: CloudHome, ignored: bool) -> None:
    """Ignored at its start: as in the background of a shell script."""
    wrapper = ("sh", "-c", 'trap "" INT; exec "$@"', "sh") if ignored else ()
    async with cloud(home, wrapper=wrapper) as running:
        assert running.stop(signal.SIGINT) == 0
        assert "Traceback" not in running.output.read_text()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("port", 70_000, "port"),
        ("users", "/nowhere/users.json", "users: cannot read"),
        ("tls_key", "/nowhere/key.pem", "tls_key"),
        ("wings", 2, "wings"),
    ],
)
def test_a_wrong_setting_ends_it_with_2_and_is_named(
    home: CloudHome, key: str, value: object, says: str
) -> None:
    home.settings[key] = value
    ended = subprocess.run(home.command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_port_that_is_taken_ends_it_with_1(running: CloudProcess, tmp_path: Path) -> None:
    folder = tmp_path / "second"
    folder.mkdir()
    second = CloudHome(folder, port=running.home.port)
    ended = await asyncio.to_thread(
        subprocess.run, second.command, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)


async def test_names_of_any_letters_are_signed_and_found(home: CloudHome) -> None:
    name = AgentName("码头 1 号")
    store = CHAIN.branches[0]
    agents = (store.agents[0].model_copy(update={"name": name}),)
    home.laid_out = Chain((store.model_copy(update={"agents": agents}),))
    async with cloud(home), desk(home) as hq:
        await hq.sign_in()
        await hq.enrol(HARBOUR, name)
        journal = Journal(name)
        journal.add(*money(2))
        assert (await hq.send(name, journal.packed()))[0] == 200
