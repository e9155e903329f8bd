"""The small adapters against the real machine: clocks, key files, systemd's socket, certificates."""

import asyncio
import os
import socket
import stat
import time
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from cryptography import x509

from edge_agent.adapters.clock import SystemClock
from edge_agent.adapters.durable_file import replace_file
from edge_agent.adapters.entropy import SystemEntropy
from edge_agent.adapters.kept_twice import KeptDamaged, copies, keep_twice, read_kept
from edge_agent.adapters.neighbours import NeighbourTable
from edge_agent.adapters.signing import KeysRefused, load_keys
from edge_agent.adapters.systemd import Systemd
from edge_agent.adapters.tls import CertificateRefused, load_server_tls, own_server_tls
from edge_agent.adapters.visit_key_file import VisitKeyFile
from edge_agent.services.visit_keys import KeyRing


def test_the_clock_agrees_with_the_machine_and_names_its_boot() -> None:
    clock = SystemClock()
    before_ms = time.time_ns() // 1_000_000
    moment = clock.now()
    after_ms = time.time_ns() // 1_000_000
    assert before_ms <= moment.wall_ms <= after_ms
    assert moment.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert moment.error_ms > 0
    assert clock.now().boottime_ms >= moment.boottime_ms


def test_the_clock_never_shows_less_than_its_floor() -> None:
    floor_ms = time.time_ns() // 1_000_000 + 86_400_000
    clock = SystemClock()
    clock.raise_floor(floor_ms)
    moment = clock.now()
    assert moment.wall_ms >= floor_ms
    assert moment.earliest_ms < floor_ms - 86_000_000


def test_a_replaced_file_is_private_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["keys"]


def test_agent_keys_are_made_once_and_sign_what_they_verify(tmp_path: Path) -> None:
    made = load_keys(tmp_path / "keys", SystemEntropy())
    read = load_keys(tmp_path / "keys", SystemEntropy())
    assert read.material == made.material
    mint = made.mint(agent_number=1, lease_number=2)
    signature = mint.sign(b"something")
    assert read.verify(mint.key_index, b"something", signature)
    assert not read.verify(mint.key_index, b"something else", signature)
    assert not read.verify(mint.key_index + 1, b"something", signature)


