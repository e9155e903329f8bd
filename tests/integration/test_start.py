"""What an agent starts from: HQ's bundle as it was kept, a local one, or setup mode; never a crash over what is damaged."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector
from aiohttp.test_utils import unused_port

from edge_agent.adapters.bundle_file import BundleRefused
from edge_agent.adapters.clock import SystemClock
from edge_agent.adapters.entropy import SystemEntropy
from edge_agent.adapters.systemd import Systemd
from edge_agent.adapters.tls import load_server_tls
from edge_agent.config import Settings
from edge_agent.services.line import Enrolment, Line
from edge_agent.setup_mode import Machine, Start, start_of
from engagement.estate.bundle import Bundle
from engagement.line.claim import make_claim
from provisioning.adapters.certificates import ensure_certificates
from tests.eventually import eventually
from tests.fakes.desk import FakeDesk
from tests.fakes.premises import harbour_bundle

HQS = harbour_bundle().model_copy(update={"sequence": 7, "is_leased": True})
LOCAL = harbour_bundle()


class Home:
    """A mini-PC's folder, and what lies in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = FakeDesk()
        self.port = unused_port()
        self.local: Path | None = None
        ensure_certificates(folder, portal_name="box.test", now=datetime.now(UTC))

    def enrol(self, *, root_pem: str | None = None) -> None:
        enrolment = Enrolment(
            agent=HQS.agent,
            public_key_hex="ab",
            claim_id=make_claim(bytes(15)).id,
            root_pem=self.desk.root.pem if root_pem is None else root_pem,
        )
        (self.folder / "enrolment.json").write_text(enrolment.model_dump_json())

    def keep(self, text: str) -> None:
        (self.folder / "bundle.sealed.json").write_text(text)

    def lay(self, bundle: Bundle | str) -> None:
        self.local = self.folder / "bundle.json"
        self.local.write_text(bundle if isinstance(bundle, str) else bundle.model_dump_json())

    def machine(self, *, is_stopped: bool = True, root_in_file: str | None = None) -> Machine:
        """``is_stopped``: setup mode, if it comes to that, is over at once."""
        server = self.folder / "server.pem", self.folder / "server-key.pem"
        settings = Settings(
            home=self.folder,
            bundle=self.local,
            staff_https_port=self.port,
            tls_certificate=server[0],
            tls_key=server[1],
        )
        clock, stop = SystemClock(), asyncio.Event()
        if is_stopped:
            stop.set()
        line = Line(clock.now(), root_in_file=root_in_file)
        return Machine(settings, load_server_tls(*server), clock, SystemEntropy(), line, Systemd(), stop)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_hqs_kept_bundle_outranks_a_local_one(home: Home) -> None:
    home.enrol()
    home.keep(home.desk.seal(HQS))
    home.lay(LOCAL)
    assert await start_of(home.machine()) == Start(HQS, home.desk.root.pem)


@pytest.mark.parametrize("enrolment", [None, b"", b'{"agent": "harb', b"{}"])
async def test_a_store_whose_enrolment_is_lost_goes_on_from_what_was_kept(
    home: Home, enrolment: bytes | None
) -> None:
    home.keep(home.desk.seal(HQS))
    if enrolment is not None:
        for each in ("enrolment.json", "enrolment.json.spare"):
            (home.folder / each).write_bytes(enrolment)
    assert await start_of(home.machine()) == Start(HQS, None), "also where nobody laid a local bundle"
    home.lay(LOCAL)
    assert await start_of(home.machine()) == Start(HQS, None)


async def test_a_store_whose_enrolment_is_unreadable_goes_on_from_what_was_kept(home: Home) -> None:
    for each in ("enrolment.json", "enrolment.json.spare"):
        (home.folder / each).mkdir()
    home.keep(home.desk.seal(HQS))
    assert await start_of(home.machine()) == Start(HQS, None)


async def test_an_enrolment_under_another_root_leaves_the_store_what_it_is(home: Home) -> None:
    home.enrol(root_pem=FakeDesk().root.pem)
    home.keep(home.desk.seal(HQS))
    assert await start_of(home.machine()) == Start(HQS, None)


async def test_an_enrolment_that_is_damaged_never_frees_a_local_budget(home: Home) -> None:
    home.enrol()
    (home.folder / "enrolment.json").write_bytes(b"")
    home.lay(LOCAL)
    assert await start_of(home.machine()) == Start(LOCAL.model_copy(update={"is_leased": True}), None)
    (home.folder / "enrolment.json").unlink()
    assert await start_of(home.machine()) == Start(LOCAL, None), "nothing says that HQ ever knew it"


async def test_an_enrolment_that_told_no_root_takes_the_one_of_the_settings(home: Home) -> None:
    home.enrol(root_pem="")
    home.keep(home.desk.seal(HQS))
    started = await start_of(home.machine(root_in_file=home.desk.root.pem))
    assert started == Start(HQS, home.desk.root.pem)


async def test_a_kept_bundle_that_is_damaged_leaves_the_local_one_and_is_told(home: Home) -> None:
    home.enrol()
    home.keep(home.desk.seal(HQS)[:-30])
    home.lay(LOCAL)
    started = await start_of(home.machine())
    assert started is not None
    assert (started.bundle, started.sealed_by) == (LOCAL.model_copy(update={"is_leased": True}), None), (
        "budgets of the whole chain are not given out by one store"
    )
    assert "it is damaged" in (started.damaged_because or "")


async def test_a_local_bundle_that_cannot_be_used_is_refused_unless_hq_will_send_one(home: Home) -> None:
    home.lay("{}")
    with pytest.raises(BundleRefused):
        await start_of(home.machine())
    home.enrol()
    assert await start_of(home.machine()) is None, "it went into setup mode and was stopped there"


async def test_a_mini_pc_that_knows_nothing_serves_its_setting_up_until_it_is_stopped(home: Home) -> None:
    machine = home.machine(is_stopped=False)
    starting = asyncio.ensure_future(start_of(machine))
    tls = ssl.create_default_context(cafile=str(home.folder / "ca.pem"))
    async with ClientSession(connector=TCPConnector(ssl=tls)) as session:

        async def codes() -> list[str]:
            async with session.get(f"https://127.0.0.1:{home.port}/health") as answer:
                return [issue["code"] for issue in (await answer.json())["issues"]]

        await eventually(lambda: machine.line.not_enrolled_because)
        assert await codes() == ["not_set_up"]
    machine.stop.set()
    assert await asyncio.wait_for(starting, 10) is None
