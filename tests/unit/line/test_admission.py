"""Admission beside a lane's mark: the four answers, at every place a batch can begin and end."""

from engagement.ids import AgentName
from engagement.journal.batch import Batch
from engagement.journal.entry import Entry
from engagement.journal.event import Lane
from engagement.journal.tip import EMPTY, Epoch, LaneTip, extend
from engagement.line.admission import Diverged, Fresh, Gap, Known, admit
from tests.fakes.happenings import issued, money

_, ENTRIES = extend(EMPTY, money(6))
_, OTHERS = extend(EMPTY, [issued(77), *money(5)])
MARK = LaneTip(4, ENTRIES[3].head)


def batch(first: int, last: int, *, of: tuple[Entry, ...] = ENTRIES) -> Batch:
    previous = of[first - 2].head if first > 1 else EMPTY.lanes[Lane.MONEY].head
    return Batch(AgentName("a"), Epoch("00000000000000aa"), Lane.MONEY, first, previous, of[first - 1 : last])


def test_what_follows_the_mark_is_fresh() -> None:
    assert admit(LaneTip(), batch(1, 3)) == Fresh(ENTRIES[:3])
    assert admit(MARK, batch(5, 6)) == Fresh(ENTRIES[4:])
    assert admit(MARK, batch(1, 6)) == Fresh(ENTRIES[4:])
    assert admit(MARK, batch(4, 5)) == Fresh(ENTRIES[4:5])


def test_what_ends_at_the_mark_or_before_it_is_known() -> None:
    assert admit(MARK, batch(1, 4)) == Fresh(())
    assert admit(MARK, batch(4, 4)) == Fresh(())
    assert admit(MARK, batch(1, 3)) == Known(3, ENTRIES[2].head)


def test_what_begins_behind_the_next_is_a_gap() -> None:
    assert admit(LaneTip(), batch(2, 3)) == Gap(1)
    assert admit(MARK, batch(6, 6)) == Gap(5)


def test_another_history_shows_at_the_mark() -> None:
    for first, last in ((1, 4), (1, 6), (4, 5), (5, 6)):
        assert admit(MARK, batch(first, last, of=OTHERS)) == Diverged(4)
    strange_start = Batch(AgentName("a"), Epoch("00000000000000aa"), Lane.MONEY, 1, b"\1" * 32, ENTRIES[:1])
    assert admit(LaneTip(), strange_start) == Diverged(0)
