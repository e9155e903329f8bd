"""A real agent with a claim code: it enrols, ships what shoppers do within seconds, and leaves nothing behind when it stops."""

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from edge_agent.adapters.bundle_file import read_bundle
from engagement.journal.event import Lane
from engagement.line.claim import claim_text, make_claim
from tests.eventually import eventually
from tests.fakes.agent_process import START_S_MAX, AgentHome, AgentProcess, agent_on, lay_agent_home
from tests.fakes.callers import Callers, callers
from tests.fakes.hq_server import Server, serving

CLAIM = make_claim(bytes(range(15)))
# What is committed ships at once; the agent looks by itself only 10 s after.
LAG_S_MAX = 9.0


@asynccontextmanager
async def _linked(folder: Path) -> AsyncIterator[tuple[Server, AgentHome, Path]]:
    home = lay_agent_home(folder / "home")
    claim_file = folder / "claim"
    async with serving(home.access.ca_file.parent, None) as server:
        server.hq.claims[CLAIM.id] = (CLAIM, read_bundle(Path(str(home.settings["bundle"]))).agent)
        home.write_settings(
            hq_url=server.url, hq_ca_file=str(home.access.ca_file), claim_file=str(claim_file)
        )
        yield server, home, claim_file


async def _welcome(all_callers: Callers, address: str) -> None:
    phone = await all_callers.phone(address)
    assert (await phone.ask("POST", "/api/consent", {"terms": True})).status == 200


def _journal(home: AgentHome, lane: Lane) -> list[tuple[int, bytes]]:
    with closing(sqlite3.connect(home.ledger)) as connection:
        return connection.execute(
            "SELECT seq, body FROM journal WHERE lane = ? ORDER BY seq", (lane,)
        ).fetchall()


def _at_hq(server: Server, lane: Lane) -> list[tuple[int, bytes]]:
    return [
        (entry.seq, entry.body)
        for (_, each), entries in server.hq.streams.items()
        if each is lane
        for entry in entries
    ]


async def _stop(agent: AgentProcess) -> None:
    """Its HQ lives in this very loop, so the wait must not block it."""
    agent.process.terminate()
    await eventually(lambda: agent.has_ended, within_s=20, what="the stop")
    assert agent.process.returncode == 0, agent.text


async def test_from_a_claim_code_to_every_entry_at_hq(tmp_path: Path) -> None:
    async with _linked(tmp_path) as (server, home, claim_file):
        with agent_on(home) as agent:
            async with callers(home.access) as all_callers:
                await _welcome(all_callers, "127.41.0.1")
                till = await all_callers.till()
                await eventually(lambda: "no claim code" in agent.text, within_s=START_S_MAX)
                health = (await till.ask("GET", "/health")).json
                assert health["status"] == "degraded"
                assert "not_enrolled" in {issue["code"] for issue in health["issues"]}
                assert health["last_sync_at"] is None

                claim_file.write_text(claim_text(CLAIM) + "\n")
                await eventually(lambda: server.hq.seqs(Lane.MONEY), what="money at HQ")
                assert not claim_file.exists()

                await eventually(lambda: server.hq.seqs(Lane.ENGAGEMENT))
                before = len(server.hq.seqs(Lane.MONEY))
                began_s = time.monotonic()
                await _welcome(all_callers, "127.41.0.2")
                await eventually(lambda: len(server.hq.seqs(Lane.MONEY)) > before, what="new money")
                assert time.monotonic() - began_s < LAG_S_MAX
                health = (await till.ask("GET", "/health")).json
                assert health["last_sync_at"] is not None
                assert "not_enrolled" not in {issue["code"] for issue in health["issues"]}

                await _welcome(all_callers, "127.41.0.3")
            await _stop(agent)
        for lane in Lane:
            assert _at_hq(server, lane) == _journal(home, lane), lane
        assert len(server.hq.seqs(Lane.MONEY)) >= 3


async def test_a_kill_and_an_hq_that_was_away_lose_nothing(tmp_path: Path) -> None:
    async with _linked(tmp_path) as (server, home, claim_file):
        claim_file.write_text(claim_text(CLAIM))
        with agent_on(home) as agent:
            async with callers(home.access) as all_callers:
                await eventually(lambda: server.hq.enrolled, within_s=START_S_MAX, what="enrolment")
                server.says(502, "away")
                for number in range(1, 6):
                    await _welcome(all_callers, f"127.42.0.{number}")
                agent.kill()
                server.answer = None
                agent.run()
                await eventually(lambda: server.hq.seqs(Lane.MONEY), within_s=START_S_MAX, what="money")
                await _welcome(all_callers, "127.42.0.9")
            await _stop(agent)
        for lane in Lane:
            assert _at_hq(server, lane) == _journal(home, lane), lane
        assert len(server.hq.seqs(Lane.MONEY)) >= 6
