"""Rights through the real cloud: what agents are granted and give back, what the ledger says, and what a restore fences."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engagement.ids import AgentName
from engagement.line.seal import SealKind, open_seal
from engagement.rights.amount import NOTHING, Amount
from engagement.rights.messages import Grant
from tests.fakes.cloud_fixtures import Enrolled
from tests.fakes.cloud_process import CloudHome, CloudProcess, Desk, cloud
from tests.fakes.happenings import issued
from tests.fakes.hq import AGENT, HARBOUR, OTHER, PARK, WELCOME, Journal

LEDGER = "/v1/ledger/{campaign}"
WRITE_OFF = "/v1/agents/{agent}/write-off"
LIABILITY_MINOR = WELCOME.offer.liability_minor
BUDGET = Amount(units=WELCOME.budget.units, minor=WELCOME.budget.spend_minor)


@pytest.fixture(scope="module")
def enrolled() -> Enrolled:
    return (HARBOUR, AGENT), (PARK, OTHER)


@dataclass
class Store:
    """An agent's side of one lease: asks, keeps what it is granted, and gives out."""

    hq: Desk
    agent: AgentName
    epoch: str = "00000000000000aa"
    number: int = 0
    granted: Amount = NOTHING
    returned: Amount = NOTHING
    used: Amount = NOTHING
    grant: str = ""
    last: dict[str, Any] = field(default_factory=dict)

    def request(self, wanted: int = 0) -> dict[str, Any]:
        self.number += 1
        totals = {name: getattr(self, name).model_dump() for name in ("granted", "returned", "used")}
        account = {"campaign": WELCOME.id, "wanted_units": wanted, **totals}
        self.last = {"epoch": self.epoch, "number": self.number, "accounts": [account], "grant": self.grant}
        return self.last

    async def send(self, request: dict[str, Any]) -> tuple[int, Any]:
        status, answer = await self.hq.say(self.agent, "leases", request)
        if status == 200:
            root_pem = (self.hq.home.folder / "ca.pem").read_text()
            payload = open_seal(answer["grant"], SealKind.GRANT, root_pem=root_pem)
            grant = Grant.model_validate_json(payload)
            assert (grant.agent, grant.epoch) == (self.agent, self.epoch)
            self.grant = answer["grant"]
            for account in grant.accounts:
                self.granted = self.granted.at_least(account.granted)
        return status, answer

    async def ask(self, wanted: int = 0) -> Any:
        status, answer = await self.send(self.request(wanted))
        assert status == 200, answer
        return answer

    def sell(self, coupons: int) -> None:
        self.used = self.used + coupons_of(coupons)

    def give_back(self, coupons: int) -> None:
        self.returned = self.returned + coupons_of(coupons)

    @property
    def held(self) -> Amount:
        return self.granted - self.returned - self.used


def coupons_of(units: int) -> Amount:
    return Amount(units=units, minor=units * LIABILITY_MINOR)


async def ledger(hq: Desk) -> Any:
    status, answer = await hq.ask("GET", f"/v1/ledger/{WELCOME.id}", route=LEDGER)
    assert status == 200, answer
    return answer


async def write_off(hq: Desk, agent: AgentName) -> Any:
    status, answer = await hq.ask("POST", f"/v1/agents/{agent}/write-off", {}, route=WRITE_OFF)
    assert status == 200, answer
    return answer


async def fence(hq: Desk) -> Any:
    status, answer = await hq.ask("GET", "/v1/fence")
    assert status == 200
    return answer


async def test_a_lease_from_its_grant_to_its_return(hq: Desk) -> None:
    store, other = Store(hq, AGENT), Store(hq, OTHER)
    answer = await store.ask()
    assert (answer["is_fenced"], answer["slot_ms"]) == (False, 0)
    assert store.granted.units == BUDGET.units // 4  # two active agents: first leases take half in all
    assert store.granted == coupons_of(store.granted.units)
    await other.ask()
    store.sell(3)
    store.give_back(5)
    await store.ask()
    told = await ledger(hq)
    assert told["adds_up"] is True
    lines = {line["agent"]: line for line in told["leases"]}
    assert lines[AGENT]["granted"] == store.granted.model_dump()
    assert lines[AGENT]["returned"] == coupons_of(5).model_dump()
    assert lines[AGENT]["used"] == coupons_of(3).model_dump()
    assert lines[AGENT]["held"] == store.held.model_dump()
    assert told["budget"] == BUDGET.model_dump()
    free = BUDGET - store.granted - other.granted + coupons_of(5)
    assert told["free"] == free.model_dump()


async def test_all_of_the_budget_goes_out_and_no_more(hq: Desk) -> None:
    stores = [Store(hq, AGENT), Store(hq, OTHER)]
    for _ in range(60):
        for store in stores:
            await store.ask(wanted=10_000)
    assert sum(store.granted.units for store in stores) == BUDGET.units
    told = await ledger(hq)
    assert (told["free"]["units"], told["adds_up"]) == (0, True)
    answer = await stores[0].ask(wanted=1)
    assert answer["recalled"] == [WELCOME.id]


