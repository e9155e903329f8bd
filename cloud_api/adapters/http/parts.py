"""What the listener works with, and where its handlers find it."""

from dataclasses import dataclass

from aiohttp import web

from cloud_api.adapters.metrics import Metrics
from cloud_api.services.bundling import Bundling
from cloud_api.services.changing import Changing
from cloud_api.services.enrolling import Enrolling
from cloud_api.services.ingesting import Ingesting
from cloud_api.services.lending import Lending
from cloud_api.services.news import News
from cloud_api.services.overview import Overview
from cloud_api.services.rejudging import Rejudging
from cloud_api.services.reporting import Reporting
from cloud_api.services.revoking import Revoking
from cloud_api.services.sealing import Sealing
from cloud_api.services.signing_in import SigningIn
from cloud_api.services.tending import Tending


@dataclass(frozen=True)
class Parts:
    """``public_url``: the address as agents sign it, None to go by the request itself."""

    ingesting: Ingesting
    enrolling: Enrolling
    sealing: Sealing
    signing_in: SigningIn
    overview: Overview
    changing: Changing
    bundling: Bundling
    reporting: Reporting
    lending: Lending
    news: News
    rejudging: Rejudging
    revoking: Revoking
    tending: Tending
    metrics: Metrics
    version: str
    public_url: str | None = None


PARTS = web.AppKey("parts", Parts)
