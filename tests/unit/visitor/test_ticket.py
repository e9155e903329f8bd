"""Zone tickets: what they prove, for how long, and that nothing else passes for one."""

import pytest

from engagement.ids import ZoneName
from engagement.visitor.ticket import TICKET_LIFE_MS, zone_of_ticket, zone_ticket
from tests.fakes.shop import NOON_MS, moment

KEY = b"k" * 32
END_MS = NOON_MS + TICKET_LIFE_MS


@pytest.mark.parametrize("zone", ["tea", "Gate 3.b", "茶饮", "a" * 80])
def test_a_ticket_names_its_zone_until_its_end(zone: str) -> None:
    ticket = zone_ticket(KEY, ZoneName(zone), END_MS)
    assert zone_of_ticket(KEY, ticket, moment(NOON_MS)) == zone
    assert zone_of_ticket(KEY, ticket, moment(END_MS)) == zone
    assert zone_of_ticket(KEY, ticket, moment(END_MS + 1)) is None
    assert zone_of_ticket(KEY, ticket, moment(END_MS + 1, error_ms=1)) == zone


def test_nothing_else_passes_for_a_ticket() -> None:
    ticket = zone_ticket(KEY, ZoneName("tea"), END_MS)
    longer = ticket.replace(str(END_MS), str(END_MS + 1))
    other = zone_ticket(b"j" * 32, ZoneName("tea"), END_MS)
    for text in (longer, other, ticket[:-1], ticket + "0", "", ".", "a.b.c.d", "ü.ü.ü.ü", "\ud800"):
        assert zone_of_ticket(KEY, text, moment(NOON_MS)) is None, text
