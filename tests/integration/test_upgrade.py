"""Homes that older versions left open in this one: nothing is lost, old coupons pay, HQ and the store agree again."""

import json
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cloud_api.adapters.sqlite.storage import open_sqlite_storage
from cloud_api.ports.storage import MoneyLine, money_lines
from cloud_api.services.bookkeeping import book
from edge_agent.adapters.sqlite_store import SqliteStore, open_sqlite_store
from engagement.coupon.coupon import serial_of
from engagement.ids import CampaignId, LocalDay
from engagement.journal.event import Lane
from engagement.journal.tip import LaneTip, first_break
from engagement.settlement.funnel import Measure, SumKey
from tests.fakes.agent_process import free_base_port
from tests.fakes.ledger import HandClock, SeededEntropy
from tests.fakes.whole_store import LINE_S, START_S, Hq, ask, running, until
from tests.house.tree import ROOT

HOMES = sorted(path.parent for path in (ROOT / "tests/data/upgrade").glob("*/home.tar.xz"))
DAY_MS = 86_400_000


def _unpack(packed: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    if member.isdir():
        target.mkdir(mode=member.mode, parents=True, exist_ok=True)
        return
    content = packed.extractfile(member)
    assert content is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.read())
    target.chmod(member.mode)


class Old:
    """A copy of an old home, and what its version said of it."""

    def __init__(self, made: Path, folder: Path) -> None:
        self.home = folder / "home"
        self.facts: dict[str, Any] = json.loads((made / "facts.json").read_text())
        with tarfile.open(made / "home.tar.xz") as packed:
            # Member by member: what extractall() takes and warns of differs between Python 3.11.2 and 3.14.
            for member in packed:
                _unpack(packed, member, self.home / member.name)
        self.home.chmod(0o700)

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[SqliteStore]:
        clock = HandClock(self.facts["made_ms"])
        async with open_sqlite_store(
            self.home / "agent/ledger.db", clock=clock, entropy=SeededEntropy()
        ) as store:
            yield store


@pytest.fixture(params=HOMES, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    return Old(request.param, tmp_path)


def test_there_is_an_old_home() -> None:
    """Or everything below would pass for want of one."""
    assert HOMES


async def test_the_ledger_opens_with_every_entry(old: Old) -> None:
    async with old.ledger() as store:
        assert store.set_aside is None
        for lane, of in old.facts["journal"].items():
            entries = await store.entries(Lane(lane), after_seq=0, limit=10_000)
            assert len(entries) == of["entries"]
            assert entries[-1].seq == of["last_seq"]
            assert first_break(entries, LaneTip()) is None
            assert all(entry.event.lane == lane for entry in entries)
        assert store.backlog()[Lane.MONEY] > 0  # what HQ never got waits still


async def test_hqs_database_opens_with_every_figure(old: Old) -> None:
    async with (
        old.ledger() as store,
        open_sqlite_storage(old.home / "cloud/hq.db", now_ms=old.facts["made_ms"]) as storage,
    ):
        totals = await storage.totals(LocalDay("2000-01-01"), LocalDay("2100-01-01"), branch=None)
        claimed, redeemed, redeemed_minor = old.facts["welcome_at_hq"]
        sums = {key.measure: number for key, number in totals.sums.items() if key.campaign == "welcome"}
        assert sums[Measure.CLAIMED] == claimed
        assert sums[Measure.REDEEMED] == redeemed
        assert totals.sums[SumKey(CampaignId("welcome"), Measure.REDEEMED_MINOR)] == redeemed_minor
        assert [agent.state for agent in await storage.agents()] == ["active"]
        for lane in await storage.lanes():
            assert lane.key.epoch == store.epoch
            assert lane.seq >= store.confirmed[lane.key.lane]
            assert lane.letters == 0


async def test_hqs_database_opens_with_every_line_of_a_coupon(old: Old) -> None:
    async with (
        old.ledger() as store,
        open_sqlite_storage(old.home / "cloud/hq.db", now_ms=old.facts["made_ms"]) as storage,
    ):
        (agent,) = await storage.agents()
        (mark,) = [lane.seq for lane in await storage.lanes() if lane.key.lane is Lane.MONEY]
        entries = (await store.entries(Lane.MONEY, after_seq=0, limit=10_000))[:mark]
        assert entries[-1].seq == mark
        expected: dict[int, list[MoneyLine]] = {}
        for line in money_lines(book(entries, ZoneInfo("Asia/Shanghai")).money):
            if line.coupon is not None and (serial := serial_of(line.coupon)) is not None:
                expected.setdefault(serial, []).append(line)
        found = {serial: await storage.coupon_lines(agent.number, serial) for serial in expected}
        assert found == expected
        assert max(map(len, found.values())) > 1


def test_the_old_home_goes_on_where_it_was(old: Old) -> None:
    """As an operator updates it: the same folder, the new programs; coupons, passwords and the agent's key stay good."""
    with running(old.home, free_base_port()) as up:
        facts = up.facts()
        hq = Hq(facts)
        claimed, redeemed = old.facts["welcome_in_store"]
        until(
            lambda: hq.welcome()[:2] == (claimed, redeemed),
            START_S + LINE_S,
            lambda: f"{hq.welcome()} {up.text}",
        )
        verdicts = [_redeem(facts, number, code) for number, code in enumerate(old.facts["unused_codes"])]
        ends_ms = old.facts["made_ms"] + old.facts["use_days"] * DAY_MS
        if time.time() * 1000 < ends_ms - DAY_MS:
            assert verdicts == ["accepted"] * len(verdicts)
            redeemed += len(verdicts)
        until(lambda: hq.welcome() == (claimed, redeemed, 2000 * redeemed), LINE_S, lambda: str(hq.welcome()))
        assert up.stop() == 0


def _redeem(facts: dict[str, Any], number: int, code: str) -> str:
    attempt = {"request_id": f"later-{number}", "code": code, "order_id": f"later-{number}"}
    _, body = ask(
        "POST",
        f"{facts['staff_api_url']}/v1/redemptions",
        facts["ca_file"],
        body={**attempt, "cashier": facts["cashier"], "basket_minor": 10_000, "currency": "CNY"},
        token=facts["till_token"],
    )
    return str(json.loads(body)["decision"])
