"""``beckon up``: one store and its HQ on this machine, from an empty folder to healthy programs, until it is told to stop."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from engagement.estate.branch import Branch
from engagement.ids import AgentName
from provisioning.adapters.certificates import FolderRoot
from provisioning.adapters.health_probe import ask_health
from provisioning.adapters.home import Home
from provisioning.adapters.home_files import only_owner
from provisioning.adapters.hq_calls import HqCalls
from provisioning.adapters.make_parent import MakeParent
from provisioning.adapters.ports_taken import Holder, holder_of, is_free
from provisioning.adapters.programs import ChildProgram
from provisioning.adapters.terminal import is_private, say
from provisioning.adapters.yaml_files import read_campaigns, read_inventory
from provisioning.config import UpSettings
from provisioning.faults import WorkFailed
from provisioning.ports import Health, Watcher
from provisioning.services.enrolling import Enrolling
from provisioning.services.seeding import (
    HQ_USER,
    HomeSecrets,
    complete_secrets,
    hq_users,
    make_bundle,
    make_chain,
    member_ids,
)
from provisioning.services.store_address import ADDRESS, StoreAddress, portal_name, run_facts, summary
from provisioning.services.supervising import Patience, Supervisor

AGENT, CLOUD = "beckon-agent", "beckon-cloud"
PROGRAMS = (AGENT, CLOUD)
_PARENT_POLL_S = 0.5
# An agent whose `beckon up` was killed stops by itself; its ports are worth waiting for.
_OWN_LEFTOVER_S = 20.0
# The store opens without HQ when HQ takes longer than this; an HQ that is there first spares the agent its first wait.
_HQ_FIRST_S = 15.0
# They stop one after the other, the agent first, because it ships what it still has; 20 s is promised for both. Each
# waits 3 s for open requests, the agent 3 s more for its last sync.
_AGENT_PATIENCE, _CLOUD_PATIENCE = Patience(stop_s=12.0), Patience(stop_s=6.0)


def up(settings: UpSettings, stop_on: Sequence[signal.Signals]) -> None:
    """Run until one of the signals. Errors: WorkFailed, ConfigurationWrong."""
    # Also what the programs make is for this user alone.
    os.umask(0o077)
    home = Home(settings.home.expanduser().resolve())
    home.make_folders()
    with only_owner(home.lock_file):
        home.remove_run_facts()
        address = StoreAddress(settings.port)
        store = _prepare(home, address)
        _await_ports(home, address)
        try:
            asyncio.run(_run(store, stop_on))
        finally:
            home.remove_run_facts()
    say("Stopped.")


@dataclass(slots=True)
class Store(Watcher):
    """The store as it runs: what stands in ``run.json``, and what the terminal is told.

    ``run.json`` is there while every program serves, or dies and is expected back at once.
    """

    home: Home
    address: StoreAddress
    branch: Branch
    agent: AgentName
    known: HomeSecrets
    _serving: dict[str, tuple[int, Health]] = field(default_factory=dict, init=False)
    _greeted: bool = field(default=False, init=False)

    @override
    def serving(self, name: str, pid: int, health: Health) -> None:
        self._serving[name] = (pid, health)
        if self._greeted:
            say(f"{name} is healthy again as process {pid}.")
        if all(program in self._serving for program in PROGRAMS):
            self._all_serve()

    def _all_serve(self) -> None:
        facts = run_facts(
            branch=self.branch,
            address=self.address,
            ca_file=self.home.ca_file,
            known=self.known,
            radio=self._serving[AGENT][1].radio,
            pids={program: self._serving[program][0] for program in PROGRAMS},
        )
        self.home.write_run_facts(facts)
        if not self._greeted:
            self._greeted = True
            self._greet(facts)

    def _greet(self, facts: dict[str, Any]) -> None:
        home = self.home
        logs = (home.log_file, home.cloud_log_file)
        say(summary(self.branch, facts, home=home.folder, logs=logs, is_private=is_private()))
        for program in PROGRAMS:
            for complaint in self._serving[program][1].complaints:
                say(f"  note: {complaint}")

    @override
    def gone(self, name: str) -> None:
        self._serving.pop(name, None)
        self.home.remove_run_facts()

    @override
    def say(self, sentence: str) -> None:
        say(sentence)


def _prepare(home: Home, address: StoreAddress) -> Store:
    """Everything that the programs read, made or brought up to date; what is there stays."""
    home.seed_files()
    inventory = read_inventory(home.inventory_file)
    campaigns = read_campaigns(home.campaign_files())
    branch = inventory.branches[0]
    before = home.read_secrets()
    known = complete_secrets(before, branch, member_ids(inventory))
    if known != before:
        home.write_secrets(known)
    published = home.read_bundle()
    bundle = make_bundle(inventory, campaigns, known, published)
    chain = make_chain(inventory, bundle)
    # The recording is of this branch's beacons, so it follows them.
    if not home.recording_file.exists() or published is None or published.branch != branch:
        say("Writing the recording for a machine without Bluetooth ...")
        home.write_recording(branch)
    if bundle != published:
        home.write_bundle(bundle)
    home.ensure_certificates(portal_name(branch))
    home.write_settings(home.agent_settings_file, _agent_settings(home, address))
    home.write_estate(chain)
    home.write_users(hq_users(known))
    home.write_settings(home.cloud_settings_file, _cloud_settings(home, address))
    return Store(home, address, branch, bundle.agent, known)


def _agent_settings(home: Home, address: StoreAddress) -> dict[str, str | int]:
    """The agent's settings that this home decides; the others are open to BECKON_AGENT_*."""
    return {
        "home": str(home.agent_folder),
        "bundle": str(home.bundle_file),
        "guest_address": ADDRESS,
        "guest_http_port": address.guest_http_port,
        "guest_https_port": address.guest_https_port,
        "staff_address": ADDRESS,
        "staff_https_port": address.staff_https_port,
        "tls_certificate": str(home.tls_folder / "server.pem"),
        "tls_key": str(home.tls_folder / "server-key.pem"),
        "recording": str(home.recording_file),
        "hq_url": address.cloud_api_url,
        "hq_ca_file": str(home.ca_file),
        "claim_file": str(home.claim_file),
    }


