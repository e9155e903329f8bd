"""Which serials may be given out: a million, which come round again as old coupons are cleared away."""

from typing import ClassVar

from engagement.coupon.short_code import SERIAL_MAX
from engagement.ledger.record import Key, Record, Rows, Rule, Ruling

SERIAL_MIN = 1


class SerialRecord(Record):
    """The allocator: serials ``next`` to ``free_until - 1`` are known to be unused. One row, id ``serial``."""

    kind: ClassVar[str] = "serial"
    next: int = SERIAL_MIN
    free_until: int = SERIAL_MAX + 1

    @property
    def left(self) -> int:
        return self.free_until - self.next


SERIAL_KEY = Key(SerialRecord, "serial")


def open_block_rule(expected: SerialRecord, start: int, end: int) -> Rule[SerialRecord]:
    """Open the serials ``start`` to ``end - 1``, which upkeep found unused, when the present block is used up.

    Nothing but the allocator makes coupons, and only within its block; so a block outside it that was seen
    free stays free.
    """

    def rule(rows: Rows) -> Ruling[SerialRecord]:
        before = rows.get(SERIAL_KEY) or SerialRecord(id=SERIAL_KEY.id)
        if before.free_until != expected.free_until:
            return Ruling(before)
        if start == before.free_until:
            after = before.model_copy(update={"free_until": end})
        elif before.left == 0:
            after = before.model_copy(update={"next": start, "free_until": end})
        else:
            return Ruling(before)
        return Ruling(after, writes=(after,))

    return rule
