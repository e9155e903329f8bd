"""``beckon up``: one store and its HQ on this machine, from an empty folder to healthy programs, until it is told to stop.

HQ starts first; it is certified by the home's root, laid out from the home's files through its API, and asked for a claim
code; then the agent starts, enrols with it, and serves from the bundle that HQ seals for it. An agent that has its bundle
already opens without HQ.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from typing_extensions import override

from engagement.estate.planning import Wanted
from engagement.ids import AgentName
from provisioning.adapters.certificates import FolderRoot
from provisioning.adapters.health_probe import ask_health
from provisioning.adapters.home import Home
from provisioning.adapters.home_files import only_owner
from provisioning.adapters.hq_calls import HqCalls
from provisioning.adapters.make_parent import MakeParent
from provisioning.adapters.ports_taken import Holder, holder_of, is_free
from provisioning.adapters.program_settings import agent_settings, cloud_settings, outranking
from provisioning.adapters.programs import ChildProgram
from provisioning.adapters.terminal import is_private, say
from provisioning.adapters.yaml_files import read_chain
from provisioning.config import UpSettings
from provisioning.faults import WorkFailed
from provisioning.services.applying import Applying
from provisioning.services.enrolling import Enrolling
from provisioning.services.laying_out import LaidOut, LayingOut
from provisioning.services.opening import Opening, StoreHere
from provisioning.services.seeding import (
    HQ_USER,
    HomeState,
    branch_digest,
    chain_secrets,
    digest_of,
    home_secrets,
    hq_users,
    store_here,
    wanted_of,
)
from provisioning.services.store_address import ADDRESS, StoreAddress, portal_name, summary
from provisioning.services.supervising import Patience, Supervisor

AGENT, CLOUD = "beckon-agent", "beckon-cloud"
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


@dataclass(frozen=True, slots=True)
class _Prepared:
    """``digest``: of all that HQ is to be told."""

    home: Home
    here: StoreHere
    agent: AgentName
    wanted: Wanted
    digest: str


def _prepare(home: Home, address: StoreAddress) -> _Prepared:
    """Everything that the programs read, made or brought up to date; what is there stays."""
    home.seed_files()
    written = read_chain(home.inventory_file, home.campaign_files())
    branch, agent = store_here(written.inventory)
    with home.secrets.turn():
        before, kept = home.read_secrets(), home.secrets.read()
        known = chain_secrets(kept, before, written.inventory)
        if known != kept:
            home.secrets.write(known)
        own = home_secrets(before)
        if own != before:
            home.write_secrets(own)
    home.ensure_certificates(portal_name(branch))
    here = StoreHere(branch, address, home.ca_file, own, known)
    _follow_branch(home, here, agent)
    home.write_settings(home.agent_settings_file, agent_settings(home, address))
    home.write_users(hq_users(own))
    home.write_settings(home.cloud_settings_file, cloud_settings(home, address))
    campaigns = written.campaigns or ()
    return _Prepared(
        home=home,
        here=here,
        agent=agent,
        wanted=wanted_of(written.inventory, campaigns),
        digest=digest_of(written.inventory, campaigns, known),
    )


def _follow_branch(home: Home, here: StoreHere, agent: AgentName) -> None:
    """The recording is of this branch's beacons; and an agent that is to be another one begins anew."""
    state, digest = home.read_state(), branch_digest(here.branch)
    if state is not None and (state.branch, state.agent) != (here.branch.code, agent):
        aside = home.set_agent_aside(state, branch=here.branch.code, agent=agent)
        say(f"{state.agent} of {state.branch} ran here before; all it had is in {aside}.")
    if state is None or state.recording != digest or not home.recording_file.exists():
        say("Writing the recording for a machine without Bluetooth ...")
        home.write_recording(here.branch)
    laid_out, revision = (state.laid_out, state.revision) if state is not None else ("", 0)
    now = HomeState(
        branch=here.branch.code, agent=agent, laid_out=laid_out, revision=revision, recording=digest
    )
    if now != state:
        home.write_state(now)


