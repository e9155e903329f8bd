"""Two hosts for a test, where the machine allows them."""

from collections.abc import Iterator

import pytest

from tests.fakes.network import Host, two_hosts
from tests.needs import needs_command, needs_root


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    needs_root()
    needs_command("ip")
    with two_hosts() as pair:
        yield pair
