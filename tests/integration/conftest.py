"""Which fixtures integration tests share."""

from tests.fakes.bluez_listening import bluez as bluez
from tests.fakes.bluez_listening import bus_address as bus_address
from tests.fakes.cloud_fixtures import browser as browser
from tests.fakes.cloud_fixtures import enrolled as enrolled
from tests.fakes.cloud_fixtures import fresh as fresh
from tests.fakes.cloud_fixtures import home as home
from tests.fakes.cloud_fixtures import hq as hq
from tests.fakes.cloud_fixtures import laid_out as laid_out
from tests.fakes.cloud_fixtures import running as running
from tests.fakes.cloud_fixtures import still_browser as still_browser
from tests.fakes.cloud_fixtures import still_home as still_home
from tests.fakes.cloud_fixtures import still_hq as still_hq
from tests.fakes.cloud_fixtures import still_visitor as still_visitor
from tests.fakes.cloud_fixtures import visitor as visitor
from tests.fakes.network_fixtures import hosts as hosts
