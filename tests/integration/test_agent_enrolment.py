"""What an agent keeps of its line to HQ, and how a typed code gets there."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.__main__ import main
from edge_agent.adapters.bundle_file import SealedBundleFile
from edge_agent.adapters.enrolment_files import FolderEnrolmentFiles
from edge_agent.adapters.entropy import SystemEntropy
from edge_agent.adapters.kept_twice import copies
from edge_agent.adapters.link_key import load_link_key
from edge_agent.services.enrolling import EnrolmentDamaged
from edge_agent.services.line import Enrolment
from engagement.ids import AgentName
from engagement.line.claim import claim_for, claim_text, make_claim
from tests.needs import needs_root

CODE = claim_text(claim_for(make_claim(bytes(range(15))), address="hq.test:8600", root_fingerprint=bytes(10)))


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The program takes the signals over, as programs do."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    told = {"home": str(tmp_path / "agent"), "tls_certificate": "server.pem", "tls_key": "server-key.pem"}
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items()))
    return file


def test_a_typed_code_waits_in_the_home_where_only_its_owner_reads_it(settings: Path) -> None:
    assert main(["enrol", f"  {CODE.lower()} ", "--config", str(settings)]) == 0
    claim = settings.parent / "agent" / "claim.txt"
    assert claim.read_text() == CODE.lower()
    assert claim.stat().st_mode & 0o077 == 0


def test_a_code_that_root_types_is_the_services_to_read(settings: Path) -> None:
    needs_root()  # nobody else gives files away
    home = settings.parent / "agent"
    home.mkdir()
    os.chown(home, 1234, 1235)
    assert main(["enrol", CODE, "--config", str(settings)]) == 0
    claim = (home / "claim.txt").stat()
    assert (claim.st_uid, claim.st_gid) == (1234, 1235)


def test_a_code_is_not_written_through_a_link(settings: Path) -> None:
    home, victim = settings.parent / "agent", settings.parent / "victim"
    home.mkdir()
    victim.write_text("precious")
    (home / "claim.txt.new").symlink_to(victim)
    assert main(["enrol", CODE, "--config", str(settings)]) == 1
    assert victim.read_text() == "precious"
    assert main(["enrol", CODE, "--config", str(settings)]) == 0, "the link is gone"


def test_a_mistyped_code_is_said_and_not_put_there(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enrol", CODE[:-1], "--config", str(settings)]) == 2
    assert "44 letters" in capsys.readouterr().err
    assert not (settings.parent / "agent" / "claim.txt").exists()


def test_a_home_that_cannot_be_written_is_said(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (settings.parent / "agent").write_text("no folder")
    assert main(["enrol", CODE, "--config", str(settings)]) == 1
    assert "claim.txt" in capsys.readouterr().err


def test_an_enrolment_comes_back_whole_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    files = FolderEnrolmentFiles(enrolment=tmp_path / "enrolment.json", claim=tmp_path / "claim.txt")
    assert (files.load(), files.claim_text()) == (None, None)
    enrolment = Enrolment(
        agent=AgentName("harbour-1"),
        public_key_hex="ab",
        claim_id="0123456789",
        hq_url="https://hq.test",
        root_pem="a root",
        certificate_pem="a certificate",
    )
    files.save(enrolment)
    assert files.load() == enrolment
    (tmp_path / "enrolment.json").write_bytes(b'{"agent": "harb')
    assert files.load() == enrolment, "of the spare copy"
    for each in copies(tmp_path / "enrolment.json"):
        each.write_bytes(b'{"agent": "harb')
    with pytest.raises(EnrolmentDamaged):
        files.load()


def test_the_claim_file_holds_what_was_put_there_until_it_is_used(tmp_path: Path) -> None:
    files = FolderEnrolmentFiles(enrolment=tmp_path / "enrolment.json", claim=tmp_path / "claim.txt")
    files.put_claim(CODE)
    assert files.claim_text() == CODE
    files.drop_claim()
    files.drop_claim()
    assert files.claim_text() is None


def test_a_sealed_bundle_is_kept_whole_and_replaced(tmp_path: Path) -> None:
    kept = SealedBundleFile(tmp_path / "bundle.sealed.json")
    assert kept.load(str) is None
    for text in ("门店" * 100_000, "short"):
        asyncio.run(kept.save(text))
        assert kept.load(str) == text
    assert {file.name for file in tmp_path.iterdir()} == {"bundle.sealed.json", "bundle.sealed.json.spare"}


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"signing_hex": "zz"}', b'{"signing_hex": "00"}'])
def test_a_damaged_link_key_is_set_aside_and_another_made(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "link-key.json"
    before = load_link_key(path, SystemEntropy()).public
    assert load_link_key(path, SystemEntropy()).public == before
    path.write_bytes(damage)
    assert load_link_key(path, SystemEntropy()).public == before, "of the spare copy"
    for each in copies(path):
        each.write_bytes(damage)
    after = load_link_key(path, SystemEntropy()).public
    assert after != before
    assert load_link_key(path, SystemEntropy()).public == after
    assert (tmp_path / "link-key.json.damaged").read_bytes() == damage