async def test_the_same_request_is_answered_the_same_and_an_older_one_never(hq: Desk) -> None:
    store = Store(hq, AGENT)
    await store.ask()
    store.give_back(2)
    request = store.request()
    _, first = await store.send(request)
    _, again = await store.send(request)
    assert Grant.model_validate_json(json.loads(first["grant"])["payload"]) == Grant.model_validate_json(
        json.loads(again["grant"])["payload"]
    )
    told = await ledger(hq)
    assert told["totals"]["returned"] == coupons_of(2).model_dump()
    status, refused = await store.send(request | {"accounts": []})
    assert (status, refused["code"]) == (409, "rights_went_back")
    status, refused = await store.send(request | {"number": 1})
    assert (status, refused["code"]) == (409, "rights_went_back")
    assert await ledger(hq) == told


async def test_two_who_ask_at_once_share_what_there_is(hq: Desk) -> None:
    stores = [Store(hq, agent, epoch=f"{number:016x}") for number in range(8) for agent in (AGENT, OTHER)]
    for _ in range(6):
        await asyncio.gather(*(store.ask(wanted=100_000) for store in stores))
    told = await ledger(hq)
    assert told["adds_up"] is True
    assert sum(store.granted.units for store in stores) == BUDGET.units - told["free"]["units"]


async def test_journals_are_told_beside_the_leases(hq: Desk) -> None:
    store, journal = Store(hq, AGENT), Journal()
    await store.ask()
    journal.add(issued(1), issued(2), issued(3, of="shake"))
    await hq.send(AGENT, journal.packed())
    (line,) = (await ledger(hq))["leases"]
    assert (line["epoch"], line["issued"]) == (journal.epoch, {"units": 2, "minor": 4000})


async def test_a_dead_agents_rights_count_as_spent_until_its_box_returns_them(hq: Desk) -> None:
    store = Store(hq, AGENT)
    await store.ask()
    store.sell(4)
    await store.ask()
    before = await ledger(hq)
    await write_off(hq, AGENT)
    told = await ledger(hq)
    assert told["free"] == before["free"]
    assert told["totals"]["written_off"] == store.held.model_dump()
    assert (told["totals"]["held"]["units"], told["adds_up"]) == (0, True)
    status, refused = await store.send(store.request())
    assert (status, refused["code"]) == (409, "lease_written_off")
    store.give_back(store.held.units)
    await store.ask()
    told = await ledger(hq)
    assert told["totals"]["written_off"] == NOTHING.model_dump()
    assert told["free"] == (BUDGET - coupons_of(4)).model_dump()


async def test_strangers_and_others_get_nothing(hq: Desk) -> None:
    store = Store(hq, AGENT)
    path, raw = f"/v1/agents/{AGENT}/leases", json.dumps(store.request()).encode()
    status, refused = await hq.ask("POST", path, raw=raw, route="/v1/agents/{agent}/leases")
    assert status == 401
    for body in ({"epoch": "x", "number": 1}, {"epoch": "0" * 16, "number": 0}):
        status, refused = await hq.say(AGENT, "leases", body)
        assert (status, refused["code"]) == (422, "invalid_fields")
    status, refused = await hq.ask("POST", "/v1/agents/nobody/write-off", {}, route=WRITE_OFF)
    assert (status, refused["code"]) == (404, "agent_not_listed")
    status, refused = await hq.ask("GET", "/v1/ledger/nothing", route=LEDGER)
    assert (status, refused["code"]) == (404, "campaign_unknown")
    hq.token = None
    for method, path, route in (
        ("GET", f"/v1/ledger/{WELCOME.id}", LEDGER),
        ("GET", "/v1/fence", "/v1/fence"),
        ("POST", f"/v1/agents/{AGENT}/write-off", WRITE_OFF),
    ):
        status, _ = await hq.ask(method, path, {} if method == "POST" else None, route=route)
        assert status == 401


async def test_a_killed_cloud_keeps_what_it_answered(running: CloudProcess, hq: Desk) -> None:
    store = Store(hq, AGENT)
    await store.ask()
    store.give_back(1)
    request = store.request(wanted=7)
    running.kill()
    await running.run()
    await store.send(request)
    granted = store.granted
    running.kill()
    await running.run()
    await store.send(request)
    assert store.granted == granted
    assert (await ledger(hq))["adds_up"] is True


