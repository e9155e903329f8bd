"""What HQ's operator types at HQ's machine, as real processes: users, wrong files, wrong users, taken ports."""

import asyncio
import os
import socket
import subprocess
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cloud_api import app
from cloud_api.__main__ import main
from cloud_api.adapters.sqlite import backup
from cloud_api.adapters.sqlite.file import prepare
from tests.eventually import PATIENCE_S
from tests.fakes.cloud_process import PROGRAM, CloudHome, cloud, desk
from tests.fakes.shop import NOON_MS
from tests.house.tree import ROOT
from tests.needs import needs_root

_PASSWORD = "four-words-or-letters"
_STRANGER = 1234
# Loaded while we are root: the project may lie where a stranger reads nothing.
_LOADED = (app, backup)


@pytest.fixture
def home(tmp_path: Path) -> CloudHome:
    (tmp_path / "hq").mkdir()
    return CloudHome(tmp_path / "hq")


def tell(home: CloudHome, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", PROGRAM, *words, "--config", home.command[-1]],
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def sign_in(home: CloudHome, user: str, password: str) -> int:
    async with desk(home) as visitor:
        status, _ = await visitor.ask("POST", "/v1/sessions", {"user": user, "password": password})
        return status


async def test_systemd_hears_when_hq_is_ready_alive_and_stopping(
    home: CloudHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        async with cloud(home, is_warm=False) as running:
            await heard(systemd, f"READY=1\nSTATUS=serving 127.0.0.1 port {home.port}")
            await heard(systemd, "WATCHDOG=1")
            assert running.stop() == 0
        await heard(systemd, "STOPPING=1")


async def heard(systemd: socket.socket, message: str) -> None:
    """Take what comes until it is this."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_S):
        while (await loop.sock_recv(systemd, 200)).decode() != message:
            pass


async def test_users_are_added_and_removed_by_name(home: CloudHome) -> None:
    for name in ("lin", "chen"):
        told = await asyncio.to_thread(tell, home, "user", name, typed=f"{_PASSWORD}\n")
        assert (told.returncode, told.stderr) == (0, "")
    assert tell(home, "user", "chen", "--remove").returncode == 0
    async with cloud(home):
        assert await sign_in(home, "lin", _PASSWORD) == 200
        assert await sign_in(home, "lin", _PASSWORD + "x") == 401
        assert await sign_in(home, "chen", _PASSWORD) == 401


def test_the_first_user_makes_the_file_where_only_its_owner_reads_it(home: CloudHome) -> None:
    users = home.folder / "users.json"
    users.unlink()
    assert tell(home, "user", "lin", typed=f"{_PASSWORD}\n").returncode == 0
    assert users.stat().st_mode & 0o077 == 0
    assert _PASSWORD not in users.read_text()


@pytest.mark.parametrize(
    ("words", "typed", "told"),
    [
        (("lin",), "short\n", "too short; allowed: 12 letters"),
        (("lin",), "", "too short"),
        (("",), f"{_PASSWORD}\n", "NAME is ''"),
        (("nobody", "--remove"), "", "has no user 'nobody'"),
    ],
)
def test_a_user_that_cannot_be_is_told(
    home: CloudHome, words: tuple[str, ...], typed: str, told: str
) -> None:
    before = (home.folder / "users.json").read_bytes()
    ended = tell(home, "user", *words, typed=typed)
    assert (ended.returncode, told in ended.stderr) == (2, True), ended.stderr
    assert (home.folder / "users.json").read_bytes() == before


async def test_a_port_that_is_taken_is_told_with_its_keys(home: CloudHome, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = CloudHome(tmp_path / "other")
    other.settings["port"] = home.port
    async with cloud(home):
        ended = await asyncio.to_thread(tell, other, "run")
    assert ended.returncode == 1
    assert f"settings: address = '127.0.0.1', port = {home.port}: " in ended.stderr
    assert "Errno" not in ended.stderr


def test_settings_that_are_missing_are_told_as_an_agents_are(home: CloudHome) -> None:
    del home.settings["users"]
    home.settings["prot"] = 8600
    told = tell(home, "user", "lin").stderr.splitlines()
    assert told[0].startswith("beckon-cloud: settings: users must be given: Who may sign in")
    assert told[1].startswith(
        "beckon-cloud: settings: prot = 8600: there is no such key; allowed: home, users"
    )


async def test_hqs_own_database_is_no_backup_of_it(home: CloudHome) -> None:
    async with cloud(home):
        pass
    ended = tell(home, "restore", str(home.folder / "hq" / "hq.db"))
    assert (ended.returncode, "name a backup of it" in ended.stderr) == (2, True)


class TestRoot:
    @pytest.fixture(autouse=True)
    def _root(self) -> None:
        needs_root()

    async def test_what_root_restores_is_the_services_to_open(self, home: CloudHome, tmp_path: Path) -> None:
        async with cloud(home):
            assert tell(home, "backup", str(tmp_path / "copy")).returncode == 0
        folder = home.folder / "hq"
        os.chown(folder, _STRANGER, _STRANGER)
        (folder / "hq.db.lock").unlink()
        assert tell(home, "restore", str(tmp_path / "copy")).returncode == 0
        assert {(folder / name).stat().st_uid for name in ("hq.db", "hq.db.lock")} == {_STRANGER}

    @pytest.mark.parametrize("name", ["hq.db.lock", "hq.db.restoring.part", "users.json.new"])
    def test_a_link_gives_the_service_no_file_of_roots(
        self, home: CloudHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setattr(sys, "stdin", StringIO(f"{_PASSWORD}\n"))
        folder = home.folder / "hq"
        folder.mkdir(exist_ok=True)
        prepare(tmp_path / "copy", now_ms=NOON_MS)
        roots = tmp_path / "shadow"
        roots.write_text("root's own")
        monkeypatch.setenv("BECKON_CLOUD_USERS", str(folder / "users.json"))
        os.chown(folder, _STRANGER, _STRANGER)
        (folder / name).symlink_to(roots)
        words = ("user", "lin") if name.startswith("users") else ("restore", str(tmp_path / "copy"))
        assert main([*words, "--config", home.command[-1]]) == 1
        assert (roots.read_text(), roots.stat().st_uid) == ("root's own", 0)

    @pytest.mark.parametrize("words", [("backup", "copy"), ("restore", "backup"), ("user", "lin")])
    def test_somebody_elses_home_is_told(
        self, words: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", StringIO(f"{_PASSWORD}\n"))
        with TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o755)
            (folder / "hq").mkdir(mode=0o700)
            (folder / "backup").touch()
            config = folder / "cloud.toml"
            config.write_text(
                f'home = "{folder}/hq"\nusers = "{folder}/users.json"\ntls_certificate = "x"\ntls_key = "x"\n'
            )
            os.seteuid(_STRANGER)
            try:
                code = main([words[0], str(folder / words[1]), "--config", str(config)])
            finally:
                os.seteuid(0)
        assert code == 1
        assert "permission denied; run this as root" in capsys.readouterr().err
