"""Rules of one group over the same rows."""

from typing import ClassVar

import pytest

from engagement.clock.moment import Moment
from engagement.journal.event import HealthChanged
from engagement.journal.tip import EMPTY
from engagement.ledger.group import Group, RecordUnreadable, Row, show
from engagement.ledger.lease_number import LEASE_NUMBER_MAX, draw_lease_number
from engagement.ledger.record import Address, Key, Record, Rows, Rule, Ruling

EVENT = HealthChanged(
    moment=Moment(wall_ms=1, error_ms=0, boot_id="b", boottime_ms=0), status="ok", issues=()
)


class Shelf(Record):
    kind: ClassVar[str] = "shelf"
    items: int


class LabelledShelf(Record):
    """The same kind in a later version."""

    kind: ClassVar[str] = "shelf"
    items: int
    label: str = "none"


KEY = Key(Shelf, "a")


def group(rows: dict[Address, Row]) -> Group:
    return Group(rows=rows, tip=EMPTY)


def holding(items: int) -> Rule[None]:
    return lambda rows: Ruling(None, writes=(Shelf(id="a", items=items),))


def items(rows: Rows) -> Ruling[int | None]:
    shelf = rows.get(KEY)
    return Ruling(None if shelf is None else shelf.items)


def test_a_rule_reads_what_is_stored_and_what_was_ruled_before_it() -> None:
    ruling = group({KEY.address: '{"id":"a","items":3}'})
    assert ruling.judge([KEY], items) == 3
    ruling.judge([], holding(4))
    assert ruling.judge([KEY], items) == 4
    ruling.judge([], lambda rows: Ruling(None, deletes=(KEY,)))
    assert ruling.judge([KEY], items) is None
    assert ruling.writes == {KEY.address: None}


def test_only_the_last_state_of_a_row_is_left_to_store() -> None:
    ruling = group({})
    for number in range(3):
        ruling.judge([], holding(number))
    (written,) = ruling.writes.values()
    assert written is not None
    assert Shelf.model_validate_json(written.body) == Shelf(id="a", items=2)


def test_a_rule_that_raises_at_any_point_leaves_no_trace() -> None:
    def raises(rows: Rows) -> Ruling[None]:
        raise LookupError("no")

    def unstorable(rows: Rows) -> Ruling[None]:
        bad_event = EVENT.model_copy(update={"issues": ("\ud800",)})
        return Ruling(None, writes=(Shelf(id="a", items=9),), deletes=(KEY,), events=(EVENT, bad_event))

    ruling = group({KEY.address: None})
    for rule in (raises, unstorable):
        with pytest.raises((LookupError, ValueError)):
            ruling.judge([KEY], rule)
    assert (ruling.writes, ruling.entries, ruling.tip) == ({}, [], EMPTY)
    assert ruling.judge([KEY], items) is None


@pytest.mark.parametrize("body", ["", "{", '{"id":"a"}', '{"id":"a","items":"x"}', '{"id":"b","items":1}'])
def test_an_unreadable_row_names_itself_and_can_be_written_over(body: str) -> None:
    ruling = group({KEY.address: body})
    with pytest.raises(RecordUnreadable) as raised:
        ruling.judge([KEY], items)
    assert (raised.value.kind, raised.value.id) == KEY.address
    ruling.judge([], holding(1))
    assert ruling.judge([KEY], items) == 1


def test_a_row_is_read_as_the_class_that_the_key_names() -> None:
    ruling = group({KEY.address: '{"id":"a","items":3}'})
    later = Key(LabelledShelf, "a")
    assert ruling.judge([KEY], lambda rows: Ruling(rows.get(KEY))) == Shelf(id="a", items=3)
    assert ruling.judge([later], lambda rows: Ruling(rows.get(later))) == LabelledShelf(id="a", items=3)


def test_shown_rows_are_the_asked_ones_alone() -> None:
    rows = show([KEY], {KEY.address: '{"id":"a","items":3}', ("shelf", "b"): None})
    assert rows.get(KEY) == Shelf(id="a", items=3)
    with pytest.raises(KeyError):
        rows.get(Key(Shelf, "b"))


def test_lease_numbers_are_never_zero_and_fit_24_bits() -> None:
    drawn = [
        draw_lease_number(value.to_bytes(8))
        for value in (0, LEASE_NUMBER_MAX - 1, LEASE_NUMBER_MAX, 2**64 - 1)
    ]
    assert drawn[:3] == [1, LEASE_NUMBER_MAX, 1]
    assert 1 <= drawn[3] <= LEASE_NUMBER_MAX