def test_keys_that_are_damaged_come_back_from_their_spare_copy(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    made = load_keys(path, SystemEntropy())
    path.write_text('{"key_index": 1}')
    assert load_keys(path, SystemEntropy()).material == made.material
    path.unlink()
    assert load_keys(path, SystemEntropy()).material == made.material
    assert path.exists()


def test_keys_of_which_no_copy_is_right_are_refused_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for each in copies(path):
        each.write_text('{"key_index": 1}')
    with pytest.raises(KeysRefused, match="spare copy"):
        load_keys(path, SystemEntropy())
    assert path.read_text() == '{"key_index": 1}'


@pytest.mark.parametrize("unreadable", [0, 1], ids=["keys", "spare"])
def test_keys_that_may_be_whole_and_cannot_be_read_are_not_said_to_be_lost(
    tmp_path: Path, unreadable: int
) -> None:
    """Or whoever mends it would move them away, and with them the worth of every coupon that was given out."""
    both = copies(tmp_path / "keys")
    both[1 - unreadable].write_text("damaged")
    both[unreadable].mkdir()  # root reads whatever else one could forbid
    with pytest.raises(KeysRefused, match=r"cannot be read \(Is a directory\)") as refused:
        load_keys(tmp_path / "keys", SystemEntropy())
    assert "move" not in str(refused.value)
    assert str(both[unreadable]) in str(refused.value)


def test_the_visit_key_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    file = VisitKeyFile(tmp_path / "visit")
    assert file.load() is None
    ring = KeyRing(cookie_key_hex="aa", today_hex="bb", yesterday_hex=None, minted_ms=5)
    file.save(ring)
    assert VisitKeyFile(tmp_path / "visit").load() == ring
    (tmp_path / "visit").write_bytes(b"")
    assert file.load() == ring
    for each in copies(tmp_path / "visit"):
        each.write_bytes(b'{"cookie_key_hex": "aa"')
    assert file.load() is None
    assert not any(each.exists() for each in copies(tmp_path / "visit")), "no old key outlives its day"


def test_what_is_kept_twice_outlives_the_loss_of_either_copy(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    assert read_kept(path, int) is None
    keep_twice(path, b"7")
    for spoilt in copies(path):
        for damage in (b"", b"no number"):
            spoilt.write_bytes(damage)
            assert read_kept(path, int) == 7
            assert [each.read_bytes() for each in copies(path)] == [b"7", b"7"]
        spoilt.unlink()
        spoilt.mkdir()
        assert read_kept(path, int) == 7, "a copy that cannot be put right keeps nobody from the other"
        spoilt.rmdir()
        assert read_kept(path, int) == 7
    for each in copies(path):
        each.write_bytes(b"")
    with pytest.raises(KeptDamaged):
        read_kept(path, int)


def test_a_copy_that_was_not_replaced_yet_does_not_count(tmp_path: Path) -> None:
    """As after a cut of power between the two."""
    path = tmp_path / "kept"
    keep_twice(path, b"7")
    path.write_bytes(b"8")
    assert read_kept(path, int) == 8
    path.unlink()
    assert read_kept(path, int) == 8


def test_what_did_not_fit_takes_no_room(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(tmp_path / "kept", b"something")
    assert os.listdir(tmp_path) == ["kept"]


def test_each_loopback_address_is_another_phone_and_no_address_shows_in_the_handle() -> None:
    table = NeighbourTable()
    handles = {table.handset(f"127.0.0.{last}") for last in range(1, 255)}
    assert len(handles) == 254
    assert table.handset("127.0.0.1") == table.handset("127.0.0.1")
    assert all(b"127.0.0" not in handle for handle in handles)


async def test_systemd_hears_ready_alive_and_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        systemd = Systemd()
        assert systemd.watchdog_s == 30.0
        systemd.ready("serving HARBOUR")
        systemd.alive()
        systemd.stopping()
        loop = asyncio.get_running_loop()
        heard = [await loop.sock_recv(server, 200) for _ in range(3)]
    assert heard == [b"READY=1\nSTATUS=serving HARBOUR", b"WATCHDOG=1", b"STOPPING=1"]


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    systemd = Systemd()
    systemd.ready("serving")
    assert systemd.watchdog_s is None


def test_a_certificate_that_is_none_is_refused_with_its_files(tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "key.pem"
    certificate.write_text("no certificate")
    key.write_text("no key")
    with pytest.raises(CertificateRefused, match=r"server\.pem .* needs a PEM chain"):
        load_server_tls(certificate, key)


def test_a_key_that_is_missing_or_anothers_is_told_in_words(tmp_path: Path) -> None:
    for name in ("one.pem", "other.pem"):
        own_server_tls(tmp_path / name, ["store.test"])
    with pytest.raises(CertificateRefused, match="the key is another certificate's"):
        load_server_tls(tmp_path / "one.pem", tmp_path / "other.pem")
    with pytest.raises(CertificateRefused, match=r"key\.pem: No such file or directory;"):
        load_server_tls(tmp_path / "one.pem", tmp_path / "key.pem")


def test_an_own_certificate_is_made_once_for_its_hosts_and_never_ends(tmp_path: Path) -> None:
    path, hosts = tmp_path / "own.pem", ["192.0.2.7", "192.0.2.7", "store.test"]
    made = own_server_tls(path, hosts)
    assert made.is_own
    assert made.ends_ms > 2**47
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    own_server_tls(path, hosts)
    assert path.read_bytes() == before
    for spoilt in (b"", b"nonsense", before[:-200], before[300:]):
        path.write_bytes(spoilt)
        own_server_tls(path, hosts)
        assert path.read_bytes() not in (spoilt, before)
    before = path.read_bytes()
    own_server_tls(path, ["192.0.2.8"])
    assert path.read_bytes() != before, "it is called something else now"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("fe80::1%eth0", x509.IPAddress(IPv6Address("fe80::1"))),
        ("门店.test", x509.DNSName("xn--hxt544j.test")),
    ],
    ids=["with a zone", "Chinese"],
)
def test_an_own_certificate_is_made_once_for_any_host_that_settings_may_name(
    tmp_path: Path, host: str, name: x509.GeneralName
) -> None:
    path = tmp_path / "own.pem"
    own_server_tls(path, [host])
    before = path.read_bytes()
    own_server_tls(path, [host])
    assert path.read_bytes() == before
    names = x509.load_pem_x509_certificate(before).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert list(names.value) == [name]


def test_an_own_certificate_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.pem").mkdir()
    with pytest.raises(CertificateRefused, match="no certificate can be made"):
        own_server_tls(tmp_path / "own.pem", ["192.0.2.7"])