def _cloud_settings(home: Home, address: StoreAddress) -> dict[str, str | int]:
    """As for the agent; the others are open to BECKON_CLOUD_*."""
    return {
        "home": str(home.cloud_folder),
        "estate": str(home.estate_file),
        "users": str(home.users_file),
        "address": ADDRESS,
        "port": address.cloud_port,
        "tls_certificate": str(home.tls_folder / "server.pem"),
        "tls_key": str(home.tls_folder / "server-key.pem"),
    }


def _await_ports(home: Home, address: StoreAddress) -> None:
    """Errors: WorkFailed naming the port and who holds it."""
    deadline_mono_s = time.monotonic() + _OWN_LEFTOVER_S
    for port in address.ports:
        while not is_free(ADDRESS, port):
            holder = holder_of(port)
            if not _is_ours(holder, home) or time.monotonic() > deadline_mono_s:
                raise WorkFailed(
                    f"port {port} is in use by {holder}; stop that, or set BECKON_PORT to another base "
                    f"(now {address.base_port})"
                )
            time.sleep(0.1)


def _is_ours(holder: Holder, home: Home) -> bool:
    command = holder.command or ""
    return str(home.agent_settings_file) in command or str(home.cloud_settings_file) in command


async def _run(store: Store, stop_on: Sequence[signal.Signals]) -> None:
    """Keep both programs alive until a signal, or until make stops us. Errors: WorkFailed."""
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_on:
        loop.add_signal_handler(number, told_to_stop.set)
    enrolling = _enrolling(store)
    cloud = Supervisor(_cloud(store), store, _CLOUD_PATIENCE)
    say(f"Starting {CLOUD} ...")
    # In the order in which they are stopped.
    jobs = [
        asyncio.create_task(_keep_agent(store, enrolling)),
        asyncio.create_task(enrolling.run()),
        asyncio.create_task(cloud.keep_running()),
    ]
    watching = asyncio.create_task(_until_stopped(told_to_stop, MakeParent()))
    await asyncio.wait({*jobs, watching}, return_when=asyncio.FIRST_COMPLETED)
    if watching.done():
        say("Stopping ...")
    watching.cancel()
    for job in jobs:
        job.cancel()
        await asyncio.wait({job})
    for failure in [job.exception() for job in jobs if not job.cancelled()]:
        if failure is not None:
            raise failure


async def _keep_agent(store: Store, enrolling: Enrolling) -> None:
    """Start it once HQ has its say about it, or without HQ."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_HQ_FIRST_S):
            await enrolling.answered.wait()
    say(f"Starting {AGENT} ...")
    await Supervisor(_agent(store), store, _AGENT_PATIENCE).keep_running()


def _enrolling(store: Store) -> Enrolling:
    address, ca_file = store.address, store.home.ca_file
    return Enrolling(
        branch=store.branch.code,
        agent=store.agent,
        hq=HqCalls(
            url=address.cloud_api_url, ca_file=ca_file, user=HQ_USER, password=store.known.hq_password
        ),
        root=FolderRoot(store.home.tls_folder),
        agent_health=lambda: asyncio.to_thread(ask_health, address.health_url, ca_file),
        put_claim=store.home.write_claim,
        say=say,
    )


def _agent(store: Store) -> ChildProgram:
    home, address = store.home, store.address
    return ChildProgram(
        program=AGENT,
        module="edge_agent",
        arguments=("run", "--config", str(home.agent_settings_file)),
        log=home.log_file,
        health_url=address.health_url,
        ca_file=home.ca_file,
        without=_variables("BECKON_AGENT_", _agent_settings(home, address)),
    )


def _cloud(store: Store) -> ChildProgram:
    home, address = store.home, store.address
    return ChildProgram(
        program=CLOUD,
        module="cloud_api",
        arguments=("run", "--config", str(home.cloud_settings_file)),
        log=home.cloud_log_file,
        health_url=address.cloud_health_url,
        ca_file=home.ca_file,
        without=_variables("BECKON_CLOUD_", _cloud_settings(home, address)),
    )


def _variables(prefix: str, settings: dict[str, str | int]) -> frozenset[str]:
    """The variables that would outrank what this home decides."""
    return frozenset(f"{prefix}{key.upper()}" for key in settings)


async def _until_stopped(told_to_stop: asyncio.Event, parent: MakeParent) -> None:
    while not parent.has_stopped_us():
        with suppress(TimeoutError):
            async with asyncio.timeout(_PARENT_POLL_S):
                await told_to_stop.wait()
                return
