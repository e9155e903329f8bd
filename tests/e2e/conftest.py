"""Which fixtures whole journeys share, and how long a page may take to look as expected."""

from playwright.async_api import expect

from tests.eventually import PATIENCE_S
from tests.fakes.chromium import chromium as chromium
from tests.fakes.cloud_fixtures import enrolled as enrolled
from tests.fakes.cloud_fixtures import home as home
from tests.fakes.cloud_fixtures import hq as hq
from tests.fakes.cloud_fixtures import laid_out as laid_out
from tests.fakes.cloud_fixtures import running as running
from tests.fakes.network_fixtures import hosts as hosts

expect.set_options(timeout=PATIENCE_S * 1000)
