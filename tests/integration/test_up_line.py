"""`beckon up`'s own line to HQ: the agent enrols itself, sales arrive once, and either side may lose all it had."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fakes.agent_process import free_base_port
from tests.fakes.whole_store import LINE_S, START_S, Hq, Up, pid_of, redeem_welcome, running, sell, until


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One store for the tests that only use it."""
    with running(tmp_path_factory.mktemp("up") / "home", free_base_port()) as up:
        up.facts()
        yield up
        assert up.stop() == 0


class TestLine:
    def test_hq_has_the_inventory_and_the_campaigns(self, store: Up) -> None:
        hq = Hq(store.facts())
        assert [branch["code"] for branch in hq.get("/v1/branches")["branches"]] == ["HARBOUR"]
        listed = hq.get("/v1/campaigns")["campaigns"]
        assert sorted(campaign["id"] for campaign in listed) == ["shake", "welcome", "welcome_back"]

    def test_the_agent_enrols_itself_and_its_code_is_gone(self, store: Up) -> None:
        hq = Hq(store.facts())
        until(lambda: hq.agent_state() == "active", LINE_S, lambda: store.text)
        until(lambda: not (store.home / "claim-code").exists(), LINE_S)
        until(lambda: "is enrolled at HQ." in store.text, LINE_S)

    def test_hq_counts_a_redeemed_coupon_within_seconds(self, store: Up) -> None:
        facts = store.facts()
        hq = Hq(facts)
        assert hq.welcome() == (0, 0, 0)
        assert redeem_welcome(facts, "127.7.7.8")["decision"] == "accepted"
        until(lambda: hq.welcome() == (1, 1, 2_000), LINE_S, lambda: store.text)


def test_the_store_goes_on_without_hq_and_nothing_is_lost(tmp_path: Path) -> None:
    """HQ is killed with a sale before, one while it is away, and one after; each is counted once."""
    with running(tmp_path / "home", free_base_port()) as up:
        facts = up.facts()
        assert redeem_welcome(facts, "127.7.1.1")["decision"] == "accepted"
        until(lambda: Hq(facts).welcome() == (1, 1, 2_000), LINE_S, lambda: up.text)
        os.kill(facts["pids"]["beckon-cloud"], signal.SIGKILL)
        assert redeem_welcome(facts, "127.7.1.2")["decision"] == "accepted"
        until(
            lambda: pid_of(up, "beckon-cloud") not in (None, facts["pids"]["beckon-cloud"]),
            START_S,
            lambda: up.text,
        )
        assert pid_of(up, "beckon-agent") == facts["pids"]["beckon-agent"]
        assert redeem_welcome(facts, "127.7.1.3")["decision"] == "accepted"
        hq = Hq(facts)
        until(lambda: hq.welcome() == (3, 3, 6_000), START_S, lambda: up.text)
        assert up.stop() == 0


def test_run_json_is_gone_while_hq_cannot_start_and_the_store_goes_on(tmp_path: Path) -> None:
    """Somebody takes HQ's port while it is dead, and gives it back."""
    with running(tmp_path / "home", free_base_port()) as up:
        before = up.facts()
        port = urlsplit(before["cloud_api_url"]).port
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Whoever would start HQ again stands still until the port is somebody else's.
            up.process.send_signal(signal.SIGSTOP)
            os.kill(before["pids"]["beckon-cloud"], signal.SIGKILL)
            until(lambda: _bound(taken, port), START_S)
            taken.listen()
            up.process.send_signal(signal.SIGCONT)
            until(lambda: up.facts_now() is None, START_S, lambda: up.text)
            assert redeem_welcome(before, "127.7.5.1")["decision"] == "accepted"
        after = up.facts()
        assert after["pids"]["beckon-agent"] == before["pids"]["beckon-agent"]
        hq = Hq(after)
        until(lambda: hq.welcome() == (1, 1, 2_000), START_S, lambda: up.text)
        assert up.stop() == 0


def _bound(taken: socket.socket, port: int | None) -> bool:
    with suppress(OSError):
        taken.bind(("127.0.0.1", port))
        return True
    return False


def test_both_programs_killed_at_once_come_back(tmp_path: Path) -> None:
    with running(tmp_path / "home", free_base_port()) as up:
        before = up.facts()
        for pid in before["pids"].values():
            os.kill(pid, signal.SIGKILL)
        until(
            lambda: all(pid_of(up, name) not in (None, pid) for name, pid in before["pids"].items()), START_S
        )
        hq = Hq(before)
        assert redeem_welcome(up.facts(), "127.7.6.1")["decision"] == "accepted"
        until(lambda: hq.welcome() == (1, 1, 2_000), START_S, lambda: up.text)
        assert up.stop() == 0


def test_an_hq_that_lost_everything_gets_it_again(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base_port()
    with running(home, base) as up:
        sell(up, "127.7.2.1", 1)
        assert up.stop() == 0
    shutil.rmtree(home / "cloud")
    with running(home, base) as up:
        sell(up, "127.7.2.2", 2, within_s=START_S)
        assert "HQ does not know this store's agent; it gets a claim code" in up.text
        assert up.stop() == 0


def test_an_agent_that_lost_everything_is_enrolled_anew(tmp_path: Path) -> None:
    home, base = tmp_path / "home", free_base_port()
    with running(home, base) as up:
        sell(up, "127.7.3.1", 1)
        assert up.stop() == 0
    shutil.rmtree(home / "agent")
    with running(home, base) as up:
        sell(up, "127.7.3.2", 2, within_s=START_S)
        assert up.stop() == 0
