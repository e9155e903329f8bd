"""Which fixtures whole journeys share."""

from tests.fakes.cloud_fixtures import enrolled as enrolled
from tests.fakes.cloud_fixtures import home as home
from tests.fakes.cloud_fixtures import hq as hq
from tests.fakes.cloud_fixtures import laid_out as laid_out
from tests.fakes.cloud_fixtures import running as running
from tests.fakes.network_fixtures import hosts as hosts