async def test_a_restored_hq_waits_for_every_agent(running: CloudProcess, hq: Desk, tmp_path: Path) -> None:
    store, other = Store(hq, AGENT), Store(hq, OTHER)
    await store.ask()
    await store.ask()
    assert (await fence(hq))["is_fenced"] is False
    copy = tmp_path / "copies" / "hq.backup"
    copy.parent.mkdir()
    done = await running.home.tell("backup", str(copy))
    assert (done.returncode, done.stderr) == (0, "")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in copy.parent.iterdir()] == ["hq.backup"]
    incarnation = (await fence(hq))["incarnation"]
    # What HQ will have forgotten: all that is left goes to one store, and is given out.
    for _ in range(60):
        await store.ask(wanted=100_000)
    store.sell(store.granted.units)
    refused = await running.home.tell("restore", str(copy))
    assert (refused.returncode, "stop that one first" in refused.stderr) == (1, True)
    running.stop()
    done = await running.home.tell("restore", str(copy))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"  {AGENT}\n  {OTHER}" in done.stdout
    assert len(list((running.home.folder / "hq").glob("hq.db.replaced-*"))) == 1
    await running.run()
    now = await fence(hq)
    assert now["incarnation"] != incarnation
    assert (now["is_fenced"], now["waiting_for"]) == (True, [AGENT, OTHER])
    assert (await ledger(hq))["is_fenced"] is True
    for _ in range(2):
        answer = await other.ask(wanted=100)
        assert (answer["is_fenced"], other.granted) == (True, NOTHING)
    assert (await fence(hq))["waiting_for"] == [AGENT]
    await store.ask()
    await store.ask()
    assert (await fence(hq))["is_fenced"] is False
    told = await ledger(hq)
    assert (told["adds_up"], told["totals"]["granted"]) == (True, store.granted.model_dump())
    await other.ask(wanted=100_000)
    assert store.granted.units + other.granted.units == BUDGET.units


async def test_an_agent_that_will_never_come_is_written_off(
    running: CloudProcess, hq: Desk, tmp_path: Path
) -> None:
    store = Store(hq, AGENT)
    await store.ask()
    copy = tmp_path / "hq.backup"
    await running.home.tell("backup", str(copy))
    running.stop()
    await running.home.tell("restore", str(copy))
    await running.run()
    await store.ask()
    await store.ask()
    assert (await write_off(hq, OTHER))["is_fenced"] is False
    before = store.granted
    await store.ask(wanted=100)
    assert store.granted.units > before.units


async def test_a_file_put_back_by_hand_is_noticed(running: CloudProcess, hq: Desk) -> None:
    """Without a restore nothing says that grants are forgotten, but an agent's own proof."""
    store, other = Store(hq, AGENT), Store(hq, OTHER)
    await store.ask()
    running.stop()
    database = running.home.folder / "hq" / "hq.db"
    old = database.read_bytes()
    await running.run()
    await store.ask(wanted=1000)
    running.stop()
    for name in ("-wal", "-shm"):
        database.with_name(database.name + name).unlink(missing_ok=True)
    database.write_bytes(old)
    await running.run()
    answer = await store.ask()
    assert answer["is_fenced"] is True
    assert (await fence(hq))["waiting_for"] == [AGENT, OTHER]
    for each in (other, store):
        await each.ask()
        await each.ask()
    assert (await fence(hq))["is_fenced"] is False


async def test_what_cannot_be_done_is_said(home: CloudHome) -> None:
    async with cloud(home) as process:
        process.stop()
    database = home.folder / "hq" / "hq.db"
    before = database.read_bytes()
    (home.folder / "cut.db").write_bytes(before[: len(before) // 2])
    for words, code, said in (
        (("backup", "missing/folder/file"), 2, "there is no folder"),
        (("backup", "."), 2, "name a file of its own"),
        (("backup", "hq/hq.db"), 2, "name a file of its own"),
        (("restore", "missing"), 2, "there is no such file"),
        (("restore", "users.json"), 1, "no database of HQ"),
        (("restore", "cut.db"), 1, "no database of HQ"),
    ):
        done = await home.tell(words[0], os.path.join(home.folder, words[1]))
        assert (done.returncode, done.stdout) == (code, ""), words
        assert said in done.stderr
        assert database.read_bytes() == before
        assert [path.name for path in database.parent.glob("*restoring*")] == []


async def test_there_is_nothing_to_back_up_before_the_first_start(home: CloudHome) -> None:
    done = await home.tell("backup", str(home.folder / "copy"))
    assert (done.returncode, "no hq.db in it" in done.stderr) == (2, True)


async def test_a_restore_that_was_cut_short_is_run_again(home: CloudHome) -> None:
    async with cloud(home) as process:
        copy = home.folder / "copy"
        await home.tell("backup", str(copy))
        process.stop()
        restoring = home.folder / "hq" / "hq.db.restoring"
        restoring.write_bytes(b"half")
        done = await home.tell("run")
        assert (done.returncode, "run the restore again" in done.stderr) == (1, True)
        assert (await home.tell("restore", str(copy))).returncode == 0
        await process.run()
