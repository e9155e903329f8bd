"""The composition root: builds adapters and services, owns the one task group and the order of stopping.

Stopping: first the listener takes nothing more, then the services end, last the storage writes what waits and closes.
"""

import asyncio
import logging
import shutil
import signal
from importlib.metadata import version

from cloud_api.adapters.clock import SystemClock
from cloud_api.adapters.entropy import SystemEntropy
from cloud_api.adapters.files import ChainFile, read_users
from cloud_api.adapters.http.app import build_app, serving
from cloud_api.adapters.http.parts import Parts
from cloud_api.adapters.metrics import Metrics
from cloud_api.adapters.open_files import allow_all_open_files
from cloud_api.adapters.packing import ZstdPacking
from cloud_api.adapters.password_scrypt import password_scrypt
from cloud_api.adapters.sqlite.storage import open_sqlite_storage
from cloud_api.adapters.tls import ServerTls, load_server_tls
from cloud_api.config import Settings
from cloud_api.ports.storage import Storage
from cloud_api.services.chain_view import ChainView
from cloud_api.services.enrolling import Enrolling
from cloud_api.services.ingesting import Ingesting
from cloud_api.services.overview import Overview
from cloud_api.services.registry import Registry
from cloud_api.services.rejudging import Rejudging
from cloud_api.services.revoking import Revoking
from cloud_api.services.signing_in import SigningIn
from cloud_api.services.tending import Tending

_LOG = logging.getLogger(__name__)

DATABASE_FILE = "hq.db"


async def run_cloud(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Errors: ChainRefused, UsersRefused, CertificateRefused, DatabaseRefused for what the caller should mend; OSError
    when the port is taken; StorageFailed when the disk fails.
    """
    stop = _stop_on_signals()
    open_files_max = allow_all_open_files()
    chain = ChainView(ChainFile(settings.estate))
    chain.read_first()
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
            parts = await _build(settings, storage, chain, tls)
            tending = group.create_task(parts.tending.run(), name="tending")
            app = build_app(parts)
            async with serving(app, address=settings.address, port=settings.port, tls=tls.context) as port:
                _LOG.info(
                    "serving",
                    extra={"address": settings.address, "port": port, "open_files_max": open_files_max},
                )
                await stop.wait()
            tending.cancel()
        finally:
            await storage.close()


def _stop_on_signals() -> asyncio.Event:
    """Also where the parent had the signals ignored, as shells do for background jobs."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _build(settings: Settings, storage: Storage, chain: ChainView, tls: ServerTls) -> Parts:
    clock, entropy = SystemClock(), SystemEntropy()
    registry = Registry(storage)
    await registry.load()
    ingesting = Ingesting(storage=storage, registry=registry, chain=chain, clock=clock, packing=ZstdPacking())
    tending = Tending(
        chain=chain,
        clock=clock,
        free_bytes=lambda: shutil.disk_usage(settings.home).free,
        certificate_ends_ms=tls.ends_ms,
    )
    return Parts(
        ingesting=ingesting,
        enrolling=Enrolling(storage=storage, registry=registry, chain=chain, clock=clock, entropy=entropy),
        signing_in=SigningIn(storage=storage, clock=clock, entropy=entropy, hash_password=password_scrypt),
        overview=Overview(storage=storage, registry=registry, chain=chain, clock=clock),
        rejudging=Rejudging(storage=storage, chain=chain),
        revoking=Revoking(storage=storage, registry=registry),
        tending=tending,
        metrics=Metrics(ingesting=ingesting, registry=registry, tending=tending),
        version=version("beckon"),
        public_url=settings.public_url,
    )
