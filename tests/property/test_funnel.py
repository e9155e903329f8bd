"""The funnel does not depend on how events were grouped, ordered, or split over batches."""

from functools import reduce
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from engagement.journal.event import AnyEvent
from engagement.journal.event_columns import as_columns
from engagement.settlement.funnel import Counts, Days, count, merge, total
from tests.fakes import shop
from tests.fakes.happenings import came, consented, issued, redeemed, shaken, undone

ZONE = ZoneInfo("Asia/Shanghai")
MOMENTS = st.integers(-30, 30).map(lambda hours: shop.moment(shop.NOON_MS + hours * shop.HOUR_MS))
EVENTS: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(
        lambda serial, of, now: issued(serial, of=of, now=now),
        st.integers(1, 9),
        st.sampled_from(["a", "b"]),
        MOMENTS,
    ),
    st.builds(lambda serial, now: redeemed(serial, now=now), st.integers(1, 9), MOMENTS),
    st.builds(lambda serial, now: undone(serial, now=now), st.integers(1, 9), MOMENTS),
    st.builds(consented, MOMENTS),
    st.builds(lambda won, now: shaken(won=won, now=now), st.booleans(), MOMENTS),
    st.builds(
        lambda tag, stays, now: came(tag, stays=stays, now=now),
        st.sampled_from("xyz"),
        st.booleans(),
        MOMENTS,
    ),
)


def counted(events: list[AnyEvent]) -> Counts:
    return count(as_columns(enumerate(events)), Days(ZONE))


@given(st.lists(st.tuples(EVENTS, st.integers(0, 4)), max_size=40), st.permutations(range(5)))
def test_any_split_and_order_gives_the_same(events: list[tuple[AnyEvent, int]], order: list[int]) -> None:
    parts = [counted([event for event, place in events if place == part]) for part in order]
    whole = counted([event for event, _ in events])
    assert reduce(merge, parts, Counts()) == whole
    assert reduce(lambda right, left: merge(left, right), reversed(parts), Counts()) == whole
    assert merge(merge(parts[0], parts[1]), parts[2]) == merge(parts[0], merge(parts[1], parts[2]))


@given(st.lists(EVENTS, max_size=30), st.lists(EVENTS, max_size=30))
def test_totals_of_branches_add_up(here: list[AnyEvent], there: list[AnyEvent]) -> None:
    both, one, other = (
        total((counted(here), counted(there))),
        total((counted(here),)),
        total((counted(there),)),
    )
    assert all(
        both.sums[key] == one.sums.get(key, 0) + other.sums.get(key, 0) for key in {*one.sums, *other.sums}
    )
