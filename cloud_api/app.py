"""The composition root: builds adapters and services, owns the one task group and the order of stopping.

Stopping: first the listener takes nothing more, then the services end, last the storage writes what waits and closes.
"""

import asyncio
import gc
import logging
import shutil
import signal
from importlib.metadata import version

from cloud_api.adapters.authority_key import load_authority_key
from cloud_api.adapters.clock import SystemClock
from cloud_api.adapters.entropy import SystemEntropy
from cloud_api.adapters.files import read_users
from cloud_api.adapters.heap import give_back
from cloud_api.adapters.http.app import build_app, serving
from cloud_api.adapters.http.parts import Parts
from cloud_api.adapters.metrics import Metrics
from cloud_api.adapters.open_files import allow_all_open_files
from cloud_api.adapters.packing import ZstdPacking
from cloud_api.adapters.password_scrypt import password_scrypt
from cloud_api.adapters.sqlite.storage import SqliteStorage, open_sqlite_storage
from cloud_api.adapters.systemd import Systemd
from cloud_api.adapters.tls import ServerTls, load_server_tls
from cloud_api.config import Settings
from cloud_api.services.bundling import Bundling
from cloud_api.services.changing import Changing
from cloud_api.services.enrolling import Enrolling
from cloud_api.services.estate_view import EstateView
from cloud_api.services.ingesting import Ingesting
from cloud_api.services.lending import Lending
from cloud_api.services.news import News
from cloud_api.services.overview import Overview
from cloud_api.services.registry import Registry
from cloud_api.services.rejudging import Rejudging
from cloud_api.services.reporting import Reporting
from cloud_api.services.revoking import Revoking
from cloud_api.services.sealing import Sealing
from cloud_api.services.signing_in import SigningIn
from cloud_api.services.tending import Tending

_LOG = logging.getLogger(__name__)

# Objects that may be garbage until somebody looks: some MB.
_COLLECTED_AFTER = 20_000

DATABASE_FILE = "hq.db"


async def run_cloud(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Errors: UsersRefused, CertificateRefused, AuthorityRefused, DatabaseRefused for what the caller should
    mend; OSError when the port is taken; StorageFailed when the disk fails.
    """
    stop, systemd = _stop_on_signals(), Systemd()
    open_files_max = allow_all_open_files()
    users = read_users(settings.users)
    tls = load_server_tls(settings.tls_certificate, settings.tls_key)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    now_ms = SystemClock().now_ms()
    async with (
        open_sqlite_storage(settings.home / DATABASE_FILE, now_ms=now_ms) as storage,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(storage.run(), name="storage")
        try:
            await storage.set_users(users)
            parts = await _build(settings, storage, tls, systemd)
            tending = group.create_task(parts.tending.run(), name="tending")
            app = build_app(parts)
            _collect_rarely()
            async with serving(app, address=settings.address, port=settings.port, tls=tls.context) as port:
                _LOG.info(
                    "serving",
                    extra={"address": settings.address, "port": port, "open_files_max": open_files_max},
                )
                systemd.ready(f"serving {settings.address} port {port}")
                await stop.wait()
                systemd.stopping()
            tending.cancel()
        finally:
            await storage.close()


def _collect_rarely() -> None:
    """Batches leave no cycles behind, so looking for some after every 700 objects would only cost time: 5 % of it all.

    What the start made stays, and no collection need look through it.
    """
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER)


def _stop_on_signals() -> asyncio.Event:
    """Also where the parent had the signals ignored, as shells do for background jobs."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _build(settings: Settings, storage: SqliteStorage, tls: ServerTls, systemd: Systemd) -> Parts:
    clock, entropy = SystemClock(), SystemEntropy()
    registry, estate, news = Registry(storage), EstateView(), News()
    await registry.load()
    await estate.load(storage.estate)
    sealing = Sealing(load_authority_key(settings.home, entropy))
    changing = Changing(
        store=storage.estate,
        estate=estate,
        registry=registry,
        clock=clock,
        news=news,
        give_back=give_back,
    )
    bundling = Bundling(store=storage.estate, estate=estate, sealer=sealing)
    reporting = Reporting(
        store=storage.reports,
        estate=estate,
        bundling=bundling,
        changing=changing,
        registry=registry,
        clock=clock,
        news=news,
    )
    await reporting.load()
    ingesting = Ingesting(
        storage=storage, registry=registry, estate=estate, clock=clock, packing=ZstdPacking()
    )
    lending = Lending(
        store=storage.rights, registry=registry, estate=estate, sealer=sealing, clock=clock, entropy=entropy
    )
    tending = Tending(
        clock=clock,
        free_bytes=lambda: shutil.disk_usage(settings.home).free,
        certificate_ends_ms=tls.ends_ms,
        is_certified=lambda: sealing.authority is not None,
        shows_root=lambda: sealing.is_known_by(tls.shows_root),
        waiting_for=lending.waiting_for,
        tidy=changing.tidy,
        alive=systemd.alive,
    )
    return Parts(
        ingesting=ingesting,
        enrolling=Enrolling(
            storage=storage, registry=registry, estate=estate, sealing=sealing, clock=clock, entropy=entropy
        ),
        sealing=sealing,
        signing_in=SigningIn(storage=storage, clock=clock, entropy=entropy, hash_password=password_scrypt),
        overview=Overview(
            storage=storage, registry=registry, estate=estate, reporting=reporting, clock=clock
        ),
        changing=changing,
        bundling=bundling,
        reporting=reporting,
        lending=lending,
        news=news,
        rejudging=Rejudging(storage=storage, estate=estate, news=news),
        revoking=Revoking(storage=storage, registry=registry, news=news),
        tending=tending,
        metrics=Metrics(ingesting=ingesting, registry=registry, tending=tending),
        version=version("beckon"),
        public_url=settings.public_url,
    )
