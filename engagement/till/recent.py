"""The last redemptions of a till, so that its cashier finds the one to undo."""

from typing import ClassVar

from engagement.ids import RedemptionId, TillName
from engagement.ledger.record import Key, Record

# What a till redeems in the ten minutes that an undo is possible, and no more: the row is rewritten each time.
RECENT_MAX = 20


class RecentRecord(Record):
    """Keyed by till: ids of its redemptions, newest first. Each id names its coupon's row, which has the rest."""

    kind: ClassVar[str] = "till_recent"
    redemptions: tuple[RedemptionId, ...] = ()

    def with_redemption(self, redemption: RedemptionId) -> "RecentRecord":
        return self.model_copy(update={"redemptions": (redemption, *self.redemptions)[:RECENT_MAX]})


def recent_key(till: TillName) -> Key[RecentRecord]:
    return Key(RecentRecord, till)
