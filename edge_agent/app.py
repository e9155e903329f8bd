"""The composition root: builds adapters and services, owns the one task group and the order of stopping.

Stopping: first the services end and the listeners take nothing more, then the line to HQ ships what is left, last the
store finishes its group and closes.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from edge_agent.adapters.clock import SystemClock
from edge_agent.adapters.entropy import SystemEntropy
from edge_agent.adapters.guest_door import Entrance, GuestDoor, limits_of_process
from edge_agent.adapters.guest_http.apps import build_guest_apps
from edge_agent.adapters.hq_client import open_hq_client
from edge_agent.adapters.lan import ZeroconfLan
from edge_agent.adapters.link_key import load_link_key
from edge_agent.adapters.neighbours import NeighbourTable
from edge_agent.adapters.pin_scrypt import pin_scrypt
from edge_agent.adapters.radio_choice import choose_radio
from edge_agent.adapters.signing import AgentKeys, load_keys
from edge_agent.adapters.sqlite_store import SqliteStore, StoreOptions, open_sqlite_store
from edge_agent.adapters.staff_http.app import build_staff_app
from edge_agent.adapters.systemd import Systemd
from edge_agent.adapters.tls import ServerTls, load_server_tls, own_server_tls
from edge_agent.adapters.visit_key_file import VisitKeyFile
from edge_agent.config import Settings
from edge_agent.ports import Clock, Entropy, Radio
from edge_agent.running import at_work, listen_on, set_up_runner
from edge_agent.services.announcing import keep_announcing
from edge_agent.services.board import Board
from edge_agent.services.cashiers import Cashiers
from edge_agent.services.enrolling import Enrolling
from edge_agent.services.hearing import Hearing
from edge_agent.services.hosting import Hosting
from edge_agent.services.issuing import Issuing
from edge_agent.services.leasing import Leasing, has_leased
from edge_agent.services.line import Line
from edge_agent.services.premises import Premises
from edge_agent.services.pruning import Pruning
from edge_agent.services.redeeming import Redeeming
from edge_agent.services.reporting import Reporting
from edge_agent.services.rights import Rights
from edge_agent.services.syncing import Syncing
from edge_agent.services.tending import Tending
from edge_agent.services.ticketing import Ticketing
from edge_agent.services.visit_keys import VisitKeys
from edge_agent.setup_mode import LINK_KEY_FILE, Machine, Start, root_in_file, start_of
from engagement.estate.bundle import Bundle

_LOG = logging.getLogger(__name__)

LEDGER_FILE = "ledger.db"
AGENT_KEYS_FILE = "agent-keys.json"
VISIT_KEYS_FILE = "visit-keys.json"
OWN_TLS_FILE = "own-tls.pem"
# HQ may have the day's last sales this long after the listeners closed; what is left goes out at the next start.
_LAST_SYNC_S_MAX = 3.0
# A phone asks for all that it needs within seconds; aiohttp would keep its place for an hour.
_GUEST_IDLE_S_MAX = 15.0
# A till keeps its connection through a quiet hour, so that a redemption waits for no handshake; aiohttp's default.
_TILL_IDLE_S_MAX = 3630.0


@dataclass(frozen=True)
class _Services:
    premises: Premises
    hosting: Hosting
    rights: Rights
    issuing: Issuing
    redeeming: Redeeming
    cashiers: Cashiers
    ticketing: Ticketing
    hearing: Hearing
    tending: Tending
    board: Board
    door: GuestDoor


async def run_agent(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; a mini-PC that knows no store yet serves its setting up first.

    Errors: BundleRefused, CertificateRefused, KeysRefused, LedgerRefused for what the caller should mend; OSError
    when a port is taken; StoreFailed when the disk fails.
    """
    stop = _stop_on_signals()
    tls = _server_tls(settings)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock, entropy, systemd = SystemClock(), SystemEntropy(), Systemd()
    line = Line(clock.now(), root_in_file=root_in_file(settings.hq_ca_file))
    machine = Machine(settings, tls, clock, entropy, line, systemd, stop)
    start = await start_of(machine)
    if start is None:
        return
    radio = await choose_radio(settings, start.bundle.own_agent, clock)
    options = StoreOptions(commit_batch_max=settings.commit_batch_max)
    opening = open_sqlite_store(settings.home / LEDGER_FILE, clock=clock, entropy=entropy, options=options)
    async with opening as store, asyncio.TaskGroup() as group:
        clock.raise_floor(store.newest_ms)
        group.create_task(store.run(), name="store")
        # The ledger remembers what the files beside it may have lost: that the budgets are the whole chain's.
        is_leased = start.bundle.is_leased or await has_leased(store)
        bundle = start.bundle.model_copy(update={"is_leased": is_leased})
        services = _build_services(settings, bundle, tls, clock, entropy, store, radio, systemd, line)
        try:
            async with (
                _linked(group, machine, services, start),
                _serving(settings, tls, services, bundle),
                _running(group, settings, bundle, entropy, services),
            ):
                _LOG.info("serving", extra={"branch": bundle.branch.code, "radio": radio.name})
                systemd.ready(f"serving {bundle.branch.code}, radio {radio.name}")
                await stop.wait()
                systemd.stopping()
        finally:
            await store.close()


