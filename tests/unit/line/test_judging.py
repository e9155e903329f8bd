"""What HQ keeps apart, each with its code; everything else is the event as it was journaled."""

import pytest

from engagement.journal.entry import Entry
from engagement.journal.event import AnyEvent, Lane
from engagement.journal.tip import EMPTY, extend
from engagement.line.judging import Fault, judge
from tests.fakes.happenings import came, consented, issued, redeemed, shaken, undone


def entry_of(event: AnyEvent) -> Entry:
    _, (entry,) = extend(EMPTY, [event])
    return entry


@pytest.mark.parametrize("event", [issued(), redeemed(), undone(), consented(), shaken(), came()])
def test_good_events_come_back(event: AnyEvent) -> None:
    assert judge(entry_of(event)) == event


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"{", b"", Fault.UNREADABLE),
        (b"coupon_issued", b"coupon_melted", Fault.UNKNOWN),
        (b'"edition":1', b'"edition":1.5', Fault.UNREADABLE),
        (b'"edition":1', b'"edition":1,"shade":"blue"', Fault.UNREADABLE),
        (b'"edition":1', b'"edition":%d' % 2**48, Fault.IMPOSSIBLE),
        (b'"edition":1', b'"edition":-%d' % 2**48, Fault.IMPOSSIBLE),
        (b'"liability_minor":2000', b'"liability_minor":-1', Fault.IMPOSSIBLE),
        (b'"wall_ms":1', b'"wall_ms":-1', Fault.IMPOSSIBLE),
        (b'"wall_ms":1', b'"wall_ms":999999', Fault.IMPOSSIBLE),
        (b'"CNY"', b'"C\\u0000Y"', Fault.IMPOSSIBLE),
    ],
)
def test_a_bad_one_has_its_code(old: bytes, new: bytes, fault: Fault) -> None:
    entry = entry_of(issued())
    body = entry.body.replace(old, new, 1)
    assert body != entry.body
    assert judge(entry._replace(body=body)) is fault


def test_an_escaped_backslash_is_no_octet_0() -> None:
    entry = entry_of(issued())
    body = entry.body.replace(b'"CNY"', rb'"C\\u0000Y"')
    assert not isinstance(judge(entry._replace(body=body)), Fault)


def test_a_lane_takes_its_own_events_alone() -> None:
    moved = entry_of(consented())._replace(lane=Lane.MONEY)
    assert judge(moved) is Fault.WRONG_LANE
