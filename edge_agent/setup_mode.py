"""What an agent starts from: HQ's bundle as it was kept, a local one, or setup mode until HQ has given one.

A bundle that was kept and is damaged never keeps the agent from starting: the store's line to HQ is what mends it. Nor does an
enrolment that is lost: the store goes on from the bundle that was kept, and where that is gone as well, on what HQ leased
it. Setup mode ends in the same process as soon as the first bundle is kept; the staff listener is then the store's own.
"""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from edge_agent.adapters.bundle_file import BundleRefused, SealedBundleFile, read_bundle
from edge_agent.adapters.enrolment_files import FolderEnrolmentFiles
from edge_agent.adapters.hq_client import open_hq_client
from edge_agent.adapters.lan import ZeroconfLan
from edge_agent.adapters.link_key import load_link_key
from edge_agent.adapters.staff_http.setup import build_setup_app
from edge_agent.adapters.systemd import Systemd
from edge_agent.adapters.tls import ServerTls
from edge_agent.config import Settings
from edge_agent.ports import Clock, Entropy
from edge_agent.running import at_work, listen_on, set_up_runner
from edge_agent.services.announcing import keep_announcing
from edge_agent.services.enrolling import Enrolling, EnrolmentDamaged
from edge_agent.services.line import Line
from edge_agent.services.reporting import recall
from edge_agent.services.setting_up import BoxKey, SettingUp
from engagement.estate.bundle import Bundle
from engagement.estate.receiving import BundleUnfit
from engagement.line.setup import key_fingerprint

_LOG = logging.getLogger(__name__)

LINK_KEY_FILE = "link-key.json"
ENROLMENT_FILE = "enrolment.json"
BUNDLE_FILE = "bundle.sealed.json"
# The desk asks every second while it enrols.
_IDLE_S_MAX = 30.0


class Start(NamedTuple):
    """``sealed_by``: HQ's root that vouches for the bundle; None for a local one, and where that root is not known any more.
    ``damaged_because``: why one that was kept is not it."""

    bundle: Bundle
    sealed_by: str | None
    damaged_because: str | None = None


class _Damaged(NamedTuple):
    because: str | None


@dataclass(frozen=True)
class Machine:
    """What every part of the agent works on, whether it serves a store yet or not."""

    settings: Settings
    tls: ServerTls
    clock: Clock
    entropy: Entropy
    line: Line
    systemd: Systemd
    stop: asyncio.Event

    @property
    def enrolment_files(self) -> FolderEnrolmentFiles:
        return FolderEnrolmentFiles(
            enrolment=self.settings.home / ENROLMENT_FILE, claim=self.settings.claim_path
        )

    @property
    def kept_bundle(self) -> SealedBundleFile:
        return SealedBundleFile(self.settings.home / BUNDLE_FILE)


def root_in_file(ca_file: Path | None) -> str | None:
    """HQ's root for agents whose enrolment told none; what is wrong with the file, the line to HQ says."""
    if ca_file is None:
        return None
    try:
        return ca_file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None


async def start_of(machine: Machine) -> Start | None:
    """What to serve, waited for in setup mode where nothing is known; None when the agent is stopped before.

    Errors: BundleRefused; CertificateRefused; OSError when the staff port is taken.
    """
    known = _known(machine)
    if isinstance(known, Start):
        return known
    return await _set_up(machine, known.because)


def _known(machine: Machine) -> Start | _Damaged:
    """Errors: BundleRefused by a local bundle that nothing outranks."""
    settings, damaged = machine.settings, None
    is_enrolled, is_spoilt, root_pem = _enrolment(machine)
    try:
        kept = recall(machine.kept_bundle, root_pem=root_pem)
    except BundleUnfit as unfit:
        damaged = str(unfit)
        _LOG.error("the kept bundle cannot be used", extra={"because": damaged})
    else:
        if kept is not None:
            return Start(kept.bundle, kept.sealed_by)
    if settings.bundle is None:
        return _Damaged(damaged)
    try:
        local = read_bundle(settings.bundle)
    except BundleRefused as refused:
        if not (is_enrolled or is_spoilt or damaged):
            raise
        _LOG.error("the local bundle cannot be used", extra={"because": str(refused)})
        return _Damaged(damaged or str(refused))
    # Where HQ leased, the chain's budgets are not this store's own, whatever the file says of them.
    is_leased = local.is_leased or is_spoilt or damaged is not None
    return Start(local.model_copy(update={"is_leased": is_leased}), None, damaged)