class _Mark(LaidOut):
    """In the home's state."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @override
    def read(self) -> tuple[str, int]:
        state = self._home.read_state()
        return (state.laid_out, state.revision) if state is not None else ("", 0)

    @override
    def write(self, digest: str, revision: int) -> None:
        state = self._home.read_state()
        assert state is not None, "it is written before any program starts"
        self._home.write_state(state.model_copy(update={"laid_out": digest, "revision": revision}))


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


async def _run(store: _Prepared, stop_on: Sequence[signal.Signals]) -> None:
    """Keep both programs alive until a signal, or until make stops us. Errors: WorkFailed, ConfigurationWrong."""
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_on:
        loop.add_signal_handler(number, told_to_stop.set)
    enrolling = _enrolling(store)
    opening = _opening(store, enrolling)
    cloud = Supervisor(_cloud(store), opening, _CLOUD_PATIENCE)
    say(f"Starting {CLOUD} ...")
    greeting = asyncio.create_task(opening.open())
    # In the order in which they are stopped.
    jobs = [
        asyncio.create_task(_keep_agent(store, opening, enrolling)),
        asyncio.create_task(enrolling.run()),
        asyncio.create_task(cloud.keep_running()),
    ]
    watching = asyncio.create_task(_until_stopped(told_to_stop, MakeParent()))
    await asyncio.wait({*jobs, watching}, return_when=asyncio.FIRST_COMPLETED)
    if watching.done():
        say("Stopping ...")
    watching.cancel()
    for job in (greeting, *jobs):
        job.cancel()
        await asyncio.wait({job})
    for failure in [job.exception() for job in (greeting, *jobs) if not job.cancelled()]:
        if failure is not None:
            raise failure


async def _keep_agent(store: _Prepared, opening: Opening, enrolling: Enrolling) -> None:
    """Start it once HQ has its say about it, or without HQ."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_HQ_FIRST_S):
            await enrolling.answered.wait()
    say(f"Starting {AGENT} ...")
    await Supervisor(_agent(store), opening, _AGENT_PATIENCE).keep_running()


def _opening(store: _Prepared, enrolling: Enrolling) -> Opening:
    home, here = store.home, store.here
    logs = (home.log_file, home.cloud_log_file)
    return Opening(
        store=here,
        programs=(AGENT, CLOUD),
        ask=lambda program: {AGENT: _agent, CLOUD: _cloud}[program](store).health(),
        run_file=home,
        settled=enrolling.settled,
        greeting=lambda facts: summary(
            here.branch, facts, home=home.folder, logs=logs, is_private=is_private()
        ),
        tell=say,
    )


def _enrolling(store: _Prepared) -> Enrolling:
    home, here = store.home, store.here
    hq = HqCalls(
        url=here.address.cloud_api_url, ca_file=here.ca_file, user=HQ_USER, password=here.hq.hq_password
    )
    return Enrolling(
        branch=here.branch.code,
        agent=store.agent,
        hq=hq,
        root=FolderRoot(home.tls_folder),
        files=LayingOut(
            applying=Applying(hq, home.secrets, insists=True),
            wanted=store.wanted,
            digest=store.digest,
            mark=_Mark(home),
            file=str(home.inventory_file),
            say=say,
        ),
        agent_health=lambda: asyncio.to_thread(ask_health, here.address.health_url, here.ca_file),
        put_claim=home.write_claim,
        say=say,
    )


def _agent(store: _Prepared) -> ChildProgram:
    home, address = store.home, store.here.address
    return ChildProgram(
        program=AGENT,
        module="edge_agent",
        arguments=("run", "--config", str(home.agent_settings_file)),
        log=home.log_file,
        health_url=address.health_url,
        ca_file=home.ca_file,
        without=outranking("BECKON_AGENT_", agent_settings(home, address)),
    )


def _cloud(store: _Prepared) -> ChildProgram:
    home, address = store.home, store.here.address
    return ChildProgram(
        program=CLOUD,
        module="cloud_api",
        arguments=("run", "--config", str(home.cloud_settings_file)),
        log=home.cloud_log_file,
        health_url=address.cloud_health_url,
        ca_file=home.ca_file,
        without=outranking("BECKON_CLOUD_", cloud_settings(home, address)),
    )


async def _until_stopped(told_to_stop: asyncio.Event, parent: MakeParent) -> None:
    while not parent.has_stopped_us():
        with suppress(TimeoutError):
            async with asyncio.timeout(_PARENT_POLL_S):
                await told_to_stop.wait()
                return