def _server_tls(settings: Settings) -> ServerTls:
    """Errors: CertificateRefused; OSError."""
    if settings.tls_certificate is not None and settings.tls_key is not None:
        return load_server_tls(settings.tls_certificate, settings.tls_key)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return own_server_tls(settings.home / OWN_TLS_FILE, settings.hosts)


def _stop_on_signals() -> asyncio.Event:
    """Also where the parent had the signals ignored, as shells do for background jobs."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _build_services(
    settings: Settings,
    bundle: Bundle,
    tls: ServerTls,
    clock: Clock,
    entropy: Entropy,
    store: SqliteStore,
    radio: Radio,
    systemd: Systemd,
    line: Line,
) -> _Services:
    agent_keys: AgentKeys = load_keys(settings.home / AGENT_KEYS_FILE, entropy)
    visit_keys = VisitKeys(clock, entropy, VisitKeyFile(settings.home / VISIT_KEYS_FILE))
    premises = Premises(
        bundle=bundle,
        clock=clock,
        entropy=entropy,
        store=store,
        mint=agent_keys.mint(agent_number=bundle.agent_number, lease_number=store.lease_number),
    )
    rights = Rights(clock)
    issuing = Issuing(premises, rights)
    board = Board(bundle.branch.beacons, clock)
    hearing = Hearing(premises, issuing, radio, board)
    door = GuestDoor(clock, limits_of_process())
    return _Services(
        premises=premises,
        hosting=Hosting(premises, issuing, NeighbourTable(), visit_keys),
        rights=rights,
        issuing=issuing,
        redeeming=Redeeming(premises, agent_keys.verify),
        cashiers=Cashiers(bundle=lambda: premises.bundle, clock=clock, entropy=entropy, pin_hash=pin_scrypt),
        ticketing=Ticketing(premises, visit_keys),
        hearing=hearing,
        tending=Tending(
            premises,
            keys=visit_keys,
            radio=radio,
            hearing=hearing,
            line=line,
            rights=rights,
            life=systemd,
            guests=door,
            certificate_ends_ms=tls.ends_ms,
            is_certificate_own=tls.is_own,
            versions=(version("beckon"), f"SQLite {store.sqlite_version}"),
        ),
        board=board,
        door=door,
    )


@asynccontextmanager
async def _running(
    group: asyncio.TaskGroup, settings: Settings, bundle: Bundle, entropy: Entropy, services: _Services
) -> AsyncIterator[None]:
    """The services that work by themselves; one that fails takes the agent down, for systemd to start it anew."""
    jobs: dict[str, Coroutine[Any, Any, None]] = {
        "radio": services.hearing.listen(),
        "presence": services.hearing.attend(),
        "tending": services.tending.run(),
    }
    # On loopback there is nobody to be found by.
    if settings.announce and not ip_address(settings.staff_address).is_loopback:
        lan = ZeroconfLan.of_store(
            address=settings.staff_address,
            port=settings.staff_https_port,
            branch=bundle.branch.code,
            agent=bundle.agent,
        )
        jobs["lan"] = keep_announcing(lan, entropy)
    async with at_work(group, jobs):
        yield


@asynccontextmanager
async def _linked(
    group: asyncio.TaskGroup, machine: Machine, services: _Services, start: Start
) -> AsyncIterator[None]:
    """The line to HQ while the block runs, and once more after it; where nobody expects one it waits for a claim code."""
    settings, line, premises = machine.settings, machine.line, services.premises
    agent, clock, entropy, store = (
        premises.bundle.agent,
        premises.clock,
        premises.entropy,
        premises.store,
    )
    line.bundle_refused_because = start.damaged_because
    key = load_link_key(settings.home / LINK_KEY_FILE, entropy)
    async with open_hq_client(
        hq_url=settings.hq_url,
        ca_file=settings.hq_ca_file,
        agent=agent,
        enrolment=lambda: line.enrolment,
        clock=clock,
        entropy=entropy,
        sign=key.sign,
    ) as uplink:
        is_expected = settings.hq_url is not None or premises.bundle.is_leased
        enrolling = Enrolling(
            agent, key.public, clock, entropy, uplink, machine.enrolment_files, line, is_expected=is_expected
        )
        reporting = Reporting(
            premises,
            desk=uplink,
            health=services.tending,
            keeping=machine.kept_bundle,
            line=line,
            root_pem=lambda: line.root_pem,
            sealed_by=start.sealed_by,
        )
        syncing = Syncing(agent=agent, clock=clock, entropy=entropy, store=store, uplink=uplink, line=line)
        leasing = Leasing(
            premises, treasury=uplink, line=line, rights=services.rights, root_pem=lambda: line.root_pem
        )
        jobs = {
            "enrolling": enrolling.run(),
            "reporting": reporting.run(),
            "leasing": leasing.run(),
            "syncing": syncing.run(),
            "pruning": Pruning(clock, store).run(),
        }
        async with at_work(group, jobs):
            yield
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_SYNC_S_MAX):
                await syncing.last_sync()


@asynccontextmanager
async def _serving(
    settings: Settings, tls: ServerTls, services: _Services, bundle: Bundle
) -> AsyncIterator[None]:
    """Both guest listeners and the staff listener, until the block ends."""
    guest = build_guest_apps(
        premises=services.premises,
        hosting=services.hosting,
        issuing=services.issuing,
        ticketing=services.ticketing,
        base_url=settings.guest_base_url,
    )
    staff = build_staff_app(
        premises=services.premises,
        redeeming=services.redeeming,
        cashiers=services.cashiers,
        board=services.board,
        health=services.tending,
    )
    async with AsyncExitStack() as stack:
        http = await set_up_runner(stack, guest.http, idle_s_max=_GUEST_IDLE_S_MAX)
        https = await set_up_runner(stack, guest.https, idle_s_max=_GUEST_IDLE_S_MAX)
        address = settings.guest_address
        entrances = (
            Entrance(address, settings.guest_http_port, _server_of(http)),
            Entrance(address, settings.guest_https_port, _server_of(https), tls.context),
        )
        await stack.enter_async_context(services.door.attended(*entrances))
        till = await set_up_runner(stack, staff, idle_s_max=_TILL_IDLE_S_MAX)
        await listen_on(till, settings.staff_address, settings.staff_https_port, tls.context)
        yield


def _server_of(runner: web.AppRunner) -> web.Server:
    assert runner.server is not None
    return runner.server