class _Enrolled(NamedTuple):
    is_known: bool
    is_spoilt: bool
    root_pem: str | None


def _enrolment(machine: Machine) -> _Enrolled:
    """What is left of the enrolment; whether it is for this mini-PC's key, enrolling judges."""
    try:
        enrolment = machine.enrolment_files.load()
    except EnrolmentDamaged as damaged:
        _LOG.error("the enrolment cannot be used", extra={"because": str(damaged)})
        return _Enrolled(is_known=False, is_spoilt=True, root_pem=None)
    if enrolment is None:
        return _Enrolled(is_known=False, is_spoilt=False, root_pem=None)
    return _Enrolled(True, False, enrolment.root_pem or machine.line.root_in_file)


async def _set_up(machine: Machine, damaged_because: str | None) -> Start | None:
    settings, line = machine.settings, machine.line
    link_key = load_link_key(settings.home / LINK_KEY_FILE, machine.entropy)
    fingerprint = await asyncio.to_thread(key_fingerprint, link_key.public)
    async with (
        open_hq_client(
            hq_url=settings.hq_url,
            ca_file=settings.hq_ca_file,
            agent=None,
            enrolment=lambda: line.enrolment,
            clock=machine.clock,
            entropy=machine.entropy,
            sign=link_key.sign,
        ) as client,
        asyncio.TaskGroup() as group,
        AsyncExitStack() as stack,
    ):
        enrolling = Enrolling(
            None, link_key.public, machine.clock, machine.entropy, client, machine.enrolment_files, line
        )
        setting_up = SettingUp(
            key=BoxKey(link_key.public, link_key.sign, fingerprint),
            clock=machine.clock,
            entropy=machine.entropy,
            line=line,
            enrolling=enrolling,
            desk=client,
            keeping=machine.kept_bundle,
            root_pem=lambda: line.root_pem,
            damaged_because=damaged_because,
            version=version("beckon"),
        )
        runner = await set_up_runner(stack, build_setup_app(setting_up), idle_s_max=_IDLE_S_MAX)
        await listen_on(runner, settings.staff_address, settings.staff_https_port, machine.tls.context)
        jobs = {"enrolling": enrolling.run(), "alive": _say_alive(machine.systemd)}
        if _is_announced(settings):
            lan = ZeroconfLan.of_new_box(
                address=settings.staff_address, port=settings.staff_https_port, fingerprint=fingerprint
            )
            jobs["lan"] = keep_announcing(lan, machine.entropy)
        await stack.enter_async_context(at_work(group, jobs))
        awaited = "a claim code" if line.enrolment is None else "its bundle"
        _LOG.warning("not set up", extra={"waits_for": awaited, "fingerprint": fingerprint})
        machine.systemd.ready(f"not set up, fingerprint {fingerprint}")
        return await _first_or_stopped(group, setting_up, machine.stop)


async def _first_or_stopped(
    group: asyncio.TaskGroup, setting_up: SettingUp, stop: asyncio.Event
) -> Start | None:
    first = group.create_task(setting_up.first_bundle(), name="first bundle")
    stopped = group.create_task(stop.wait(), name="stop")
    await asyncio.wait({first, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in (first, stopped):
        task.cancel()
    if not first.done():
        return None
    return Start(first.result().bundle, first.result().sealed_by)


def _is_announced(settings: Settings) -> bool:
    """On loopback there is nobody to be found by."""
    return settings.announce and not ip_address(settings.staff_address).is_loopback


async def _say_alive(systemd: Systemd) -> None:
    """Nothing of a store can fail yet; the loop turns, which is all that the watchdog asks."""
    while True:
        systemd.alive()
        await asyncio.sleep(5.0)
