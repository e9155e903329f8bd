"""HQ on one machine and a box fresh from its carton on another: found on the wire, enrolled, and open for tills."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import as_file, files
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from provisioning.adapters.certificates import certify_server
from tests.fakes.agent_process import ROOT, START_S_MAX, AgentProcess, agent_command, agent_on, lay_agent_home
from tests.fakes.cloud_process import PASSWORD, USER, CloudHome
from tests.fakes.network import Host

_POLL_S = 0.1


def _hq_home(folder: Path, host: Host) -> CloudHome:
    """On a machine of its own: its TLS key is made there, and certified for its address."""
    folder.mkdir()
    home = CloudHome(folder, settings={"address": host.address})
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host.address))])
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(names, critical=False)
    request_pem = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    made = certify_server(folder, request_pem, now=datetime.now(UTC))
    (folder / "server.pem").write_text(made.chain_pem)
    (folder / "server-key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return home


def _environment() -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BECKON_")}
    return kept | {"BECKON_HQ_USER": USER, "BECKON_HQ_PASSWORD": PASSWORD}


@contextmanager
def _hq_on(host: Host, home: CloudHome) -> Iterator[None]:
    with (home.folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            host.command(*home.command), cwd=ROOT, env=_environment(), stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _beckon(host: Host, home: CloudHome, *words: str) -> subprocess.CompletedProcess[str]:
    at_hq = ("--hq", f"https://{host.address}:{home.port}", "--hq-ca", str(home.folder / "ca.pem"))
    return subprocess.run(
        host.command(sys.executable, "-m", "provisioning", *words, *at_hq),
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=150,
    )


def _once_it_answers(host: Host, home: CloudHome, *words: str) -> None:
    deadline_s = time.monotonic() + START_S_MAX
    while (done := _beckon(host, home, *words)).returncode != 0:
        assert time.monotonic() < deadline_s, done.stderr + (home.folder / "output.txt").read_text()
        assert "cannot be reached" in done.stderr, done.stderr


def _seen(agent: AgentProcess, pattern: str) -> str:
    """The first group, once the agent's log has it."""
    deadline_s = time.monotonic() + START_S_MAX
    while (found := re.search(pattern, agent.text)) is None:
        assert time.monotonic() < deadline_s, agent.text
        assert not agent.has_ended, agent.text
        time.sleep(_POLL_S)
    return found[1]


def test_a_box_on_the_wire_is_found_and_becomes_the_branchs_agent(
    hosts: tuple[Host, Host], tmp_path: Path
) -> None:
    store, desk = hosts
    hq, box = _hq_home(tmp_path / "hq", desk), lay_agent_home(tmp_path / "box")
    box.write_settings(bundle=None, staff_address=store.address, guest_address=store.address)
    with _hq_on(desk, hq), as_file(files("provisioning.shipped") / "inventory.yaml") as inventory:
        _once_it_answers(desk, hq, "hq", "certify", "--root", str(hq.folder))
        applied = _beckon(desk, hq, "apply", str(inventory), "--secrets", str(tmp_path / "secrets.json"))
        assert applied.returncode == 0, applied.stderr
        with agent_on(box, store.command(*agent_command(box))) as agent:
            fingerprint = _seen(agent, r"fingerprint='([0-9A-Z-]{9})'")
            enrolled = _beckon(desk, hq, "enrol", "HARBOUR", "harbour-1", "--box", fingerprint)
            assert enrolled.returncode == 0, enrolled.stdout + enrolled.stderr + agent.text
            assert f"Enrolling the box at {store.address}:" in enrolled.stdout
            assert _seen(agent, r"serving branch='(\w+)'") == "HARBOUR"
            again = _beckon(desk, hq, "enrol", "HARBOUR", "harbour-1", "--replace", "--box", fingerprint)
            assert (again.returncode, "no new box is announced" in again.stderr) == (1, True)
