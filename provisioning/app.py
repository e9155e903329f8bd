"""``beckon up``: one whole store on this machine, from an empty folder to a healthy agent, until it is told to stop."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from engagement.estate.branch import Branch
from provisioning.adapters.home import Home
from provisioning.adapters.home_files import only_owner
from provisioning.adapters.make_parent import MakeParent
from provisioning.adapters.ports_taken import Holder, holder_of, is_free
from provisioning.adapters.programs import ChildProgram
from provisioning.adapters.terminal import is_private, say
from provisioning.adapters.yaml_files import read_campaigns, read_inventory
from provisioning.config import UpSettings
from provisioning.faults import WorkFailed
from provisioning.ports import Health, Watcher
from provisioning.services.seeding import HomeSecrets, complete_secrets, make_bundle, member_ids
from provisioning.services.store_address import ADDRESS, StoreAddress, portal_name, run_facts, summary
from provisioning.services.supervising import Supervisor

AGENT = "beckon-agent"
_PARENT_POLL_S = 0.5
# An agent whose `beckon up` was killed stops by itself; its ports are worth waiting for.
_OWN_LEFTOVER_S = 20.0


def up(settings: UpSettings, stop_on: Sequence[signal.Signals]) -> None:
    """Run until one of the signals. Errors: WorkFailed, ConfigurationWrong."""
    # Also what the agent makes is for this user alone.
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
    """The store as it runs: what stands in ``run.json``, and what the terminal is told."""

    home: Home
    address: StoreAddress
    branch: Branch
    known: HomeSecrets
    _greeted: bool = field(default=False, init=False)

    @override
    def serving(self, name: str, pid: int, health: Health) -> None:
        facts = run_facts(
            branch=self.branch,
            address=self.address,
            ca_file=self.home.ca_file,
            known=self.known,
            radio=health.radio,
            pids={name: pid},
        )
        self.home.write_run_facts(facts)
        if self._greeted:
            say(f"{name} is healthy again as process {pid}.")
            return
        self._greeted = True
        home = self.home
        say(summary(self.branch, facts, home=home.folder, log=home.log_file, is_private=is_private()))
        for complaint in health.complaints:
            say(f"  note: {complaint}")

    @override
    def gone(self, name: str) -> None:
        self.home.remove_run_facts()

    @override
    def say(self, sentence: str) -> None:
        say(sentence)


def _prepare(home: Home, address: StoreAddress) -> Store:
    """Everything that the agent reads, made or brought up to date; what is there stays."""
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
    # The recording is of this branch's beacons, so it follows them.
    if not home.recording_file.exists() or published is None or published.branch != branch:
        say("Writing the recording for a machine without Bluetooth ...")
        home.write_recording(branch)
    if bundle != published:
        home.write_bundle(bundle)
    home.ensure_certificates(portal_name(branch))
    home.write_agent_settings(_agent_settings(home, address))
    return Store(home, address, branch, known)


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
    }


def _await_ports(home: Home, address: StoreAddress) -> None:
    """Errors: WorkFailed naming the port and who holds it."""
    deadline_mono_s = time.monotonic() + _OWN_LEFTOVER_S
    for port in address.ports:
        while not is_free(ADDRESS, port):
            holder = holder_of(port)
            if not _is_our_agent(holder, home.agent_settings_file) or time.monotonic() > deadline_mono_s:
                raise WorkFailed(
                    f"port {port} is in use by {holder}; stop that, or set BECKON_PORT to another base "
                    f"(now {address.base_port})"
                )
            time.sleep(0.1)


def _is_our_agent(holder: Holder, settings_file: Path) -> bool:
    return holder.command is not None and str(settings_file) in holder.command


async def _run(store: Store, stop_on: Sequence[signal.Signals]) -> None:
    """Keep the agent alive until a signal, or until make stops us."""
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_on:
        loop.add_signal_handler(number, told_to_stop.set)
    agent = ChildProgram(
        program=AGENT,
        module="edge_agent",
        arguments=("run", "--config", str(store.home.agent_settings_file)),
        log=store.home.log_file,
        health_url=store.address.health_url,
        ca_file=store.home.ca_file,
        without=frozenset(
            f"BECKON_AGENT_{key.upper()}" for key in _agent_settings(store.home, store.address)
        ),
    )
    say(f"Starting {AGENT} ...")
    keeping = asyncio.create_task(Supervisor(agent, store).keep_running())
    watching = asyncio.create_task(_until_stopped(told_to_stop, MakeParent()))
    await asyncio.wait({keeping, watching}, return_when=asyncio.FIRST_COMPLETED)
    if watching.done():
        say("Stopping ...")
    keeping.cancel()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await keeping


async def _until_stopped(told_to_stop: asyncio.Event, parent: MakeParent) -> None:
    while not parent.has_stopped_us():
        with suppress(TimeoutError):
            async with asyncio.timeout(_PARENT_POLL_S):
                await told_to_stop.wait()
                return
