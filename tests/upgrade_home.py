"""Makes a home of `beckon up` as an older version leaves it, for tests/integration/test_upgrade.py to open with this one.

    git worktree add /tmp/old COMMIT
    cd /tmp/old && PYTHONPATH=/tmp/old PYTHON /path/to/this/tests/upgrade_home.py OUT_FOLDER

Everything but this file is the older version's: the store, HQ, and the calls of tests/fakes/whole_store.py. Shoppers
join, win, pay; then HQ freezes, the store goes on without it, and stops with entries that HQ never got. What was true
then stands in facts.json; the home, with its databases made small and without what is written anew at a start (logs,
the recording), in home.tar.xz. All secrets in it were drawn for it and open nothing else.
"""

import json
import os
import re
import signal
import sqlite3
import sys
import tarfile
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.fakes.agent_process import free_base_port
from tests.fakes.whole_store import LINE_S, Hq, ask, redeem_welcome, running, until

# As long as terms may say, so that old coupons can be redeemed for a year of running the test.
_USE_DAYS = 366
_LEFT_OUT = re.compile(r".*(\.log|\.jsonl|\.lock|-wal|-shm|\.ballast)$|.*/claim-code$")
_JOURNAL = "SELECT lane, COUNT(*), MAX(seq) FROM journal GROUP BY lane"


def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) / "home"
        _seed(home)
        facts = _live(home)
        databases = [path for path in home.rglob("*.db") if path.is_file()]
        for path in databases:
            _make_small(path)
        out.mkdir(parents=True)
        (out / "facts.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
        _pack(home, out / "home.tar.xz")


def _seed(home: Path) -> None:
    """Let `beckon up` lay out its files, then lengthen the welcome coupon's life before anything is published by them."""
    shipped = Path("provisioning/shipped")
    (home / "campaigns").mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    for path in (shipped / "campaigns").glob("*.yaml"):
        text = re.sub(r"use_days: \d+", f"use_days: {_USE_DAYS}", path.read_text())
        (home / "campaigns" / path.name).write_text(text)


def _live(home: Path) -> dict[str, Any]:
    with running(home, free_base_port()) as up:
        facts = up.facts()
        hq = Hq(facts)
        until(lambda: hq.agent_state() == "active", LINE_S, lambda: up.text)
        redeemed = [redeem_welcome(facts, f"127.50.0.{number}") for number in range(1, 6)]
        assert all(answer["decision"] == "accepted" for answer in redeemed), redeemed
        unused = [_join(facts, f"127.50.1.{number}") for number in range(1, 6)]
        for number in range(1, 6):
            _play(facts, f"127.50.1.{number}")
        until(lambda: _is_drained(facts), LINE_S, lambda: up.text)
        at_hq = hq.welcome()
        os.kill(facts["pids"]["beckon-cloud"], signal.SIGSTOP)
        offline = [redeem_welcome(facts, f"127.50.2.{number}") for number in range(1, 4)]
        assert all(answer["decision"] == "accepted" for answer in offline), offline
        unused += [_join(facts, f"127.50.3.{number}") for number in range(1, 4)]
        up.stop()
    with closing(sqlite3.connect(next((home / "agent").glob("*.db")))) as ledger:
        journal = {
            lane: {"entries": count, "last_seq": last} for lane, count, last in ledger.execute(_JOURNAL)
        }
    return {
        "made_ms": int(time.time() * 1000),
        "use_days": _USE_DAYS,
        "journal": journal,
        "welcome_at_hq": at_hq,
        "welcome_in_store": [len(redeemed) + len(offline) + len(unused), len(redeemed) + len(offline)],
        "unused_codes": unused,
        "redeemed_orders": [f"o-127.50.0.{number}" for number in range(1, 6)],
    }


def _join(facts: dict[str, Any], shopper: str) -> str:
    """The welcome coupon's code."""
    url = f"{facts['shopper_https_url']}/api/consent"
    _, body = ask("POST", url, facts["ca_file"], body={"terms": True}, source=shopper)
    code: str = json.loads(body)["coupons"][0]["code"]
    return code


def _play(facts: dict[str, Any], shopper: str) -> None:
    body = {"campaign": "shake", "nonce": "ab" * 16}
    status, said = ask(
        "POST", f"{facts['shopper_https_url']}/api/play", facts["ca_file"], body=body, source=shopper
    )
    assert status == 200, said


def _is_drained(facts: dict[str, Any]) -> bool:
    status, body = ask("GET", facts["health_url"], facts["ca_file"])
    assert status in (200, 503), body
    (agent,) = Hq(facts).get("/v1/agents")["agents"]
    lanes: dict[str, int] = {lane["lane"]: lane["mark"] for lane in agent["lanes"]}
    return lanes.get("money", 0) >= 15 and lanes.get("engagement", 0) >= 15


def _make_small(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _pack(home: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for path in sorted(home.rglob("*")):
            if path.is_file() and not _LEFT_OUT.match(str(path)):
                packed.add(path, arcname=str(path.relative_to(home)), recursive=False, filter=_nobodys)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
